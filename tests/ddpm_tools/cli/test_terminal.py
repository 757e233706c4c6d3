"""The manners of both commands: what a bare word, a typing error, a shell and a program get."""

import json
import os
import re
import subprocess
import sys

import pytest

from autograder.cli import main as autograder
from ddpm_tools.cli import main as ddpm
from ddpm_tools.cli.commands import COMMANDS

PROGRAMS = {"ddpm": ddpm, "autograder": autograder}


def said(capsys, program, *argv, status=2):
    with pytest.raises(SystemExit) as e:
        PROGRAMS[program].main(list(argv))
    out = capsys.readouterr()
    assert e.value.code == status
    return out.out if status == 0 else out.err


def run(code, **environment):
    """A fresh interpreter: what is imported there was imported for this."""
    code = f"import sys\n{code}\nprint('torch' in sys.modules, file=sys.stderr)"
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=os.environ | environment, timeout=60
    )


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_bare_command_shows_every_command_by_task(program, capsys):
    PROGRAMS[program].main([])
    text = capsys.readouterr().out
    root = PROGRAMS[program].parser()
    listed = [line.split()[0] for line in text.splitlines() if line.startswith("  ") and not line.startswith("   ")]
    action = next(a for a in root._actions if a.dest == "command")
    assert sorted(listed[:-1]) == sorted(action.choices)  # the last one begins the example
    assert all(len(line) <= 120 for line in text.splitlines())
    assert text == said(capsys, program, "--help", status=0)


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("words", [[], ["--version"], ["--help"], ["smaple"]])
def test_what_needs_no_torch_imports_none(program, words):
    """It takes two seconds."""
    module = PROGRAMS[program].__name__
    done = run(f"from {module} import main\ntry: main({words!r})\nexcept SystemExit: pass")
    assert done.stderr.splitlines()[-1] == "False"
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_version_names_torch_and_python(program, capsys):
    import torch

    text = said(capsys, program, "--version", status=0)
    assert text.startswith(program) and torch.__version__.partition("+")[0] in text
    assert sys.version.split()[0] in text


@pytest.mark.parametrize(
    ("program", "argv", "usage", "says"),
    [
        ("ddpm", ["smaple"], "usage: ddpm COMMAND", "ddpm: unknown command 'smaple'; did you mean sample?"),
        ("autograder", ["chekc"], "usage: autograder COMMAND", "unknown command 'chekc'; did you mean check?"),
        ("ddpm", ["sample", "--stpes", "3"], "usage: ddpm sample", "ddpm sample: unknown option --stpes; did you mean"),
        ("ddpm", ["sample", "--stpes=3"], "usage: ddpm sample", "did you mean --steps?"),
        ("ddpm", ["sample", "--sampler", "dmp++"], "usage: ddpm sample", "unknown value 'dmp++'; did you mean dpm++?"),
        ("ddpm", ["train", "digits"], "usage: ddpm train", "what is 'digits' for?"),
        ("ddpm", ["--seed", "3"], "usage: ddpm COMMAND", "unknown option --seed"),
        ("autograder", ["grade", "x", "--job", "2", "--out", "y", "--nothing"], "usage: autograder grade", "--nothing"),
        ("autograder", ["challenge", "tset"], "usage: autograder challenge", "'tset'; did you mean test?"),
    ],
)
def test_a_typing_error_is_answered_by_the_command_it_was_made_in(program, argv, usage, says, capsys):
    text = said(capsys, program, *argv)
    assert text.startswith(usage) and says in text.splitlines()[-1]


@pytest.mark.parametrize("name", [c.name for c in COMMANDS])
def test_help_shows_every_default(name, capsys):
    """None, on and off say themselves; any other value that a user gets without asking stands in the help."""
    text = said(capsys, "ddpm", name, "--help", status=0)
    blocks = {block.split()[0]: block for block in re.split(r"\n  (?=-)", text)[1:]}
    sub = next(a for a in ddpm.parser(name)._actions if a.dest == "command").choices[name]
    for action in sub._actions:
        if action.option_strings and action.default not in (None, "", [], "==SUPPRESS=="):
            if isinstance(action.default, bool):
                continue
            assert "default" in blocks[action.option_strings[0]], action


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_shell_completes_commands_and_options(program):
    for line, word in ((f"{program} ex", "export"), (f"{program} demo --se", "--seed")):
        # As argcomplete's script calls it: the answer is written to descriptor 8
        shell = {"_ARGCOMPLETE": "1", "_ARGCOMPLETE_IFS": "\n", "COMP_LINE": line, "COMP_POINT": str(len(line))}
        code = f"import os; os.dup2(1, 8); from {PROGRAMS[program].__name__} import main; main()"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ | shell)
        assert any(found.strip().startswith(word) for found in done.stdout.splitlines()), done.stderr


def test_results_as_json_are_the_table_and_nothing_else(capsys):
    ddpm.main(["results", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert found["runs"][0]["figures"] and set(found["published"]) == {"architecture", "conditioning", "prediction"}
    assert {row["entry"] for row in found["published"]["conditioning"]} >= {"adanorm", "concat-film"}


def test_status_as_json(capsys, tmp_path):
    from autograder.grading.progress import Progress

    Progress(tmp_path, 3, ["graded"]).finish("ada/5_1", "timeout")
    autograder.main(["status", "--out", str(tmp_path), "--json"])
    found = json.loads(capsys.readouterr().out)
    assert (found["done"], found["total"], found["at_work"]) == (2, 3, False)
    assert found["outcomes"] == {"graded": 1, "timeout": 1}


def test_the_leaderboard_as_json(capsys, tmp_path):
    folder = tmp_path / "log"
    folder.mkdir()
    autograder.main(["challenge", "leaderboard", "--record", str(folder), "--track", "prediction", "--json"])
    rows = json.loads(capsys.readouterr().out)["tracks"]["prediction"]
    assert "epsilon" in {row["entry"] for row in rows}
