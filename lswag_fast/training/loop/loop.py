"""The one training loop: of a supernet, and of a single network.

What a step draws follows from the seed and the step's number (`seeds`), and the state that is stored holds
weights, optimiser and schedule. So a training that is cut at any step and continued ends with the weights of an
uninterrupted one, bit for bit, on the same machine, device, number of processes and of threads.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from lswag_fast.errors import InputError, NonFiniteLossError, names_failure
from lswag_fast.execution import Interrupts
from lswag_fast.random_state import RandomState, seed_all
from lswag_fast.training.loop.augmentation import batch_change, image_change
from lswag_fast.training.loop.batches import Batches
from lswag_fast.training.loop.folder import State, TrainingFolder
from lswag_fast.training.loop.runtime import Runtime
from lswag_fast.training.loop.seeds import derived_seed
from lswag_fast.training.recipe import Recipe, parameter_groups

STORE_S = 60.0
"""Seconds after which the state is stored in the middle of an epoch; at the end of one it always is."""
LOOK_STEPS = 10
"""Steps after which the losses are looked at; to look at each would let a GPU wait."""
WEIGHTS, MEAN, OPTIMIZER = "weights/", "mean/", "optimizer/"


@dataclass(frozen=True)
class Task:
    """What is trained, and on what.

    Attributes:
        module: images (B, C, H, W) and what `draw` returns -> logits (B, classes), or those of several networks one
            after the other (n B, classes). Trained in place.
        images: to train on, pairs of an image and its label.
        num_classes: labels lie below it.
        mean: of each channel of the images, which was subtracted.
        std: of each channel, by which they were divided.
        recipe: how.
        seed: of everything that is drawn.
        undecayed: names of parameters without weight decay, beside biases and norms.
        draw: what the module takes beside the images at a step.
        measure: the module with the weights that are kept -> what an epoch's row of the log has beside loss, accuracy,
            learning rate and speed, by name; draws nothing and changes nothing. None for no more.
    """

    module: nn.Module
    images: Any
    num_classes: int
    mean: Sequence[float]
    std: Sequence[float]
    recipe: Recipe
    seed: int = 0
    undecayed: Collection[str] = ()
    draw: Callable[[int], tuple[Any, ...]] = lambda step: ()
    measure: Callable[[nn.Module], dict[str, float]] | None = None


class Watcher(Protocol):
    """What is told how a training goes."""

    def began(self, step: int, n_steps: int) -> None:
        """The training begins, or continues after `step` steps of `n_steps`."""

    def stepped(self, step: int, loss: float, images_per_s: float) -> None:
        """So many steps were made; the last one's loss, and the speed of the epoch so far."""

    def ended_epoch(self, row: dict[str, float]) -> None:
        """An epoch has ended: its row of the log."""


