import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest
import torch
from PIL import Image

from ddpm_core import checkpoint
from ddpm_core.conditioning import STRATEGIES
from ddpm_core.config import PRESETS, Preset
from ddpm_core.data import digits
from ddpm_core.parameterization import V
from ddpm_core.training import TrainState, train
from ddpm_core.unet import Conditioning, UNetConfig
from ddpm_tools.train import callbacks, resume, runs
from ddpm_tools.train.callbacks import CallbackConfig
from ddpm_tools.train.interrupt import Interrupted, Request
from ddpm_tools.train.logs import Log
from ddpm_tools.train.objectives import min_snr, stratified_times
from ddpm_tools.train.runs import fit, train_run, training_data
from ddpm_tools.train.speed import Hardware, Speed
from tests.ddpm_core.test_training import CONFIG, UNET
from tests.ddpm_tools.train.test_engine import Spikes

PRESET = Preset(unet=UNET, conditioning="adaln_zero", train=replace(CONFIG, preview_every=4))
QUIET = CallbackConfig(progress=False)


def step_of(path):
    return int(checkpoint.read(path)[0]["step"][0])


def cpu_seconds(path):
    return checkpoint.read(path)[1]["provenance"]["cpu_seconds"]


def same(a, b):
    (a, _), (b, _) = checkpoint.read(a), checkpoint.read(b)
    return set(a) == set(b) and all(torch.equal(a[k], b[k]) for k in a)


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    torch.set_num_threads(1)
    return train_run(PRESET, tmp_path_factory.mktemp("runs") / "straight", callbacks=QUIET)


@pytest.fixture
def at_step(monkeypatch):
    """at_step(n, action): do something right after step n, once."""

    def install(n, action):
        real, done = Log.step, []

        def step(self, report):
            real(self, report)
            if report.step == n and not done:
                done.append(n)
                action()

        monkeypatch.setattr(Log, "step", step)

    return install


def test_a_finished_run_is_not_run_again(straight, monkeypatch):
    record = checkpoint.read(straight)[1]
    assert record["provenance"]["speed"]["bf16"] is False and record["provenance"]["processes"] == 1
    monkeypatch.setattr("ddpm_tools.train.runs.train", None)
    assert train_run(PRESET, straight) == straight


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_after_the_step_and_the_same_call_goes_on(straight, tmp_path, at_step, number):
    at_step(5, lambda: os.kill(os.getpid(), number))
    before = [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(Interrupted) as stopped:
        train_run(PRESET, tmp_path / "run", callbacks=QUIET)
    assert stopped.value.code == 128 + number and step_of(tmp_path / "run") == 5
    assert [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)] == before
    spent, clock = cpu_seconds(tmp_path / "run"), time.process_time()
    assert same(train_run(PRESET, tmp_path / "run", callbacks=QUIET), straight)
    assert 0 < spent < cpu_seconds(tmp_path / "run") <= spent + time.process_time() - clock + 0.1


