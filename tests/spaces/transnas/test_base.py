"""What both TransNAS-Bench-101 spaces do: text, costs, refusals."""

from __future__ import annotations

import random
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from lswag_fast import score
from lswag_fast.errors import SpaceError
from lswag_fast.spaces import SearchSpace, TransNasMacro, TransNasMicro, get
from lswag_fast.spaces.transnas.base import OUTPUTS, TransNas
from lswag_fast.spaces.transnas.decoders import image_layers, segmentation_layers

SMALL = [space(num_classes=3, image_size=48, channels=8) for space in (TransNasMicro, TransNasMacro)]
OF_TASKS = [
    space(task=task, image_size=36 if task == "jigsaw" else 64, channels=4)
    for space in (TransNasMicro, TransNasMacro)
    for task in OUTPUTS
]
NETWORKS = {"transnas-micro": "64-41414-3_30_232", "transnas-macro": "64-1234-basic"}


@pytest.mark.parametrize("name", NETWORKS)
def test_they_are_search_spaces_with_the_published_text(name: str) -> None:
    space: Any = get(name)
    assert isinstance(space, SearchSpace)
    assert (space.input_shape, space.num_classes) == ((3, 256, 256), 75)
    shown = repr(get(name, num_classes=47, image_size=64))
    assert "(task='class_object', num_classes=47, image_size=64, channels=64)" in shown
    arch = {"network": NETWORKS[name]}
    assert space.decode(NETWORKS[name]) == space.decode(space.encode(arch)) == arch
    with pytest.raises(SpaceError, match=f"weights: the networks of {name} share none"):
        space.build(arch, weights={})


@pytest.mark.parametrize("space", [*SMALL, *OF_TASKS], ids=repr)
def test_costs_equal_the_built_network(space: TransNas) -> None:
    for seed in range(2):
        arch = space.sample(random.Random(seed))
        net = space.build(arch).eval()
        assert space.n_params(arch) == sum(p.numel() for p in net.parameters())
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            assert net(torch.zeros(2, *space.input_shape)).shape == (2, *space.output_shape)
        assert space.macs(arch) == counter.get_total_flops() / (2 * 2)  # two images, two flops a MAC


@pytest.mark.parametrize("space", SMALL, ids=repr)
def test_they_are_scored(space: TransNas) -> None:
    torch.manual_seed(0)
    text = {"transnas-micro": "8-41414-3_13_213", "transnas-macro": "8-1234-basic"}[space.name]
    found = score(space.build(space.decode(text)).eval(), (torch.randn(16, 3, 48, 48), torch.arange(16) % 3))
    assert found.value > 0 and found.coverage == 1


@pytest.mark.parametrize("space", SMALL, ids=repr)
@pytest.mark.parametrize(
    "text", ["{", '{"cell": "8-1234-basic"}', '{"network": 7}', "16-1234-basic", "8-41414-3_30", "[]"]
)
def test_what_is_no_architecture_is_refused(space: TransNas, text: str) -> None:
    with pytest.raises(SpaceError, match=r"not readable as JSON|with the field network|network: found .*, expected 8-"):
        space.decode(text)


@pytest.mark.parametrize("name", NETWORKS)
def test_outputs_are_those_of_the_benchmark(name: str) -> None:
    shapes = {task: get(name, task=task).output_shape for task in OUTPUTS}  # type: ignore[attr-defined]
    image = 256, 256
    assert shapes == {
        "class_object": (75,),
        "class_scene": (47,),
        "room_layout": (9,),
        "jigsaw": (1000,),
        "segmentsemantic": (17, *image),
        "normal": (3, *image),
        "autoencoder": (3, *image),
    }
    assert get(name, task="jigsaw").input_shape == (3, 192, 192)


def test_the_parameters_of_a_scene_network_and_of_the_others_differ_by_head_and_decoder() -> None:
    arch = {"network": "64-41414-2_32_323"}
    encoder = 22364751 - 513 * 47  # the published network of class_scene without its head, of 512 features
    found = {task: get("transnas-micro", task=task).n_params(arch) - encoder for task in OUTPUTS}
    heads = {"class_object": 513 * 75, "class_scene": 513 * 47, "room_layout": 513 * 9, "jigsaw": 4609 * 1000}
    assert heads.items() <= found.items()
    assert found["segmentsemantic"] == sum(layer.n_params() for layer in segmentation_layers(512, 64, 5, 17))
    assert found["normal"] == found["autoencoder"] == sum(layer.n_params() for layer in image_layers(512, 64, 5, 3))


def test_a_puzzle_is_nine_tiles_for_one_encoder() -> None:
    space = TransNasMicro(task="jigsaw", image_size=48, channels=4)
    net = space.build(space.decode("4-41414-3_30_232")).eval()
    classes = TransNasMicro(image_size=16, channels=4).build(space.decode("4-41414-3_30_232")).eval()
    classes.load_state_dict({n: w for n, w in net.state_dict().items() if "classifier" not in n}, strict=False)
    puzzle = torch.randn(2, 3, 48, 48)
    tiles = [puzzle[:, :, 16 * i : 16 * i + 16, 16 * j : 16 * j + 16] for i in range(3) for j in range(3)]
    pooled = torch.cat([classes.forward_features(tile).mean((2, 3)) for tile in tiles], dim=1)
    torch.testing.assert_close(net(puzzle), net.classifier(pooled))
    assert net.block_features(puzzle)[0].shape[1] == 9 * 4


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"task": "depth"}, "task: found 'depth', the benchmark has class_object, class_scene, room_layout"),
        ({"task": ["normal"]}, r"task: found \['normal'\], the benchmark has class_object"),
        ({"task": "normal", "num_classes": 5}, "num_classes: the task 'normal' has 3 outputs, found 5"),
        ({"task": "autoencoder", "channels": 6}, "channels: found 6, expected a multiple of 4"),
        ({"task": "jigsaw", "image_size": 64}, "image_size: 64 pixels cannot be cut into 3 tiles a side"),
        ({"task": "normal", "image_size": 48}, "image_size: 48 pixels cannot be halved"),
    ],
)
def test_what_the_networks_of_a_task_cannot_be_is_refused(given: dict[str, Any], words: str) -> None:
    for space in (TransNasMicro, TransNasMacro):
        with pytest.raises(SpaceError, match=words):
            space(**given)


def test_sizes_are_checked() -> None:
    with pytest.raises(SpaceError, match="channels: found 7, expected a multiple of 2"):
        TransNasMicro(channels=7)
    with pytest.raises(SpaceError, match="num_classes: found 0"):
        TransNasMacro(num_classes=0)
