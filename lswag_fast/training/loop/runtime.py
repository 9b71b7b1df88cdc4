"""Where a training runs: device, precision and processes, by Lightning Fabric."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Literal

from lswag_fast.errors import BackendUnavailableError, needs_extra

_PRECISIONS: dict[str, Literal["32-true", "bf16-mixed"]] = {"float32": "32-true", "bfloat16": "bf16-mixed"}


@dataclass(frozen=True)
class Runtime:
    """Where a training runs.

    Several processes are those that `torchrun` starts: each trains on an equal part of every batch, on a device of its
    own, and the gradients are averaged (distributed data parallel).

    Attributes:
        device: "cpu", "cuda", or "auto" for CUDA where there is any.
        precision: "float32", or "bfloat16" for products in bfloat16 with weights in float32.
        n_loaders: processes that read and change images ahead; 0: the training does.

    Example:
        >>> Runtime().n_processes, Runtime().is_main
        (1, True)
    """

    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["float32", "bfloat16"] = "float32"
    n_loaders: int = 0

    @property
    def n_processes(self) -> int:
        """Processes of this training, over all machines."""
        return int(os.environ.get("WORLD_SIZE", "1"))

    @property
    def is_main(self) -> bool:
        """Whether this is the process that writes."""
        return os.environ.get("RANK", "0") == "0"

    def open(self) -> Any:
        """Return a `lightning_fabric.Fabric` that is ready.

        Raises:
            MissingExtraError: Lightning Fabric is not installed.
            BackendUnavailableError: there is no CUDA device.
        """
        import torch

        with needs_extra("train", "lightning-fabric"):
            from lightning_fabric import Fabric
            from lightning_fabric.strategies.ddp import DDPStrategy
        if self.device == "cuda" and not torch.cuda.is_available():
            raise BackendUnavailableError("device: torch finds no CUDA device; take cpu")
        here = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
        accelerator = "gpu" if self.device == "cuda" or (self.device == "auto" and torch.cuda.is_available()) else "cpu"
        fabric = Fabric(
            accelerator=accelerator,
            devices=here,
            num_nodes=self.n_processes // here,
            # The blocks that a drawn network leaves out get no gradient.
            strategy=DDPStrategy(find_unused_parameters=True) if self.n_processes > 1 else "auto",
            precision=_PRECISIONS[self.precision],
        )
        fabric.launch()
        return fabric

    def to_dict(self, fabric: Any) -> dict[str, Any]:
        """Return what of this decides the bits of the result, as JSON values."""
        return {"device": fabric.device.type, "precision": self.precision, "processes": self.n_processes}
