"""Every proxy on every space and task: it has a value, or says why not."""

from __future__ import annotations

import json
import math
import random
from typing import Any

import pytest
import torch

from lswag_fast import TokenLoss, data, list_proxies, score_many
from lswag_fast.data.texts import load_text
from lswag_fast.spaces import (
    AutoFormer,
    BurgerFormer,
    Darts,
    FlexiBert,
    Gpt,
    NasBench101,
    NasBench201,
    ProxylessNas,
    SearchSpace,
    TransNasMacro,
    TransNasMicro,
)
from lswag_fast.spaces.traits import default_mode_of, output_shape_of, task_of
from lswag_fast.spaces.transnas.base import OUTPUTS

TINY_VIT: dict[str, Any] = {"embed_dim": 16, "depth": 2, "num_heads": 1, "mlp_ratio": 2, "image_size": 8}
CLASSES = [
    NasBench101(channels=4, cells_per_stack=1, image_size=16),
    NasBench201(channels=4, cells_per_stage=1, image_size=16),
    Darts(channels=4, n_cells=3, image_size=16),
    AutoFormer(**TINY_VIT, patch_size=4, num_classes=10),
]
MICRO = {task: TransNasMicro(task=task, image_size=48 if task == "jigsaw" else 32, channels=4) for task in OUTPUTS}
MACRO = [TransNasMacro(task=task, image_size=48 if task == "jigsaw" else 64, channels=4) for task in OUTPUTS]
QUICK = [*CLASSES, *(MICRO.pop(task) for task in ("class_object", "room_layout", "segmentsemantic", "normal"))]
SLOW = [ProxylessNas(image_size=32, num_classes=10), BurgerFormer(image_size=32, num_classes=10)]
ENCODER = {"hidden_size": 128, "layers": ["SA-WMA-2-512-1", "LT-DFT-2-512-1", "DSC-5-2-512-1", "SA-SDP-2-512-1"]}
ARCHS = {
    "transnas-micro": "4-41414-3_30_233",
    "transnas-macro": "4-1234-basic",
    "flexibert": json.dumps(ENCODER),  # every kind of layer
}

PROXIES = [info.name for info in list_proxies() if not info.parts]
OF_TRANSFORMERS = {"dss", "head_confidence", "w_pca"}
OF_CLASSES = {"epe_nas", "vkdnw", "vkdnw_single"}
OF_POSITIVE_OUTPUTS = {"synflow", "logsynflow", "t_cet"}
"""They drive a network by its weights' magnitudes, for which the tanh at the end of a decoder of images is flat."""
WITHOUT: dict[str, set[str]] = {
    "room_layout": {"epe_nas"},
    "jigsaw": {"epe_nas"},  # no two puzzles of a small batch have one order
    "segmentsemantic": OF_CLASSES,
    "normal": OF_CLASSES | OF_POSITIVE_OUTPUTS,
    "autoencoder": OF_CLASSES | OF_POSITIVE_OUTPUTS,
}
OF_NUMBERS = {
    "az_nas_expressivity", "az_nas_progressivity", "az_nas_trainability", "dextr", "dss", "jacov", "logsynflow",
    "synflow", "t_cet", "zen",
}  # fmt: skip
"""They move or replace the inputs, which tokens do not allow; as `epe_nas` does."""
A_THOUSAND_BACKWARD_PASSES = {"vkdnw", "vkdnw_single"}


def errors_of(space: SearchSpace, batch: Any, proxies: list[str], **options: Any) -> dict[str, str]:
    """Why the proxies that have no value on a network of the space have none; the others' values are numbers."""
    torch.manual_seed(0)
    arch = space.decode(ARCHS[space.name]) if space.name in ARCHS else space.sample(random.Random(3))
    network = space.build(arch).train(default_mode_of(space) == "train")
    found = score_many(network, batch, proxies=proxies, **options)
    assert all(math.isfinite(score.value) for score in found.values() if not score.error)
    return {name: score.error for name, score in found.items() if score.error}


def images(space: SearchSpace) -> Any:
    """Five digits, of which two are of a class."""
    shapes: dict[str, Any] = {"output_shape": output_shape_of(space), "channels": 3}
    size = space.input_shape[-1]
    return data.load("digits", batch_size=5, image_size=size, seed=7, task=task_of(space), **shapes).batch


@pytest.mark.filterwarnings("ignore::lswag_fast.errors.LswagWarning")  # a BatchNorm in train mode, a small batch
@pytest.mark.parametrize(
    "space",
    [*QUICK, *(pytest.param(s, marks=pytest.mark.slow) for s in (*SLOW, *MICRO.values(), *MACRO))],
    ids=lambda space: f"{space.name} {getattr(space, 'task', '')}",
)
def test_a_proxy_has_a_value_or_says_why_not(space: SearchSpace) -> None:
    task = getattr(space, "task", "")
    left_out = A_THOUSAND_BACKWARD_PASSES if task == "jigsaw" else set()
    errors = errors_of(space, images(space), [n for n in PROXIES if n not in left_out], task=task_of(space))
    expected = {"zen"} if isinstance(space, AutoFormer) else OF_TRANSFORMERS | WITHOUT.get(task, set())
    if isinstance(space, BurgerFormer):  # it draws attention, and pooling in the place of feed-forward layers
        expected = set(errors) & OF_TRANSFORMERS
    assert set(errors) == expected - left_out
    for error in errors.values():
        assert "failed with" not in error and "no finite value" not in error


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::lswag_fast.errors.LswagWarning")
@pytest.mark.parametrize("space", [FlexiBert(length=16), Gpt(length=16)], ids=lambda space: space.name)
def test_a_proxy_of_texts_has_a_value_or_says_why_not(space: Any) -> None:
    batch = load_text("alice", batch_size=4, length=16, masked=space.is_masked).batch
    errors = errors_of(space, batch, PROXIES, loss_fn=TokenLoss())
    assert set(errors) == OF_NUMBERS | OF_CLASSES  # the others of classes want logits for a whole text
    for error in errors.values():
        assert "failed with" not in error and "no finite value" not in error
