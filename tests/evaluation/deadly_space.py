"""A space that ends a process; in a module of its own, so that worker processes find it."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from torch import nn

from lswag_fast.spaces import NasBench201


class Deadly(NasBench201):
    """Building `cell` for the first time, when `mark` does not exist yet, kills the process."""

    def __init__(self, cell: str, mark: Path) -> None:
        super().__init__(channels=4, cells_per_stage=1, image_size=8, num_classes=3)
        self.cell = cell
        self.mark = mark

    def build(self, arch: Any, weights: Any = None) -> nn.Module:
        if arch["cell"] == self.cell and not self.mark.exists():
            self.mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().build(arch)
