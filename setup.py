"""What a wheel contains besides the packages: data, notebooks and the laboratory's page, in a folder of their own.

Everything else about the package is in pyproject.toml. In a clone and in an editable installation these folders stay
where they are; `ddpm_core/config.py` finds them in either place. A wheel built from the students' bundle has no
solutions, just like the bundle.
"""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).parent
COURSE = "conditional_diffusion_course"
NEEDED = ("data", "exercises", "lessons")
MORE = ("solutions", "nbgrader_config.py", "playground/lab", "playground/*.js")
JUNK = shutil.ignore_patterns("__pycache__", ".*", "*.tmp")


class WithCourse(build_py):
    """Builds the packages as usual, then copies the course beside them."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        if missing := [name for name in NEEDED if not (HERE / name).is_dir()]:
            raise SystemExit(f"a wheel needs the folders {', '.join(missing)}, which are not in {HERE}")
        out = Path(self.build_lib, COURSE)
        shutil.rmtree(out, ignore_errors=True)  # from an earlier build
        for place in [found for pattern in (*NEEDED, *MORE) for found in sorted(HERE.glob(pattern))]:
            to = out / place.relative_to(HERE)
            to.parent.mkdir(parents=True, exist_ok=True)
            if place.is_dir():
                shutil.copytree(place, to, ignore=JUNK)
            else:
                shutil.copyfile(place, to)


setup(cmdclass={"build_py": WithCourse})
