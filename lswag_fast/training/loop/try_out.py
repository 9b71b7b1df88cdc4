"""The first batch, tried out before there is a folder: a training that cannot begin leaves nothing behind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from lswag_fast.errors import InputError, names_failure
from lswag_fast.random_state import RandomState, seed_all
from lswag_fast.training.accuracy import check_outputs
from lswag_fast.training.loop.loop import Task, batches_of, logits_of
from lswag_fast.training.loop.runtime import Runtime
from lswag_fast.training.loop.seeds import derived_seed


def try_out(task: Task, runtime: Runtime, fabric: Any) -> None:
    """Run a module on the first batch as the first step does, and refuse what a training would end with.

    The module is left as it was, as is the random state.

    Args:
        task: what is to be trained.
        runtime: where.
        fabric: of `runtime.open()`.

    Raises:
        InputError: the recipe does not fit the images, or the module returns no logits, or none that depend on a
            parameter that is trained, or has a state that cannot be stored.
        NetworkFailedError: the module ends in an error of its own.
        NonFiniteOutputError: a logit is NaN or infinite in eval mode, in which the module is measured.

    Example:
        >>> from lswag_fast.training.recipe import RECIPES
        >>> pairs = [(torch.zeros(1, 2, 2), 0), (torch.ones(1, 2, 2), 1)]
        >>> network = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
        >>> task = Task(network, pairs, 2, (0.0,), (1.0,), RECIPES["short"].with_changes(batch_size=2))
        >>> try_out(task, Runtime("cpu"), Runtime("cpu").open())
    """
    _check_state(task.module)
    batches = batches_of(task, replace(runtime, n_loaders=0), fabric.global_rank)
    task.module.to(fabric.device)
    try:
        with _left_as_it_was(task.module):
            images, labels = next(batches.of_epoch(0))
            seed_all(derived_seed(task.seed, "step", 0, fabric.global_rank))
            _check_outputs(task, fabric, fabric.to_device(images), labels)
    finally:
        task.module.cpu()  # where a network is made


def _check_outputs(task: Task, fabric: Any, images: Tensor, labels: Tensor) -> None:
    task.module.train()
    with fabric.autocast():
        logits = logits_of(task.module, task, images, 0)
    if not logits.requires_grad:
        raise InputError("the network has no parameter to train that its logits depend on; see requires_grad")
    if task.measure is None:
        return
    # With the statistics of a batch: a deep network may overflow with those that BatchNorm begins with.
    task.module.eval()
    with torch.no_grad(), names_failure(f"the network fails in eval mode on images of shape {tuple(images.shape)}"):
        outputs = task.module(images, *task.draw(0))
    check_outputs(outputs, labels)


def _check_state(module: nn.Module) -> None:
    """Refuse a state that safetensors cannot hold."""
    for name, value in module.state_dict().items():
        if not isinstance(value, Tensor):
            of = f"module {name.rpartition('.')[0]!r}" if "." in name else "network itself"
            raise InputError(
                f"the {of} has a state of type {type(value).__name__} (get_extra_state), and a training stores "
                "tensors only"
            )


@contextmanager
def _left_as_it_was(module: nn.Module) -> Iterator[None]:
    """Afterwards modes, buffers and attributes of a module, and the random state, are what they were."""
    random_state = RandomState()
    parts = [(part, part.training, dict(vars(part)), dict(part._buffers.items())) for part in module.modules()]
    contents = [(buffer, buffer.clone()) for buffer in module.buffers()]
    try:
        yield
    finally:
        with torch.no_grad():
            for buffer, content in contents:
                buffer.copy_(content)
        for part, mode, attributes, buffers in parts:
            vars(part).clear()  # an attribute may be a counter, or made in the first call
            vars(part).update(attributes)
            part.training = mode
            if not isinstance(part, torch.jit.ScriptModule):  # whose buffers keep their place
                part._buffers.clear()
                part._buffers.update(buffers)
        random_state.restore()
