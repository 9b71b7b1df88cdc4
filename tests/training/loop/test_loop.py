"""The loop against a plain one, and trainings that are cut: what is continued ends with the same bits."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional

from lswag_fast.errors import InputError, NetworkFailedError, NonFiniteLossError, StorageError
from lswag_fast.execution import Interrupts
from lswag_fast.files import durable
from lswag_fast.training.loop import loop
from lswag_fast.training.loop.folder import TrainingFolder
from lswag_fast.training.loop.loop import Loop, Task, batches_of
from lswag_fast.training.loop.runtime import Runtime
from lswag_fast.training.recipe import RECIPES, Recipe
from support.zoo_libraries import library
from training.runs import N_STEPS, RECIPE, WEIGHTS, Log, killed_at, run, storing_each_step

ROOT = Path(__file__).parents[3]
PLAIN = Recipe("plain", epochs=2, batch_size=4, lr=0.05, first_lr=0.01, last_lr=0.005, warmup_epochs=1, clip_norm=0.5)


def pairs(n: int = 12) -> list[tuple[torch.Tensor, int]]:
    generator = torch.Generator().manual_seed(1)
    return [(torch.randn(1, 2, 2, generator=generator), i % 3) for i in range(n)]


def linear() -> nn.Module:
    torch.manual_seed(5)
    return nn.Sequential(nn.Flatten(), nn.Linear(4, 3))


def trained(folder: Path, module: nn.Module, recipe: Recipe = PLAIN, **options: object) -> Loop:
    task = Task(module, pairs(), 3, (0.0,), (1.0,), recipe, **options)  # type: ignore[arg-type]
    runtime = Runtime("cpu")
    with TrainingFolder.opened(folder, {"recipe": recipe.to_dict()}) as opened:
        made = Loop(task, opened, runtime, runtime.open(), [Log()])
        assert made.run()
    return made


class AlwaysTheFirst(nn.Module):
    """Tells class 0 of every image; what it learns changes no logit's rank."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.scale * torch.tensor([1.0, 0.0, 0.0]).expand(len(images), 3)


def test_the_log_has_the_share_that_was_right_and_what_is_measured_beside(tmp_path: Path) -> None:
    recipe = PLAIN.with_changes(lr=1e-3)
    trained(tmp_path / "run", AlwaysTheFirst(), recipe, measure=lambda module: {"beside": 0.25})
    rows = TrainingFolder(tmp_path / "run").epochs()
    # Four of the twelve images are of class 0, in three batches of four of which none is left over.
    assert [(row["accuracy"], row["beside"]) for row in rows] == [(pytest.approx(1 / 3), 0.25)] * 2


@pytest.mark.parametrize("ema", [None, 0.5])
def test_equals_a_plain_loop(tmp_path: Path, ema: float | None) -> None:
    """Written out: the order of the images, learning rates by hand, decay of the matrix alone, the norm cut to 0.5."""
    recipe = Recipe(**{**PLAIN.to_dict(), "ema": ema})
    module = linear()
    result = trained(tmp_path / "run", module, recipe)

    expected = linear()
    weight, bias = expected[1].weight, expected[1].bias
    optimizer = torch.optim.AdamW([{"params": [weight], "weight_decay": 0.05}, {"params": [bias], "weight_decay": 0.0}])
    batches = batches_of(Task(expected, pairs(), 3, (0.0,), (1.0,), recipe), Runtime("cpu"))
    # A line from 0.01 to 0.05 in three steps, then half a cosine from there to 0.005 in three.
    rates = [0.01, 0.01 + 0.04 / 3, 0.01 + 0.08 / 3, 0.05, 0.005 + 0.045 * 0.75, 0.005 + 0.045 * 0.25]
    means = []
    for rate, rows in zip(rates, [*batches.rows(0), *batches.rows(1)], strict=True):
        images, labels = torch.stack([pairs()[i][0] for i in rows]), torch.tensor([pairs()[i][1] for i in rows])
        optimizer.zero_grad()
        functional.cross_entropy(expected(images), labels, label_smoothing=0.1).backward()
        nn.utils.clip_grad_norm_(expected.parameters(), 0.5)
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()
        now = weight.detach().clone()
        means.append(now if not means else 0.5 * means[-1] + 0.5 * now)
    # The same operations in the same order, but for the rounding of a learning rate as a product.
    torch.testing.assert_close(result.weights()["1.weight"], weight if ema is None else means[-1], rtol=1e-5, atol=1e-7)
    assert not torch.equal(weight, linear()[1].weight)


