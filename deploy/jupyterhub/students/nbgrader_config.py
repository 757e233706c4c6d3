"""nbgrader in students' servers: the courses that they see are those of the hub's groups."""

c = get_config()  # noqa: F821  (traitlets puts it there)

c.Authenticator.plugin_class = "nbgrader.auth.JupyterHubAuthPlugin"
