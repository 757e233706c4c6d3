"""A run's curves and previews for TensorBoard: `tensorboard --logdir build/runs`. Outside the training loop."""

import importlib.util
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from torch import Tensor
from tqdm.auto import tqdm

from ddpm_core.training import Step

LOG_EVERY = 50  # steps: a look at the loss makes a GPU wait


def available() -> bool:
    return importlib.util.find_spec("tensorboard") is not None


def lost(what: str, error: OSError) -> None:
    """Say that something beside the training cannot be written any more: no reason to lose the training too."""
    tqdm.write(f"the training goes on without {what}, which could not be written: {error}", file=sys.stderr)


class Log(AbstractContextManager):
    """Writes loss, learning rate, gradient norm, images/s and previews into a folder; nothing where that is None. The
    first write that fails is the last, and is told."""

    def __init__(self, folder: Path | None, start: int, batch_size: int):
        self.writer, self.last, self.batch_size = None, (start, time.perf_counter()), batch_size
        if folder is not None:
            if not available():
                raise ValueError("logging needs TensorBoard: `pip install tensorboard`, or leave --log out")
            from torch.utils.tensorboard import SummaryWriter  # takes a second to import

            self.writer = SummaryWriter(folder, purge_step=start + 1)  # what a killed run logged beyond its checkpoint

    def step(self, report: Step) -> None:
        """To be called after every step."""
        if self.writer is None or report.step % LOG_EVERY:
            return
        step, then = self.last
        self.last = report.step, time.perf_counter()
        speed = (report.step - step) * self.batch_size / (self.last[1] - then)
        values = {"loss": float(report.loss), "learning rate": report.lr, "gradient norm": float(report.norm)}
        values["images per second"] = speed
        with self.writing():
            for name, value in values.items():
                self.writer.add_scalar(name, value, report.step)

    def preview(self, images: Tensor, columns: int, step: int) -> None:
        """Images (N, C, H, W) in [-1, 1] as a grid."""
        if self.writer is not None:
            from torchvision.utils import make_grid

            with self.writing():
                self.writer.add_image("preview", make_grid(images / 2 + 0.5, columns).clamp(0, 1), step)

    @contextmanager
    def writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as e:  # of this write, or of an earlier one: TensorBoard writes in a thread
            self.writer = None
            lost("TensorBoard's curves", e)

    def __exit__(self, *reason: object) -> None:
        if self.writer is not None:
            with self.writing():
                self.writer.close()