def test_leaves_the_random_state_and_the_images(tmp_path: Path, images: Path) -> None:
    random.seed(3)
    before = random.getstate(), torch.get_rng_state()
    assert run(tmp_path / "run", images) is not None
    assert random.getstate() == before[0] and torch.equal(torch.get_rng_state(), before[1])


def test_continued_after_each_signal_it_ends_the_same(tmp_path: Path, images: Path, whole: bytes) -> None:
    """Stopped after every single step."""
    folder, n_runs = tmp_path / "run", 0
    for _ in range(N_STEPS):
        with Interrupts() as interrupts:
            signal.raise_signal(signal.SIGTERM)
            n_runs += 1
            if run(folder, images, interrupts=interrupts) is not None:
                break
            assert not (folder / WEIGHTS).exists()
    assert n_runs == N_STEPS
    assert (folder / WEIGHTS).read_bytes() == whole
    assert len((folder / "log.csv").read_text().splitlines()) == 1 + RECIPE.epochs


def test_killed_at_random_steps_it_ends_the_same(tmp_path: Path, images: Path, whole: bytes) -> None:
    """Three kills of one training, each in a process of its own; the state is stored after each step."""
    folder = tmp_path / "run"
    for step in sorted(random.Random(0).sample(range(2, N_STEPS), 3)):
        assert killed_at(folder, images, step) == -signal.SIGKILL
    log = Log()
    assert run(folder, images, log=log) is not None
    assert 0 < log.began_at < N_STEPS
    assert (folder / WEIGHTS).read_bytes() == whole


def test_by_the_published_recipe_it_ends_the_same_too(tmp_path: Path, images: Path) -> None:
    """RandAugment, erasing, mixup and cutmix draw from the generators of Python, numpy and torch."""
    library("timm"), library("torchvision")
    recipe = RECIPES["autoformer"].with_changes(epochs=2, batch_size=16)
    assert recipe.augment and recipe.erase and recipe.mixup and recipe.cutmix and recipe.drop_path
    assert run(tmp_path / "whole", images, recipe=recipe) is not None
    for step in (2, 4):  # in either epoch
        assert killed_at(tmp_path / "run", images, step, recipe) == -signal.SIGKILL
    log = Log()
    assert run(tmp_path / "run", images, recipe=recipe, log=log) is not None
    assert log.began_at == 3  # what step 4 stored was not yet there when its watcher was told
    assert (tmp_path / "run" / WEIGHTS).read_bytes() == (tmp_path / "whole" / WEIGHTS).read_bytes()
    unmixed = recipe.with_changes(mixup=0.0, cutmix=0.0)
    assert run(tmp_path / "unmixed", images, recipe=unmixed) is not None
    assert (tmp_path / "run" / WEIGHTS).read_bytes() != (tmp_path / "unmixed" / WEIGHTS).read_bytes()


