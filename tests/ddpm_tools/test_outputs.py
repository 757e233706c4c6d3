"""What cannot be written is refused before the work, by every command, in one sentence that names the path."""

import pytest

from ddpm_core import checkpoint
from ddpm_tools import outputs
from ddpm_tools.cli.main import main
from ddpm_tools.train import resume

COMMANDS = ("train", "shrink", "classifier", "sample", "sweep", "interpolate", "evaluate", "diagnose", "demo")


@pytest.fixture
def refused(capsys, tmp_path, monkeypatch):
    """refused(*argv) -> the sentence; nothing has been loaded, trained, drawn or made before it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "r.safetensors").mkdir()

    def say(*argv):
        before = sorted(tmp_path.iterdir())
        with monkeypatch.context() as m, pytest.raises(SystemExit) as e:
            for name in (
                "ddpm_core.checkpoint.load",
                "ddpm_tools.train.resume.shrink",
                "ddpm_tools.cli.train.train_run",
                "ddpm_tools.evaluation.classifiers.fit_and_save",
            ):
                m.setattr(name, None)
            main([str(a) for a in argv])
        err = capsys.readouterr().err.strip()
        assert e.value.code == 2 and "Traceback" not in err and sorted(tmp_path.iterdir()) == before
        return err.splitlines()[-1]

    return say


@pytest.mark.parametrize("command", COMMANDS)
def test_a_place_below_a_file(command, refused):
    words = [command, "--pair", "1", "2"] if command == "interpolate" else [command]
    assert "--out file/a.png cannot be written: file is not a folder" in refused(*words, "--out", "file/a.png")
    assert "argument --out: must name a place" in refused(*words, "--out", "")


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["train", "--out", "/"], "--out / is not a file name"),
        (["train", "--out", "."], "--out . is not a file name"),
        (["train", "--out", "r"], "r.safetensors is a folder"),
        (["train", "--log", "file"], "--log file cannot be written: file is not a folder"),
        (["train", "--previews", "file"], "--previews file cannot be written: file is not a folder"),
        (["sample", "--out", "folder"], "--out folder is a folder; name a picture in it"),
        (["sample", "--out", "s.xyz"], "--out s.xyz has no picture extension; end it in .png"),
        (["sample", "--out", "v1.5"], "end it in .png"),
        (["sample", "--out", "plain"], "end it in .png"),
        (["sweep", "--out", "file"], "file is not a folder"),
    ],
)
def test_other_places(argv, says, refused):
    assert says in refused(*argv)


def test_a_disk_that_takes_nothing(tmp_path, monkeypatch):
    def read_only(**_):
        raise OSError(30, "Read-only file system")

    assert outputs.folder(tmp_path / "a/b") == tmp_path / "a/b" and not list(tmp_path.iterdir())
    monkeypatch.setattr(outputs.tempfile, "TemporaryFile", read_only)
    with pytest.raises(ValueError, match=r"--out .*a/b cannot be written \(Read-only file system\)"):
        outputs.folder(tmp_path / "a/b")


def test_a_checkpoint_is_not_shrunk_onto_itself(tmp_path):
    from ddpm_core.config import DATA_DIR

    (tmp_path / "folder").mkdir()
    for suffix in (".json", ".safetensors"):
        own = checkpoint.with_suffix(tmp_path / "own", suffix)
        own.write_bytes(checkpoint.with_suffix(DATA_DIR / "checkpoints/digits", suffix).read_bytes())
    before = checkpoint.file_digest(tmp_path / "own")
    for out in ("own", "own.json", "folder/../own.safetensors"):
        with pytest.raises(ValueError, match=r"is the checkpoint itself, .* choose another --out"):
            resume.shrink(tmp_path / "own", tmp_path / out)
    assert checkpoint.file_digest(tmp_path / "own") == before
