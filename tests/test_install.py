"""scripts/install.py: uv is told what pip is set to, and pip takes over wherever uv is not to be had or fails."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SPEC = importlib.util.spec_from_file_location("install", ROOT / "scripts/install.py")
install = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(install)


def test_uv_looks_where_pip_looks(tmp_path):
    """As pip itself prints it, files and environment together."""
    (tmp_path / "wheels").mkdir()
    (tmp_path / "pip.conf").write_text(
        "[global]\nindex-url = https://here.invalid/simple\n"
        f"extra-index-url = https://there.invalid/simple file://{tmp_path}/absent\n"
        "[install]\ntrusted-host = here.invalid\n"
    )
    env = {k: v for k, v in os.environ.items() if not k.startswith("PIP_")}
    env |= {"PIP_CONFIG_FILE": str(tmp_path / "pip.conf"), "PIP_FIND_LINKS": f"{tmp_path}/wheels {tmp_path}/none"}
    words = [sys.executable, "-m", "pip", "config", "list"]
    listed = subprocess.run(words, env=env, capture_output=True, text=True, check=True, timeout=300).stdout
    told = install.for_uv(install.pip_settings(listed), {})
    expected = {
        "UV_DEFAULT_INDEX": "https://here.invalid/simple",
        "UV_INDEX": "https://there.invalid/simple",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_FIND_LINKS": f"{tmp_path}/wheels",
        "UV_INSECURE_HOST": "here.invalid",
    }
    assert expected.items() <= told.items()  # and a certificate, say, where this machine has set one


def test_the_environment_wins_over_pips_files_and_what_uv_is_told_over_both():
    listed = ":env:.index-url='https://c'\nglobal.index-url='https://a'\ninstall.index-url='https://b'\n"
    settings = install.pip_settings(listed)
    assert settings == {"index-url": "https://c"}
    assert install.for_uv(settings, {"UV_DEFAULT_INDEX": "https://d"}) == {}
    assert install.for_uv(install.pip_settings(""), {}) == {}


@pytest.fixture
def tried(monkeypatch, tmp_path):
    """The commands that would be run; those whose words are in `failing` fail."""
    words, failing = [], set()

    def run(*command, env=None):
        words.append([str(word) for word in command])
        return not failing & set(words[-1])

    monkeypatch.setattr(install, "run", run)
    monkeypatch.setattr(install, "find_uv", lambda pip: "/bin/uv")
    monkeypatch.setattr(install.sys, "prefix", str(tmp_path))
    return words, failing


def test_with_uv_the_lock_then_the_clone(tried):
    assert install.main([]) == 0
    lock, clone = tried[0]
    assert lock[0] == clone[0] == "/bin/uv" and lock[-2:] == ["-r", "requirements.lock"] and clone[-2:] == ["-e", "."]
    assert "--compile-bytecode" in lock and "--no-deps" in clone and sys.executable in lock


@pytest.mark.parametrize("why", ["no uv", "uv fails", "asked for"])
def test_pip_takes_over(tried, monkeypatch, why, capsys):
    words, failing = tried
    if why == "no uv":
        monkeypatch.setattr(install, "find_uv", lambda pip: None)
    if why == "uv fails":
        failing.add("/bin/uv")
    assert install.main(["--with", "pip"] if why == "asked for" else []) == 0
    lock, clone = words[-2:]
    assert lock[:3] == clone[:3] == [sys.executable, "-m", "pip"] and lock[-1] == "requirements.lock"
    assert len(words) == 2 + (why == "uv fails")
    failing.add("pip")
    assert install.main([]) == 1
    assert "could not be installed, as said above; " in capsys.readouterr().err


def test_what_to_do_about_a_failure_depends_on_the_python():
    assert install.remedy((3, 13)) == install.remedy((3, 11)) and "again" in install.remedy((3, 11))
    assert install.remedy((3, 14)).endswith(", and type `make PYTHON=python3.13`")


def test_without_cuda_nothing_of_it_is_installed_and_the_default_is_as_it_was(tried, capsys):
    words, failing = tried
    assert install.main(["--torch", "cpu"]) == 0
    assert words[0][-4:-2] == ["--torch-backend", "cpu"]
    left, lock = Path(words[0][-1]).read_text(), (ROOT / "requirements.lock").read_text()
    assert re.search(r"^torch==", left, re.M) and re.search(r"^torchvision==", left, re.M)
    assert not re.search(r"^(nvidia|cuda|triton)", left, re.M) and re.search(r"^nvidia-\w+==", lock, re.M)
    assert set(left.splitlines()) < set(lock.splitlines())
    failing.add("/bin/uv")
    assert install.main(["--torch", "cpu"]) == 1 and "needs uv" in capsys.readouterr().err
    assert not [w for w in words if "pip" in w[2:3]]  # pip would install CUDA


@pytest.mark.parametrize(("extras", "place"), [("none", "."), ("grader,lti", ".[grader,lti]")])
@pytest.mark.parametrize("tool", ["uv", "pip"])
def test_of_the_extras_those_that_are_named_in_the_versions_of_the_lock(tried, extras, place, tool):
    assert install.main(["--extras", extras, "--with", tool]) == 0
    assert tried[0][0][-4:] == ["-c", "requirements.lock", "-e", place] and "-r" not in tried[0][0]
    assert install.main(["--extras", extras, "--torch", "cpu"]) == 0
    assert tried[0][2][-3:] == [str(Path(sys.prefix) / "cpu.lock"), "-e", place]


def test_an_extra_that_there_is_not_is_named(tried, capsys):
    with pytest.raises(SystemExit):
        install.main(["--extras", "grader,ltj"])
    assert "there is no extra 'ltj'; known: grader, lti" in capsys.readouterr().err and not tried[0]


@pytest.mark.parametrize("tool", ["uv", "pip"])
def test_a_copy_is_no_link_to_the_clone(tried, tool):
    assert install.main(["--copy", "--with", tool]) == 0
    clone = tried[0][1]
    assert clone[-1] == "." and "-e" not in clone and "--no-deps" in clone


def test_uv_is_installed_where_it_is_missing(monkeypatch, tmp_path):
    monkeypatch.setattr(install.shutil, "which", lambda name: None)
    monkeypatch.setattr(install.sys, "executable", str(tmp_path / "python"))
    pip = tmp_path / "pip"
    pip.write_text(f"#!/bin/sh\necho $* > {tmp_path}/asked\ntouch {tmp_path}/uv\n")
    pip.chmod(0o755)
    assert install.find_uv([str(pip)]) == str(tmp_path / "uv")
    assert (tmp_path / "asked").read_text().split() == ["install", "--quiet", "uv"]
    pip.write_text("#!/bin/sh\nexit 1\n")
    assert install.find_uv([str(pip)]) == str(tmp_path / "uv")  # it is there by now
    (tmp_path / "uv").unlink()
    assert install.find_uv([str(pip)]) is None