@pytest.mark.parametrize("failing", [2, 3, 8, 9])
def test_a_full_disk_loses_no_more_than_the_last_step(
    tmp_path: Path, images: Path, whole: bytes, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    sync, n_syncs = os.fsync, 0

    def full(descriptor: int) -> None:
        nonlocal n_syncs
        n_syncs += 1
        if n_syncs >= failing:
            raise OSError(28, "No space left on device")
        sync(descriptor)

    with monkeypatch.context() as patch, storing_each_step():
        patch.setattr(durable.os, "fsync", full)
        with pytest.raises(StorageError, match=r"cannot write to .*No space left on device"):
            run(tmp_path / "run", images)
    assert not list((tmp_path / "run").glob("*.part"))
    assert run(tmp_path / "run", images) is not None
    assert (tmp_path / "run" / WEIGHTS).read_bytes() == whole


class Breaking(nn.Module):
    """Its loss is NaN from a call on."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.layer, self.n_calls, self.at = nn.Linear(4, 3), 0, at

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.n_calls += 1
        logits = self.layer(images.flatten(1))
        return logits * float("nan") if self.n_calls >= self.at else logits


def test_a_loss_that_is_no_number_stops_it_and_keeps_the_state_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "LOOK_STEPS", 10)
    with pytest.raises(NonFiniteLossError, match=r"the loss is NaN or infinite at step 5 of 6; the state after step 3"):
        trained(tmp_path / "run", Breaking(5))
    kept = TrainingFolder(tmp_path / "run").state()
    assert kept is not None and kept.step == 3
    assert all(tensor.isfinite().all() for tensor in kept.tensors.values())
    with pytest.raises(NonFiniteLossError, match="at step 1 of 6; nothing was stored"):
        trained(tmp_path / "other", Breaking(1))


def test_a_network_that_fails_later_is_named(tmp_path: Path) -> None:
    class Failing(Breaking):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return super().forward(images if self.n_calls < 4 else images[:, :, 1:])

    with pytest.raises(NetworkFailedError, match=r"fails in train mode on images of shape \(4, 1, 2, 2\): RuntimeErr"):
        trained(tmp_path / "run", Failing(9))
    kept = TrainingFolder(tmp_path / "run").state()
    assert kept is not None and kept.step == 3


def test_a_weight_that_is_no_number_is_not_stored(tmp_path: Path) -> None:
    class Exploding(nn.Linear):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            logits = super().forward(images.flatten(1))
            logits.register_hook(lambda gradient: gradient * float("inf"))
            return logits

    one_step = Recipe(**{**PLAIN.to_dict(), "batch_size": 12, "epochs": 1, "clip_norm": None})
    with pytest.raises(NonFiniteLossError, match="a weight is NaN or infinite after step 1 of 1; nothing was stored"):
        trained(tmp_path / "run", Exploding(4, 3), one_step)


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (nn.Identity(), r"the network returns \(4, 1, 2, 2\) for 4 images; a training takes logits"),
        (nn.Sequential(nn.Flatten(), nn.Linear(4, 2)), "the network has 2 logits, and the images 3 classes"),
    ],
)
def test_outputs_that_are_no_logits_are_refused(tmp_path: Path, module: nn.Module, message: str) -> None:
    if isinstance(module, nn.Identity):
        module.register_parameter("unused", nn.Parameter(torch.zeros(1)))
    with pytest.raises(InputError, match=message):
        trained(tmp_path / "run", module)


def test_two_processes_have_the_losses_of_one(tmp_path: Path, images: Path) -> None:
    """Each takes half of every batch; the sums of the gradients are the same numbers in another order."""
    recipe = RECIPE.with_changes(drop_path=0.0)  # which images a process drops it draws itself
    log = Log()
    assert run(tmp_path / "one", images, recipe=recipe, log=log) is not None
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    arguments = ["-m", "training.runs", str(tmp_path / "two"), str(images)]
    paths = os.pathsep.join(map(str, (ROOT, ROOT / "tests")))
    environment = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([*command, *arguments], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = TrainingFolder(tmp_path / "two")
    assert found.settings()["runtime"]["processes"] == 2
    losses, expected = ([row["loss"] for row in rows] for rows in (found.epochs(), log.rows))
    # Rounding of float32 (6e-8), which AdamW's division by the root of the second moment enlarges at small gradients.
    torch.testing.assert_close(torch.tensor(losses), torch.tensor(expected), rtol=1e-4, atol=0)
