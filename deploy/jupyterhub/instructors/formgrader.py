"""formgrader.py COURSE: a Jupyter server behind the hub's login, in COURSE/grades, where `autograder grade` writes."""

import os
import sys
from pathlib import Path

from jupyterhub.singleuser import main

from autograder.adapters import database, workspace

course = Path(sys.argv[1])
grades = course / "grades"
url = database.in_folder(grades, course, None)
workspace.write_settings(grades, course, course / "submitted", url)  # also before the first batch
os.chdir(grades)
sys.exit(main([]))
