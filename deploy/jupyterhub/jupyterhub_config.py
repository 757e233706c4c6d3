"""A hub for one course: students' servers, and formgrader for instructors, each under its own account.

    cd /srv/hub/state && ../.venv/bin/jupyterhub -f ../jupyterhub_config.py

Settings that differ between departments are in department.toml; further JupyterHub settings can be added below.
"""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from department import read  # noqa: E402

c = get_config()  # noqa: F821  (traitlets puts it there)
d = read(HERE / "department.toml")

c.JupyterHub.bind_url = d.address
c.JupyterHub.hub_bind_url = f"http://127.0.0.1:{d.hub_port}"
c.ConfigurableHTTPProxy.api_url = f"http://127.0.0.1:{d.proxy_port}"
c.ConfigurableHTTPProxy.command = [str(HERE / "node_modules/.bin/configurable-http-proxy")]

# Who can log in, and in which role. nbgrader finds these two groups by their names.
c.JupyterHub.authenticator_class = d.authenticator
c.Authenticator.allowed_users = d.people
c.JupyterHub.load_groups = {
    f"formgrade-{d.course}": {"users": list(d.instructors)},
    f"nbgrader-{d.course}": {"users": list(d.students)},
}
c.JupyterHub.load_roles = [
    {
        "name": f"formgrade-{d.course}",
        "groups": [f"formgrade-{d.course}"],
        "scopes": [f"access:services!service={d.course}"],
    },
    {
        "name": "server",  # the default rights, and the groups, where nbgrader looks up a student's courses
        "scopes": ["users:activity!user", "access:servers!server", "read:users:groups!user"],
    },
]

# Students' servers: under their own accounts, in the released bundle's environment, without formgrader.
students = Path(d.students_folder, ".venv/bin")
c.JupyterHub.spawner_class = d.spawner
c.Spawner.cmd = [str(students / "python"), "-m", "jupyterhub.singleuser"]
c.Spawner.default_url = "/lab"
c.Spawner.mem_limit = d.memory
c.Spawner.start_timeout = c.Spawner.http_timeout = 300  # seconds, when a whole class arrives at once
c.Spawner.environment = {
    "PATH": f"{students}:/usr/local/bin:/usr/bin:/bin",
    "JUPYTER_CONFIG_PATH": str(HERE / "students"),
    "JUPYTER_PREFER_ENV_PATH": "1",
}

# The instructors' service: formgrader and a terminal, under the grader's account; no notebook runs in it.
course = Path(d.course_folder)
c.JupyterHub.services = [
    {
        "name": d.course,
        "url": f"http://127.0.0.1:{d.formgrader_port}",
        "command": [str(course / ".venv/bin/python"), str(HERE / "instructors/formgrader.py"), str(course)],
        "user": d.grader,
        "cwd": str(course),
        "oauth_no_confirm": True,
        "timeout": 300,  # it loads torch, perhaps on a busy machine
        "environment": {
            "PATH": f"{course / '.venv/bin'}:/usr/local/bin:/usr/bin:/bin",
            "JUPYTER_CONFIG_PATH": str(HERE / "instructors"),
            "JUPYTERHUB_DEFAULT_URL": "/formgrader",
        },
    }
]
