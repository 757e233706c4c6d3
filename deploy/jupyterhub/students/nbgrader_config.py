"""nbgrader on students' servers: the hub's groups decide which courses they see."""

c = get_config()  # noqa: F821  (traitlets puts it there)

c.Authenticator.plugin_class = "nbgrader.auth.JupyterHubAuthPlugin"
