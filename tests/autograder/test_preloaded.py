"""The Python of preloaded.py is one: arguments, streams, environment, folder, status, and it ends with its caller."""

import os
import subprocess

import psutil
import pytest


def run(programs, *words, **options):
    return subprocess.run([programs / "python", *words], capture_output=True, text=True, timeout=100, **options)


def test_it_runs_a_copy_of_the_course_with_the_caller_s_streams_and_folder(programs, tmp_path):
    (tmp_path / "copy/autograder").mkdir(parents=True)
    (tmp_path / "copy/autograder/__init__.py").write_text("")
    (tmp_path / "copy/autograder/__main__.py").write_text(
        "import os, sys\nprint([os.getcwd(), sys.argv[1:], input(), __name__])\nprint('so', file=sys.stderr)\n"
    )
    env = {**os.environ, "PYTHONPATH": str(tmp_path / "copy")}
    done = run(programs, "-m", "autograder", "a", "b c", input="hm\n", env=env, cwd=tmp_path)
    assert done.stdout == f"{[str(tmp_path), ['a', 'b c'], 'hm', '__main__']}\n" and done.stderr == "so\n"
    (tmp_path / "script.py").write_text("import other, sys; print(other.__name__, sys.path[0], 'torch' in sys.modules)")
    (tmp_path / "other.py").write_text("")
    assert run(programs, tmp_path / "script.py", cwd="/").stdout == f"other {tmp_path} True\n"


@pytest.mark.parametrize(
    ("code", "status", "says"),
    [("import sys; sys.exit(3)", 3, ""), ("1 / 0", 1, "ZeroDivisionError"), ("import os; os.abort()", 134, "")],
)
def test_the_status_is_the_program_s(programs, code, status, says):
    done = run(programs, "-c", code)
    assert done.returncode == status and says in done.stderr


def test_a_killed_caller_takes_its_program_with_it(programs):
    code = "import os, time; print(os.getpid(), flush=True); time.sleep(500)"
    with subprocess.Popen([programs / "python", "-c", code], stdout=subprocess.PIPE, text=True) as caller:
        program = psutil.Process(int(caller.stdout.readline()))
        caller.kill()
        assert psutil.wait_procs([program], timeout=100)[1] == []
