"""A run's curves and previews for TensorBoard: `tensorboard --logdir build/runs`. Not part of the training loop."""

import importlib.util
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from torch import Tensor
from tqdm.auto import tqdm

from ddpm_core.training import Step

LOG_EVERY = 50  # steps: reading the loss makes a GPU wait


def available() -> bool:
    return importlib.util.find_spec("tensorboard") is not None


def lost(what: str, error: OSError) -> None:
    """Report that something besides the checkpoint cannot be written; that is no reason to stop training."""
    tqdm.write(f"training goes on without {what}, which could not be written: {error}", file=sys.stderr)


class Log(AbstractContextManager):
    """Writes loss, learning rate, gradient norm, images/s and previews to a folder; nothing if it is None. After the
    first failed write, it reports the failure and stops logging."""

    def __init__(self, folder: Path | None, start: int, batch_size: int):
        self.writer, self.last, self.batch_size = None, (start, time.perf_counter()), batch_size
        if folder is not None:
            if not available():
                raise ValueError("logging needs TensorBoard: `pip install tensorboard`, or omit --log")
            from torch.utils.tensorboard import SummaryWriter  # takes a second to import

            self.writer = SummaryWriter(folder, purge_step=start + 1)  # drops what a killed run logged after its save

    def step(self, report: Step) -> None:
        """Call after every step."""
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
        except OSError as e:  # from this write or an earlier one: TensorBoard writes in a thread
            self.writer = None
            lost("TensorBoard's curves", e)

    def __exit__(self, *reason: object) -> None:
        if self.writer is not None:
            with self.writing():
                self.writer.close()
