"""Training shared weights: what a step is, what is stored, what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional

from lswag_fast.errors import (
    InputError,
    MissingExtraError,
    NetworkFailedError,
    OtherSettingsError,
    SpaceError,
    StorageError,
)
from lswag_fast.spaces import AutoFormer, NasBench201
from lswag_fast.training import supernet
from lswag_fast.training.recipe import RECIPES
from lswag_fast.training.supernet import Supernet, drawn, load, train_supernet
from training.runs import CHOICES, N_CLASSES, RECIPE, SPACE, Log, run, splits_of


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, images: Path) -> Path:
    path = tmp_path_factory.mktemp("supernet") / "run"
    assert run(path, images) is not None
    return path


def test_a_step_is_the_step_of_the_network_alone() -> None:
    """With an optimiser without memory: the shared weights move where the network lies, as its own would."""
    weights = {name: value.double() for name, value in SPACE.init_weights(0).items()}
    module = Supernet(SPACE, weights)
    arch = drawn(SPACE, RECIPE, 0, 3)[0]
    images = torch.randn(4, *SPACE.input_shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([0, 1, 2, 0])
    alone = SPACE.build(arch, weights)
    for network, inputs in ((alone, (images,)), (module, (images, [arch]))):
        functional.cross_entropy(network(*inputs), labels).backward()
        torch.optim.SGD(network.parameters(), lr=0.1).step()
    moved = SPACE.build(arch, {name: weight.detach() for name, weight in module.shared().items()})
    for (name, expected), found in zip(alone.named_parameters(), moved.parameters(), strict=True):
        assert torch.equal(found, expected), name


def test_a_space_that_only_cuts_is_trained_alike() -> None:
    """The network is built, and runs with the cut: the same logits and gradients, bit for bit."""

    class Cutting:
        name, build, cut, extremes = SPACE.name, SPACE.build, SPACE.cut, SPACE.extremes

    archs = drawn(SPACE, RECIPE.with_changes(sandwich=True), 0, 0)
    images = torch.randn(2, *SPACE.input_shape, generator=torch.Generator().manual_seed(0))
    found = []
    for space in (SPACE, Cutting()):
        module = Supernet(space, SPACE.init_weights(0))
        logits = module(images, archs)
        logits.square().sum().backward()
        found.append([logits, *(weight.grad for weight in module.parameters())])
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


def test_the_networks_of_the_sandwich_rule_give_the_mean_loss() -> None:
    recipe = RECIPE.with_changes(sandwich=True)
    archs = drawn(SPACE, recipe, 0, 0)
    assert archs[:2] == list(SPACE.extremes()) and len(archs) == 4
    module = Supernet(SPACE, SPACE.init_weights(0))
    images = torch.randn(3, *SPACE.input_shape, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([2, 1, 0])
    losses = [functional.cross_entropy(SPACE.build(arch, module.shared())(images), labels) for arch in archs]
    together = functional.cross_entropy(module(images, archs), labels.repeat(4))
    torch.testing.assert_close(together, torch.stack(losses).mean())


def test_networks_are_drawn_uniformly_and_by_the_seed() -> None:
    widths = [drawn(SPACE, RECIPE, 0, step)[0]["embed_dim"] for step in range(400)]
    assert abs(widths.count(16) - 200) < 5 * 10  # five standard deviations of a fair coin
    assert widths[:50] != [drawn(SPACE, RECIPE, 1, step)[0]["embed_dim"] for step in range(50)]


@pytest.mark.parametrize("sandwich", [False, True])
def test_learns_to_tell_bright_from_dark(tmp_path: Path, images: Path, sandwich: bool) -> None:
    log = Log()
    recipe = RECIPE.with_changes(epochs=10, lr=0.01, sandwich=sandwich)
    trained = run(tmp_path / "run", images, recipe=recipe, log=log)
    assert trained is not None
    found, labels = splits_of(images).train.tensors()
    for arch in SPACE.extremes():
        with torch.no_grad():
            right = SPACE.build(arch, trained.weights).eval()(found).argmax(1) == labels
        assert right.float().mean() > 0.8  # a third by chance
    assert len(log.rows) == 10 and log.rows[-1]["loss"] < log.rows[0]["loss"]


def test_is_read_back(folder: Path, images: Path) -> None:
    trained = load(folder, SPACE)
    assert trained.data == splits_of(images).to_dict()
    assert trained.settings["recipe"] == RECIPE.to_dict()
    SPACE.build(SPACE.extremes()[1], trained.weights)
    log = Log()
    assert run(folder, images, log=log) is not None and log.began_at == -1  # it has ended


def test_other_settings_are_refused(folder: Path, images: Path) -> None:
    with pytest.raises(OtherSettingsError, match="seed was 0, now 1"):
        run(folder, images, seed=1)
    with pytest.raises(OtherSettingsError, match=r"recipe\.lr was 0\.003, now 0\.1"):
        run(folder, images, recipe=RECIPE.with_changes(lr=0.1))


def test_a_supernet_of_another_space_is_refused(folder: Path) -> None:
    other = AutoFormer(**{**CHOICES, "depth": (1, 3)}, image_size=8, patch_size=4, num_classes=N_CLASSES)
    with pytest.raises(SpaceError, match=r"holds the weights of another space: space\.choices was .*depth=\(1, 2\)"):
        load(folder, other)
    with pytest.raises(InputError, match="has no name to make it by"):
        load(folder)


@pytest.mark.parametrize("name", ["space", "space.name", "data", "data.seed", "data.shares", "metadata"])
def test_settings_that_lack_something_are_damaged(tmp_path: Path, folder: Path, name: str) -> None:
    settings = json.loads((folder / "settings.json").read_bytes())
    outer, _, inner = name.partition(".")
    del (settings[outer] if inner else settings)[inner or outer]
    (tmp_path / "settings.json").write_text(json.dumps(settings))
    with pytest.raises(StorageError, match=rf"settings\.json is damaged: it has no '{name}"):
        load(tmp_path, SPACE)


def test_a_named_space_is_made_again() -> None:
    options = {"image_size": 8, "patch_size": 4, "num_classes": 10}
    stored = {"name": "autoformer-tiny", "input_shape": [3, 8, 8], "num_classes": 10}
    made = supernet._named({"space": stored, "metadata": {"space_options": options}})
    assert repr(made) == repr(AutoFormer("tiny", **options))


def test_a_folder_half_written_or_of_something_else_is_refused(tmp_path: Path, images: Path) -> None:
    with pytest.raises(StorageError, match="is no folder of a training"):
        load(tmp_path, SPACE)

    class StopError(Exception):
        pass

    def stop(step: int) -> None:
        raise StopError

    with pytest.raises(StopError):
        run(tmp_path / "run", images, log=Log(stop))
    with pytest.raises(StorageError, match="has not ended; run its command again"):
        load(tmp_path / "run", SPACE)


def test_what_cannot_be_trained_leaves_no_folder(tmp_path: Path, images: Path) -> None:
    splits, out = splits_of(images), tmp_path / "run"
    small = NasBench201(channels=4, cells_per_stage=1, image_size=8, num_classes=3)
    with pytest.raises(SpaceError, match="nasbench201 has no shared weights that can be trained"):
        train_supernet(small, splits, out, recipe=RECIPE)
    with pytest.raises(InputError, match="batch_size: 64 is more than the 48 images"):
        run(out, images, recipe=RECIPES["short"].with_changes(batch_size=64))
    larger = AutoFormer(**CHOICES, image_size=16, patch_size=4, num_classes=N_CLASSES)
    with pytest.raises(InputError, match=r"images: have the shape \(3, 8, 8\), the networks of autoformer take"):
        train_supernet(larger, splits, out, recipe=RECIPE)
    fewer = AutoFormer(**CHOICES, image_size=8, patch_size=4, num_classes=2)
    with pytest.raises(InputError, match="images: have 3 classes, the networks of autoformer tell 2 apart"):
        train_supernet(fewer, splits, out, recipe=RECIPE)
    assert not out.exists()


def failing(*_: object) -> None:
    raise KeyError("stem")


METHODS = ("build", "entangled", "cut", "extremes", "init_weights")


@pytest.mark.parametrize("method", METHODS)
def test_a_space_whose_code_fails_is_one_line_and_leaves_no_folder(tmp_path: Path, images: Path, method: str) -> None:
    class Own:
        name, input_shape, num_classes = "own", SPACE.input_shape, SPACE.num_classes
        build, sample, cut, extremes, init_weights = (
            SPACE.build,
            SPACE.sample,
            SPACE.cut,
            SPACE.extremes,
            SPACE.init_weights,
        )

    setattr(Own, method, failing)
    with pytest.raises(
        NetworkFailedError, match=rf"^own: {method} .*failed: KeyError: 'stem' \(test_supernet\.py, line"
    ):
        train_supernet(Own(), splits_of(images), tmp_path / "run", recipe=RECIPE)  # type: ignore[arg-type]
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("depth", [1, 2])
def test_the_least_and_the_largest_network_are_tried_before_the_training(
    tmp_path: Path, images: Path, depth: int
) -> None:
    class Partial(AutoFormer):
        def build(self, arch: Any, weights: Any = None) -> Any:
            return None if arch["depth"] == depth else super().build(arch, weights)

    partial = Partial(**CHOICES, image_size=8, patch_size=4, num_classes=N_CLASSES)  # `entangled` needs no `build`
    with pytest.raises(NetworkFailedError, match=r"build of \{.*returned NoneType; it must return a torch\.nn\.Module"):
        train_supernet(partial, splits_of(images), tmp_path / "run", recipe=RECIPE)
    assert not (tmp_path / "run").exists()


def test_a_network_that_fails_on_the_images_leaves_no_folder(tmp_path: Path, images: Path) -> None:
    class Failing(AutoFormer):
        def entangled(self, arch: Any, weights: Any) -> Any:
            return torch.nn.Linear(5, 3)

    space = Failing(**CHOICES, image_size=8, patch_size=4, num_classes=N_CLASSES)
    with pytest.raises(
        NetworkFailedError, match=r"network of \{.*\} fails on images of shape \(1, 3, 8, 8\): RuntimeErr"
    ):
        train_supernet(space, splits_of(images), tmp_path / "run", recipe=RECIPE.with_changes(drop_path=0.0))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("library", ["lightning_fabric", "safetensors.torch"])
def test_a_missing_library_leaves_no_folder(
    tmp_path: Path, images: Path, monkeypatch: pytest.MonkeyPatch, library: str
) -> None:
    monkeypatch.setitem(__import__("sys").modules, library, None)
    name = library.partition(".")[0].replace("_", "-")
    with pytest.raises(MissingExtraError, match=rf"this needs {name}, .* pip install 'lswag-fast\[train\]'"):
        run(tmp_path / "run", images)
    assert not (tmp_path / "run").exists()