def test_where_the_loss_is_looked_at_now_and_then_so_is_the_wish_to_stop(tmp_path, at_step):
    at_step(2, lambda: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(Interrupted):
        train_run(PRESET, tmp_path / "run", callbacks=QUIET, speed=Speed(fused=True, check_every=5))
    assert step_of(tmp_path / "run") == 5


def test_a_second_ctrl_c_does_not_wait_but_for_a_save():
    request = Request()
    request.receive(signal.SIGINT, None)
    with pytest.raises(KeyboardInterrupt):
        request.receive(signal.SIGINT, None)
    request.patient = True
    request.receive(signal.SIGINT, None)


def test_a_slow_run_saves_by_the_clock_and_a_slow_disk_is_not_asked_too_often(tmp_path, monkeypatch):
    class Clock:
        now, cost = 0.0, 0.0
        process_time = staticmethod(time.process_time)

        @classmethod
        def monotonic(cls):
            return cls.now

    saved, real = [], resume.save_training

    def save(out, state, *args, **about):
        saved.append(state.step)
        Clock.now += Clock.cost
        return real(out, state, *args, **about)

    def step(self, report):
        Clock.now += 25

    monkeypatch.setattr(callbacks, "time", Clock)
    monkeypatch.setattr(resume, "save_training", save)
    monkeypatch.setattr(Log, "step", step)
    train_run(PRESET, tmp_path / "a", callbacks=replace(QUIET, save_seconds=60))
    assert saved == [3, 6, 9, 12]  # every 75 s
    saved.clear()
    Clock.cost = 2.0  # a hundredth of 200 s
    train_run(PRESET, tmp_path / "b", callbacks=replace(QUIET, save_seconds=60))
    assert saved == [3, 12]
    saved.clear()
    train_run(PRESET, tmp_path / "c", callbacks=replace(QUIET, save_seconds=1e9, save_every=4))
    assert saved == [4, 8, 12]


def test_a_run_whose_loss_is_nan_keeps_its_last_save(tmp_path, monkeypatch):
    monkeypatch.setitem(STRATEGIES, "spiky", Conditioning(lambda t, c: t + c, Spikes))
    Spikes.calls, Spikes.bad = 0, 7 * 6 + 1  # the eighth step of a network with six conditioners
    config = replace(PRESET, conditioning="spiky")
    with pytest.raises(FloatingPointError, match=r"not finite at step 7; try .*; .*run keeps its last save"):
        train_run(config, tmp_path / "run", callbacks=replace(QUIET, save_every=5))
    loaded = checkpoint.load(tmp_path / "run")
    assert loaded.step == 5 and all(p.isfinite().all() for p in loaded.ema.parameters())
    Spikes.calls = 0
    with pytest.raises(FloatingPointError, match="nothing had been saved yet"):
        train_run(config, tmp_path / "other", callbacks=QUIET)
    assert not resume.exists(tmp_path / "other")


def test_killed_for_good_it_goes_on_from_its_last_save_bit_for_bit(tmp_path):
    config = replace(PRESETS["digits"], train=replace(PRESETS["digits"].train, steps=12, batch_size=16))
    options = ["--batch-size", "16", "--steps", "12", "--save-every", "2", "--no-log", "--out", str(tmp_path / "a")]
    words = [sys.executable, "-m", "ddpm_tools.cli", "train", *options]
    env = os.environ | {"OMP_NUM_THREADS": "1"}  # as here: another number of threads sums in another order
    killed = subprocess.Popen(words, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not resume.exists(tmp_path / "a"):
        assert killed.poll() is None
        time.sleep(0.01)
    killed.kill()
    killed.wait()
    assert 2 <= step_of(tmp_path / "a") < 12
    assert same(train_run(config, tmp_path / "a", callbacks=QUIET), train_run(config, tmp_path / "b", callbacks=QUIET))


def test_previews_curves_and_snapshots(straight, tmp_path, monkeypatch):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    monkeypatch.setattr("ddpm_tools.train.logs.LOG_EVERY", 3)
    up = CallbackConfig(snapshot_every=5, previews=tmp_path / "previews", log=tmp_path / "log", progress=False)
    assert same(train_run(PRESET, tmp_path / "run", callbacks=up), straight)
    assert sorted(p.name for p in (tmp_path / "previews").iterdir()) == ["4.png", "8.png"]
    assert checkpoint.load(tmp_path / "run-000010").step == 10 and checkpoint.load(tmp_path / "run-000005").step == 5
    events = EventAccumulator(str(tmp_path / "log")).Reload()
    assert set(events.Tags()["scalars"]) == {"loss", "learning rate", "gradient norm", "images per second"}
    curve = events.Scalars("loss")
    assert [e.step for e in curve] == [3, 6, 9, 12]
    last = json.loads((tmp_path / "run.json").read_text())["provenance"]["last_loss"]
    assert curve[-1].value == pytest.approx(last, abs=1e-4)
    assert events.Scalars("images per second")[-1].value > 0
    assert [e.step for e in events.Images("preview")] == [4, 8]


def test_an_unconditional_network_takes_any_labels(tmp_path):
    config = replace(PRESET, unet=replace(UNET, num_classes=0), conditioning="none")
    config = replace(config, train=replace(config.train, steps=5))
    assert (training_data(config).labels == 0).all()
    path = train_run(config, tmp_path / "run", callbacks=replace(QUIET, previews=tmp_path))
    assert checkpoint.load(path).step == 5 and (tmp_path / "4.png").is_file()


def test_a_batch_may_be_larger_than_the_data_but_not_without_end(tmp_path):
    for i in range(20):
        (tmp_path / f"few/{i % 10}").mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8), 12 * i).save(tmp_path / f"few/{i % 10}/{i}.png")

    def config(data, batch_size):
        return replace(PRESET, data=data, train=replace(PRESET.train, steps=1, batch_size=batch_size))

    few = config(str(tmp_path / "few"), 128)
    assert len(training_data(few)) == 20 and train_run(few, tmp_path / "run", callbacks=QUIET)
    for data, size, most in (("digits", 10**11, 22992), (few.data, 2049, 2048)):
        with pytest.raises(ValueError, match=f"a batch of {size} images is far more .* --batch-size of at most {most}"):
            train_run(config(data, size), tmp_path / "other", callbacks=QUIET)