class Loop:
    """A training in a folder.

    Args:
        task: what is trained.
        folder: where its state is stored, and read from.
        runtime: where it runs.
        fabric: of `runtime.open()`.
        watchers: are told how it goes, in the process that writes.
        interrupts: whose signal ends it after a step.

    Raises:
        InputError: the recipe does not fit the images or the network.
        StorageError: the stored state is damaged.
    """

    def __init__(
        self,
        task: Task,
        folder: TrainingFolder,
        runtime: Runtime,
        fabric: Any,
        watchers: Sequence[Watcher] = (),
        interrupts: Interrupts | None = None,
    ) -> None:
        self._task, self._folder, self._fabric = task, folder, fabric
        self._watchers, self._interrupts = (watchers if folder.writes else ()), interrupts
        self._batches = batches_of(task, runtime, fabric.global_rank)
        self._mix = batch_change(task.recipe, task.num_classes)
        self._schedule = _Schedule(task, len(self._batches))
        self._module, self._optimizer = fabric.setup(task.module, self._schedule.optimizer)
        decay = task.recipe.ema
        self._mean = None if decay is None else _running_mean(task.module, decay)
        self._step = 0
        self._epochs: list[dict[str, float]] = []
        self._begun = _nothing_yet()
        self._stored_s, self._stored_step = time.monotonic(), 0
        state = folder.state()
        if state is not None:
            self._restore(state)

    @property
    def n_steps(self) -> int:
        """Steps of the whole training."""
        return self._task.recipe.epochs * len(self._batches)

    def run(self) -> bool:
        """Train to the end, or until a signal comes.

        Returns:
            Whether it is at the end. If not, the folder has the state to continue from.

        Raises:
            NonFiniteLossError: the loss is NaN or infinite; the state stored before is kept.
            StorageError: the folder cannot be written; the state stored before is kept.
            InputError: the network returns no logits.
            NetworkFailedError: the network ends in an error of its own; the state stored before is kept.
        """
        random_state = RandomState()
        self._task.module.train()
        self._tell("began", self._step, self.n_steps)
        try:
            while self._step < self.n_steps:
                if not self._run_epoch():
                    return False
        finally:
            random_state.restore()
        return True

    def weights(self) -> dict[str, Tensor]:
        """Return the trained weights, with BatchNorm's statistics: the last ones, or their running mean."""
        return dict(self._kept.state_dict())

    @property
    def _kept(self) -> nn.Module:
        return self._task.module if self._mean is None else self._mean.module

    def _run_epoch(self) -> bool:
        """Make the steps that are left of an epoch; whether it was not interrupted."""
        epoch, first = divmod(self._step, len(self._batches))
        losses = _Losses(self._fabric, self._step)
        since = time.perf_counter()
        for images, labels in self._batches.of_epoch(epoch, first):
            losses.add(*self._train_step(images, labels))
            self._step += 1
            is_last = self._step % len(self._batches) == 0
            is_asked = self._interrupts is not None and self._interrupts.received is not None
            # Processes look at the same steps: what they see there, and whether they stop, they agree on.
            if not (is_last or len(losses) == LOOK_STEPS or (is_asked and self._fabric.world_size == 1)):
                continue
            stops = self._look(losses, is_asked)
            now = time.perf_counter()
            self._begun["seconds"] += now - since
            since = now
            self._tell("stepped", self._step, losses.last, self._speed())
            if is_last:
                self._end_epoch()
            if stops or is_last or time.monotonic() - self._stored_s > STORE_S:
                self._store()
            if stops and self._step < self.n_steps:
                return False
        return True

    def _train_step(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Make a step; return the loss and the share of the images that were right, before it."""
        recipe, rank = self._task.recipe, self._fabric.global_rank
        seed_all(derived_seed(self._task.seed, "step", self._step, rank))
        images, targets = self._fabric.to_device((images, labels))
        if self._mix is not None:
            images, targets = self._mix(images, targets)
        logits = logits_of(self._module, self._task, images, self._step)
        n_networks = len(logits) // len(images)
        smoothing = recipe.label_smoothing if self._mix is None else 0.0  # mixed targets are smoothed already
        targets = targets.repeat(n_networks, *[1] * (targets.dim() - 1))
        loss = functional.cross_entropy(logits, targets, label_smoothing=smoothing)
        self._optimizer.zero_grad()
        self._fabric.backward(loss)
        if recipe.clip_norm is not None:
            self._fabric.clip_gradients(
                self._module, self._optimizer, max_norm=recipe.clip_norm, error_if_nonfinite=False
            )
        self._optimizer.step()
        self._schedule.step()
        if self._mean is not None:
            self._mean.update_parameters(self._task.module)
        classes = targets if targets.dim() == 1 else targets.argmax(1)  # of mixed images, the one with the most of it
        return loss.detach(), (logits.detach().argmax(1) == classes).float().mean()

    def _look(self, losses: _Losses, is_asked: bool) -> bool:
        """Add up the losses since the last look; whether any process was asked to stop."""
        values, accuracy, stops = losses.taken(is_asked)
        for number, loss in enumerate(values):
            if not math.isfinite(loss):
                self._fail("the loss", f"at step {self._step - len(values) + number + 1}")
        self._begun["loss"] += sum(values)
        self._begun["accuracy"] += accuracy
        self._begun["steps"] += len(values)
        return stops

    def _fail(self, what: str, when: str) -> None:
        kept = f"the state after step {self._stored_step} is kept in {self._folder.path}"
        raise NonFiniteLossError(
            f"{what} is NaN or infinite {when} of {self.n_steps}; {kept if self._stored_step else 'nothing was stored'}"
            "; a lower learning rate (recipe.lr) or a longer warm-up (recipe.warmup_epochs) may help, in another folder"
        )

    def _speed(self) -> float:
        n_images = self._begun["steps"] * self._task.recipe.batch_size
        return n_images / max(self._begun["seconds"], 1e-9)

    def _end_epoch(self) -> None:
        row = {
            "epoch": len(self._epochs) + 1,
            "loss": self._begun["loss"] / self._begun["steps"],
            "accuracy": self._begun["accuracy"] / self._begun["steps"],
            **(self._task.measure(self._kept) if self._task.measure and self._folder.writes else {}),
            "lr": self._task.recipe.lr_at(self._step - 1, len(self._batches)),
            "images_per_s": self._speed(),
        }
        self._epochs.append(row)
        self._begun = _nothing_yet()
        self._tell("ended_epoch", row)

    def _store(self) -> None:
        if not self._folder.writes:
            return
        tensors = {f"{WEIGHTS}{name}": tensor for name, tensor in self._task.module.state_dict().items()}
        if not all(bool(tensor.isfinite().all()) for tensor in tensors.values() if tensor.is_floating_point()):
            self._fail("a weight", f"after step {self._step}")
        if self._mean is not None:
            tensors |= {f"{MEAN}{name}": tensor for name, tensor in self._mean.state_dict().items()}
        tensors |= self._schedule.tensors()
        self._folder.store(State(self._step, self._epochs, self._begun, tensors, {"schedule": self._schedule.values()}))
        self._stored_s, self._stored_step = time.monotonic(), self._step

    def _restore(self, state: State) -> None:
        self._task.module.load_state_dict(_part(state.tensors, WEIGHTS))
        if self._mean is not None:
            self._mean.load_state_dict(_part(state.tensors, MEAN))
        self._schedule.restore(state)
        self._step, self._epochs, self._begun = state.step, list(state.epochs), dict(state.begun)
        self._stored_step = state.step

    def _tell(self, event: str, *what: Any) -> None:
        for watcher in self._watchers:
            getattr(watcher, event)(*what)


class _Schedule:
    """AdamW and its learning rate, and how both are stored."""

    def __init__(self, task: Task, steps_per_epoch: int) -> None:
        recipe = task.recipe
        groups = parameter_groups(task.module, recipe, task.undecayed)
        # Fused: all of a parameter's sums in one go, which takes a quarter of the time.
        self.optimizer = AdamW([group for group in groups if group["params"]], lr=recipe.peak_lr, fused=True)
        self._scheduler = LambdaLR(self.optimizer, lambda step: recipe.lr_at(step, steps_per_epoch) / recipe.peak_lr)
        self._named = dict(task.module.named_parameters())

    def step(self) -> None:
        self._scheduler.step()

    def tensors(self) -> dict[str, Tensor]:
        """The state of the optimiser, by the names of the parameters."""
        states = {name: self.optimizer.state[parameter] for name, parameter in self._named.items()}
        return {f"{OPTIMIZER}{name}/{key}": value for name, found in states.items() for key, value in found.items()}

    def values(self) -> dict[str, Any]:
        stored: dict[str, Any] = self._scheduler.state_dict()
        return stored

    def restore(self, state: State) -> None:
        """Take the state of the optimiser and of the schedule from what was stored."""
        self._scheduler.load_state_dict(state.values["schedule"])
        for name, value in _part(state.tensors, OPTIMIZER).items():
            parameter, _, key = name.rpartition("/")
            self.optimizer.state[self._named[parameter]][key] = value.to(self._named[parameter].device)
        for group, lr in zip(self.optimizer.param_groups, self._scheduler.get_last_lr(), strict=True):
            group["lr"] = lr


class _Losses:
    """The losses and accuracies of some steps, left on the device until they are looked at."""

    def __init__(self, fabric: Any, step: int) -> None:
        self._fabric = fabric
        self._losses: list[Tensor] = []
        self._accuracies: list[Tensor] = []
        self.last = math.nan

    def __len__(self) -> int:
        return len(self._losses)

    def add(self, loss: Tensor, accuracy: Tensor) -> None:
        self._losses.append(loss)
        self._accuracies.append(accuracy)

    def taken(self, is_asked: bool) -> tuple[list[float], float, bool]:
        """The mean over the processes of each loss, the accuracies' sum, and whether any was asked to stop."""
        asked = torch.tensor(float(is_asked), device=self._losses[0].device)
        accuracy = torch.stack(self._accuracies).sum()
        found = self._fabric.all_reduce(torch.stack([*self._losses, accuracy, asked]), reduce_op="mean").tolist()
        *values, right, stops = found
        self._losses, self._accuracies, self.last = [], [], values[-1]
        return values, right, stops > 0


def _running_mean(module: nn.Module, decay: float) -> AveragedModel:
    average: Callable[..., Any] = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
    return AveragedModel(module, multi_avg_fn=average)


def batches_of(task: Task, runtime: Runtime, rank: int = 0) -> Batches:
    """Return the batches of a process; raises InputError where the recipe does not fit the images."""
    change = image_change(task.recipe, task.mean, task.std)
    return Batches(task.images, task.recipe.batch_size, task.seed, change, rank, runtime.n_processes, runtime.n_loaders)


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _nothing_yet() -> dict[str, float]:
    return {"loss": 0.0, "accuracy": 0.0, "steps": 0, "seconds": 0.0}


def logits_of(module: nn.Module, task: Task, images: Tensor, step: int) -> Tensor:
    """Return what a task's module, or a wrapper of it, gives for the images of a step.

    Raises:
        InputError: it returns no logits.
        NetworkFailedError: it ends in an error of its own.
    """
    beside = task.draw(step)
    with names_failure(f"the network fails in train mode on images of shape {tuple(images.shape)}"):
        logits: Tensor = module(images, *beside)
    check_logits(logits, len(images), task.num_classes)
    return logits


def check_logits(logits: Any, n_images: int, num_classes: int) -> None:
    """Raise InputError for what is no output (n B, classes) for B images."""
    if not isinstance(logits, Tensor) or logits.dim() != 2 or len(logits) % n_images:  # (n B, classes)
        found = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise InputError(f"the network returns {found} for {n_images} images; a training takes logits (B, classes)")
    if logits.shape[1] < num_classes:
        raise InputError(f"the network has {logits.shape[1]} logits, and the images {num_classes} classes")
