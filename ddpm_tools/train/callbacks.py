"""What happens around a training loop: saves, snapshots, previews, curves, a progress bar, and a clean stop."""

import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm.auto import tqdm

from ddpm_core import checkpoint, plots
from ddpm_core.data import ImageData
from ddpm_core.samplers import sample
from ddpm_core.training import Step, TrainState
from ddpm_tools.train import resume
from ddpm_tools.train.beginning import Beginning
from ddpm_tools.train.engine import FastEngine
from ddpm_tools.train.interrupt import Interrupted, Request, requests
from ddpm_tools.train.logs import Log, lost


@dataclass(frozen=True)
class CallbackConfig:
    """What a run does besides training."""

    save_seconds: float = 60.0  # the most a killed run loses; more if a save takes over a hundredth of that
    save_every: int = 0  # steps between additional saves; 0: none
    snapshot_every: int = 0  # steps between permanent snapshots: NAME-000500, averaged weights in float16
    previews: Path | None = None  # a folder for sample grids, every config.train.preview_every steps
    log: Path | None = None  # a folder for TensorBoard
    progress: bool = True
    quick_gate: str = ""  # whether the design has passed the gate, for the record: see quick_gate.py


class Callbacks:
    """Saves, logs and draws during a run; of several processes only process 0 writes."""

    def __init__(
        self, begin: Beginning, out: Path, data: ImageData,
        state: TrainState, engine: FastEngine, options: CallbackConfig,
    ) -> None:  # fmt: skip
        self.config, self.out, self.data, self.state = begin.config, out, data, state
        self.origin = {k: asdict(v) for k in ("cooldown", "warm_start") if (v := getattr(begin, k))}  # for the record
        self.engine, self.ranks, self.options = engine, engine.ranks, options
        self.start, self.begin, self.saved, self.wait = state.step, time.monotonic(), time.monotonic(), 0.0
        record = checkpoint.read(begin.path, skip="")[1] if resume.exists(begin.path) else {}  # no tensors
        told = record.get("provenance", {})
        self.minutes, self.cpu = told.get("minutes", 0.0), told.get("cpu_seconds", 0.0)  # of this run's earlier parts
        self.cpu -= time.process_time()
        self.loss: Tensor | None = None
        self.previews = options.previews  # None after a failed write

    def run(self, steps: Iterable[Step]) -> None:
        """Run all steps, then save the result; Interrupted if a stop was requested."""
        first, total = self.ranks.first, self.config.train.steps
        silent = not (self.options.progress and first)
        bar = tqdm(total=total, initial=self.start, unit="step", desc="training", disable=silent)
        log = Log(self.options.log if first else None, self.start, self.config.train.batch_size)
        with requests() as asked, bar, log:
            asked.patient = self.ranks.world > 1
            for report in steps:
                bar.update()
                log.step(report)
                self.loss = report.loss
                if report.step % self.engine.speed.check_every == 0:  # the GPU is synchronised at this step anyway
                    bar.set_postfix(loss=f"{float(report.loss):.4f}", lr=f"{report.lr:.1e}", refresh=False)
                self.keep(report.step, log, asked)
            self.save(asked, resumable=False)

    def keep(self, step: int, log: Log, asked: Request) -> None:
        """Whatever is due after this step."""
        up, checked = self.options, self.due(self.engine.speed.check_every, step)
        if self.due(up.snapshot_every, step) and self.ranks.first:
            name = self.out.with_name(f"{self.out.name}-{step:06d}")
            self.engine.verify()
            resume.save_snapshot(name, self.state, self.config, **self.about())
        if self.due(self.config.train.preview_every, step) and (self.previews or up.log) and self.ranks.first:
            self.preview(step, log)
        stop = checked and self.ranks.any(bool(asked))
        late = checked and time.monotonic() - self.saved > max(up.save_seconds, self.wait)
        if stop or late or self.due(up.save_every, step):
            self.save(asked)
        if stop:
            self.ranks.wait()  # until process 0 has saved
            raise Interrupted(asked.number or 2)

    def due(self, every: int, step: int) -> bool:
        """Whether a multiple of `every` is reached, but not at the last step, when everything is saved anyway."""
        return every > 0 and step % every == 0 and step < self.config.train.steps

    def save(self, asked: Request, resumable: bool = True) -> None:
        if self.ranks.first:
            began, patient, asked.patient = time.monotonic(), asked.patient, True
            self.engine.verify()  # before the existing checkpoint is replaced
            resume.save_training(self.out, self.state, self.config, resumable, **self.about())
            asked.patient, self.saved = patient, time.monotonic()
            self.wait = 100 * (self.saved - began)  # large networks on slow disks: at most a hundredth of the time

    def about(self) -> dict[str, Any]:
        """Where the weights come from, for the JSON file beside them."""
        seconds, device = time.monotonic() - self.begin, self.engine.device
        gpu, done = device.type == "cuda", self.state.step - self.start
        about = {
            "data": self.config.data,
            "n_train": len(self.data),
            **({"left_out": list(self.data.left_out)} if self.data.left_out else {}),
            **({"classes": list(self.data.classes)} if self.config.unet.num_classes else {}),
            "seed": self.config.train.seed,
            "step": self.state.step,
            "device": torch.cuda.get_device_name(device) if gpu else device.type,
            "processes": self.ranks.world,
            "torch": torch.__version__,
            "speed": asdict(self.engine.speed),
            "last_loss": round(float(self.loss), 4) if self.loss is not None else None,
            "minutes": round(self.minutes + seconds / 60, 2),
            "cpu_seconds": round(self.cpu + time.process_time(), 1),  # of all threads of this process
            "images_per_second": round(done * self.config.train.batch_size / seconds, 1),
            "peak_memory_mb": torch.cuda.max_memory_allocated(device) >> 20 if gpu else None,
        }
        about |= {"quick_gate": gate} if (gate := self.options.quick_gate) else {}
        return {"provenance": about | self.origin}

    def preview(self, step: int, log: Log) -> None:
        """Samples from the averaged weights, one row per class (the first ten), or for the first captions."""
        self.engine.verify()
        k, names = min(self.config.unet.num_classes, 10), []
        if self.data.labels.dim() == 2:
            y = self.data.labels[:32]  # (n, S)
        elif k:
            y, names = torch.arange(k).repeat_interleave(8), self.data.classes[:k]  # (8·k,)
        else:
            y = torch.zeros(32, dtype=torch.long)
        w = 2.0 if self.config.train.p_uncond and (k or y.dim() == 2) else 1.0  # else the null class is untrained
        images = sample(self.state.averaged, y, w, 20)
        log.preview(images, 8, step)
        if self.previews:
            figure = plots.grid(images, 8, names, title=f"step {step}", row_label="class asked for" if names else "")
            try:
                plots.save(figure, self.previews / f"{step}.png")
            except OSError as e:
                self.previews = None
                lost("previews", e)