def test_data_that_do_not_fit_are_named():
    with pytest.raises(ValueError, match=r"takes images of 3 channel\(s\) at 32×32, but digits has 1 at 8×8"):
        fit(Preset(), digits())
    with pytest.raises(ValueError, match="7 classes, but digits has 10; set the preset's num_classes to 10"):
        fit(Preset(unet=UNetConfig(1, 8, 7)), digits())


def test_a_run_outlives_its_previews_and_its_log(straight, tmp_path, monkeypatch, capsys):
    from torch.utils.tensorboard import SummaryWriter

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ddpm_tools.train.logs.LOG_EVERY", 3)
    monkeypatch.setattr(SummaryWriter, "add_scalar", full)
    (tmp_path / "file").touch()
    up = replace(QUIET, previews=tmp_path / "file/previews", log=tmp_path / "log")
    assert same(train_run(PRESET, tmp_path / "run", callbacks=up), straight)
    err = capsys.readouterr().err
    assert err.count("goes on without previews") == err.count("goes on without TensorBoard's curves") == 1


def test_a_run_in_bfloat16_goes_on_in_it_bit_for_bit(tmp_path, at_step):
    torch.set_num_threads(1)
    half = Speed(bf16=True)
    whole = train_run(PRESET, tmp_path / "whole", callbacks=QUIET, speed=half)
    at_step(5, lambda: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(Interrupted):
        train_run(PRESET, tmp_path / "run", callbacks=QUIET, speed=half)
    again = train_run(PRESET, tmp_path / "run", callbacks=QUIET)  # the record says how it began
    assert same(again, whole)
    assert checkpoint.read(again)[1]["provenance"]["speed"]["bf16"] is True


def test_long_runs_alone_ask_whether_bfloat16_pays(tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "bf16_pays", lambda diffusion, batch: batch == 8)
    monkeypatch.setattr(runs, "hardware", lambda device: Hardware("cpu", bf16=True))
    diffusion = PRESET.diffusion(checkpoint.network_of(PRESET))

    def wants(steps, processes=1):
        train = replace(CONFIG, steps=steps, batch_size=16)
        return runs.wants_bf16(tmp_path / "new", replace(PRESET, train=train), diffusion, processes)

    assert [wants(999, 2), wants(1000, 2), wants(1000)] == [False, True, False]
    assert runs.wants_bf16(train_run(PRESET, tmp_path / "short", callbacks=QUIET), PRESET, diffusion) is False


def test_a_preset_names_its_loss_and_timesteps(tmp_path, straight):
    torch.set_num_threads(1)
    config = replace(PRESET, loss="min-snr-5", times="stratified", parameterization="v")
    done = train_run(config, tmp_path / "run", callbacks=QUIET)
    state = TrainState.start(config.diffusion(checkpoint.network_of(config)), config.train)
    list(train(state, training_data(config), config.train, min_snr(V, 5.0), stratified_times))
    loaded = checkpoint.load(done)
    assert loaded.preset == config
    for ours, theirs in zip(loaded.ema.state_dict().values(), state.ema.module.state_dict().values()):
        assert torch.equal(ours, theirs)
    for name in ("loss", "times"):
        with pytest.raises(ValueError, match=f"unknown {name} 'best'; known: "):
            train_run(replace(PRESET, **{name: "best"}), tmp_path / "none", callbacks=QUIET)
