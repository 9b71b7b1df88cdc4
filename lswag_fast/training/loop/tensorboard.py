"""The course of a training for TensorBoard."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lswag_fast.errors import needs_extra


class TensorBoard:
    """A watcher of the loop that writes loss, learning rate and speed of each epoch for TensorBoard.

    Args:
        folder: where to; made when the training begins.

    Raises:
        MissingExtraError: TensorBoard is not installed.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp(), "tensorboard")
        >>> board = TensorBoard(folder)
        >>> board.began(step=0, n_steps=10)
        >>> board.ended_epoch({"epoch": 1, "loss": 2.3})
        >>> board.close()
        >>> len(list(folder.iterdir()))
        1
    """

    def __init__(self, folder: Path) -> None:
        with needs_extra("train", "tensorboard"):
            from torch.utils.tensorboard import SummaryWriter
        self._make: Any = SummaryWriter
        self._folder = folder
        self._writer: Any = None

    def began(self, step: int, n_steps: int) -> None:
        """Open the file of this run."""
        self._writer = self._make(str(self._folder))

    def stepped(self, step: int, loss: float, images_per_s: float) -> None:
        """Nothing: a point per epoch is enough."""

    def ended_epoch(self, row: dict[str, float]) -> None:
        """Write the row of an epoch; one that is written again after a cut has the same values."""
        for name, value in row.items():
            if name != "epoch":
                self._writer.add_scalar(name, value, int(row["epoch"]))

    def close(self) -> None:
        """Write what is left."""
        if self._writer is not None:
            self._writer.close()
