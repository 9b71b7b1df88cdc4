"""Supernet shapes as published, initial values, entangled slices, and files that load or are refused."""

import argparse
import math
import pickle
import random

import pytest
import torch

from lswag_fast.errors import InputError, SpaceError
from lswag_fast.spaces import AutoFormer

PUBLISHED = {"tiny": "T", "small": "S", "base": "B"}


@pytest.mark.parametrize("name", PUBLISHED)
def test_supernet_shapes_are_the_published_ones(published, name):
    official = published("supernet_shapes.json")[PUBLISHED[name]]
    shapes = AutoFormer(name).supernet_shapes()
    assert [[key, list(shape)] for key, shape in shapes.items()] == official["state_dict"]
    assert sum(math.prod(shape) for shape in shapes.values()) == official["total_params"]


def test_init_weights_values(small_space):
    before = torch.get_rng_state()
    weights = small_space.init_weights(3)
    assert torch.equal(torch.get_rng_state(), before)
    assert {name: tuple(value.shape) for name, value in weights.items()} == small_space.supernet_shapes()
    patch_bound = 1 / math.sqrt(3 * 4 * 4)
    for name, value in weights.items():
        assert value.dtype == torch.float32
        if name.startswith("patch_embed_super.proj"):
            assert 0.8 * patch_bound < value.abs().max() <= patch_bound
        elif name.endswith("bias"):
            assert not value.any()
        elif name.endswith("norm.weight"):
            assert (value == 1).all()
        else:
            # Five standard errors of a sample standard deviation, sigma / sqrt(2 n).
            assert abs(value.std() - 0.02) < 5 * 0.02 / math.sqrt(2 * value.numel()), name


def test_init_weights_follow_the_seed(small_space):
    first, again, other = (small_space.init_weights(seed) for seed in (0, 0, 1))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["head.weight"], other["head.weight"])


def test_fresh_build_follows_the_global_generator(small_space):
    arch = small_space.sample(random.Random(0))
    nets = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        nets.append(small_space.build(arch))
    first, again, other = (net.state_dict() for net in nets)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["head.weight"], other["head.weight"])
    assert abs(first["blocks.0.fc1.weight"].std() - 0.02) < 0.002


def entangled(name, weight, arch):
    """The published slices; q, k, v of a sub-network are interleaved in the weight (not the bias) of the supernet."""
    width = arch["embed_dim"]
    layer, leaf = (int(name.split(".")[1]), name.split(".", 2)[2]) if name.startswith("blocks.") else (0, name)
    attention, hidden = 64 * arch["num_heads"][layer], int(width * arch["mlp_ratio"][layer])
    if leaf == "attn.qkv.weight":
        return torch.stack([weight[3 * (row % attention) + row // attention, :width] for row in range(3 * attention)])
    extents = {
        "pos_embed": (1, 17, width),
        "cls_token": (1, 1, width),
        "head.weight": (5, width),
        "head.bias": (5,),
        "attn.qkv.bias": (3 * attention,),
        "attn.proj.weight": (width, attention),
        "fc1.weight": (hidden, width),
        "fc1.bias": (hidden,),
        "fc2.weight": (width, hidden),
    }.get(leaf, (30, 64) if "table" in leaf else (width,))
    for axis, extent in enumerate(extents):
        weight = weight.narrow(axis, 0, extent)
    return weight


@pytest.mark.parametrize("seed", range(4))
def test_build_cuts_the_published_slices(small_space, seed):
    weights = {name: torch.randn(shape) for name, shape in small_space.supernet_shapes().items()}
    arch = small_space.sample(random.Random(seed))
    state = small_space.build(arch, weights).state_dict()
    blocks = {int(name.split(".")[1]) for name in state if name.startswith("blocks.")}
    assert blocks == set(range(arch["depth"]))
    for name, value in state.items():
        assert torch.equal(value, entangled(name, weights[name], arch)), name


@pytest.mark.parametrize("seed", range(4))
def test_gradients_of_a_cut_lie_where_the_network_was_cut_out(small_space, seed):
    """Those of the stand-alone network, element by element, and zero elsewhere; unused blocks get none."""
    weights = {name: value.double().requires_grad_() for name, value in small_space.init_weights(seed).items()}
    arch = small_space.sample(random.Random(seed))
    images = torch.randn(3, 3, 16, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    alone = small_space.build(arch, weights)
    alone(images).square().sum().backward()
    logits = torch.func.functional_call(small_space.build(arch, weights), small_space.cut(arch, weights), (images,))
    logits.square().sum().backward()
    used = dict(alone.named_parameters())
    for name, weight in weights.items():
        if name not in used:
            assert weight.grad is None, name
            continue
        places = entangled(name, torch.arange(weight.numel()).reshape(weight.shape), arch)
        expected = torch.zeros_like(weight).flatten()
        expected[places.flatten()] = used[name].grad.flatten()
        assert torch.equal(weight.grad.flatten(), expected), name


def test_built_network_shares_no_memory_and_is_plain(small_space):
    weights = small_space.init_weights(0)
    widest = {"embed_dim": 40, "depth": 3, "num_heads": [2] * 3, "mlp_ratio": [2.0] * 3}
    net = small_space.build(widest, weights)
    supernet_memory = {value.untyped_storage().data_ptr() for value in weights.values()}
    assert not supernet_memory & {p.untyped_storage().data_ptr() for p in net.parameters()}
    assert all(p.is_contiguous() and p.requires_grad and p.is_leaf and not p.is_meta for p in net.parameters())
    assert {type(module).__module__.split(".")[0] for module in net.modules()} == {"torch", "lswag_fast"}
    net.load_state_dict(net.state_dict())


def test_build_keeps_the_type_of_the_weights(small_space):
    weights = {name: value.double().requires_grad_() for name, value in small_space.init_weights(0).items()}
    net = small_space.build(small_space.sample(random.Random(0)), weights)
    assert {p.dtype for p in net.parameters()} == {torch.float64}
    assert net(torch.randn(2, 3, 16, 16, dtype=torch.float64)).shape == (2, 5)


def test_weights_of_another_space_are_refused(small_space):
    arch = small_space.sample(random.Random(0))
    weights = small_space.init_weights(0)
    with pytest.raises(SpaceError, match=r"weights: head.weight has shape \(4, 128\), this space needs \(5, 128\)"):
        small_space.build(arch, weights | {"head.weight": torch.zeros(4, 128)})
    renamed = weights | {"normal.bias": weights["norm.bias"]}
    del renamed["norm.bias"]
    with pytest.raises(SpaceError, match=r"weights: 1 missing \(norm.bias\); 1 unknown \(normal.bias\)"):
        small_space.build(arch, renamed)


@pytest.mark.parametrize("form", ["published", "training", "plain"])
def test_load_checkpoint(small_space, tmp_path, form):
    weights = small_space.init_weights(5)
    extra = {"epoch": 499, "args": argparse.Namespace(lr=5e-4)} if form == "training" else {}
    torch.save(weights if form == "plain" else {"model": weights, **extra}, tmp_path / "supernet.pth")
    allowed = set(torch.serialization.get_safe_globals())
    loaded = small_space.load_checkpoint(tmp_path / "supernet.pth")
    assert list(loaded) == list(small_space.supernet_shapes())
    assert all(torch.equal(loaded[name], weights[name]) for name in weights)
    assert set(torch.serialization.get_safe_globals()) == allowed
    small_space.build(small_space.sample(random.Random(0)), loaded)


def test_the_names_of_a_network_trained_in_parallel_lose_their_prefix(small_space, tmp_path):
    weights = small_space.init_weights(5)
    torch.save({"model": {f"module.{name}": w for name, w in weights.items()}}, tmp_path / "parallel.pth")
    loaded = small_space.load_checkpoint(tmp_path / "parallel.pth")
    assert list(loaded) == list(weights)
    assert all(torch.equal(loaded[name], weights[name]) for name in weights)


def test_a_head_of_other_classes_is_left_out_on_request(small_space, tmp_path):
    """The rest is the file's; the head is drawn from the seed, in the space's number of classes."""
    weights = small_space.init_weights(5)
    torch.save(weights | {"head.weight": torch.zeros(7, 128), "head.bias": torch.ones(7)}, tmp_path / "seven.pth")
    with pytest.raises(SpaceError, match=r"head.weight has shape \(7, 128\), this space needs \(5, 128\)"):
        small_space.load_checkpoint(tmp_path / "seven.pth")
    first, same, other = (
        small_space.load_checkpoint(tmp_path / "seven.pth", with_head=False, seed=seed) for seed in (1, 1, 2)
    )
    assert list(first) == list(weights)
    assert all(torch.equal(first[name], weights[name]) for name in weights if not name.startswith("head"))
    assert first["head.weight"].shape == (5, 128) and not first["head.bias"].any()
    assert torch.equal(first["head.weight"], same["head.weight"])
    assert not torch.equal(first["head.weight"], other["head.weight"])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("with_head", [True, False])
def test_weights_of_other_precisions_become_float32(small_space, tmp_path, dtype, with_head):
    stored = {name: torch.nn.Parameter(value.to(dtype)) for name, value in small_space.init_weights(5).items()}
    torch.save({"model": stored}, tmp_path / "supernet.pth")
    loaded = small_space.load_checkpoint(tmp_path / "supernet.pth", with_head=with_head)
    assert {value.dtype for value in loaded.values()} == {torch.float32}
    assert not any(value.requires_grad for value in loaded.values())
    assert torch.equal(loaded["pos_embed"], stored["pos_embed"].float())
    net = small_space.build(small_space.sample(random.Random(0)), loaded)
    assert net(torch.zeros(2, 3, 16, 16)).shape == (2, 5)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda weight: weight.log(), "has values that are NaN or infinite in float32"),
        (lambda weight: weight.double() + 1e300, "has values that are NaN or infinite in float32"),
        (lambda weight: weight.to("meta"), "is on the meta device, without values"),
        (lambda weight: weight.to_sparse(), "is stored as torch.sparse_coo"),
        (lambda weight: torch.nested.nested_tensor([weight]), "is a nested tensor"),
        (lambda weight: weight.long(), "is of type torch.int64"),
        (lambda weight: weight.cfloat(), "is of type torch.complex64"),
    ],
    ids=["nan", "infinite", "meta", "sparse", "nested", "whole", "complex"],
)
@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_a_tensor_that_is_no_weight_is_refused_by_its_name(small_space, tmp_path, change, found):
    weights = small_space.init_weights(5)
    torch.save(weights | {"norm.bias": change(weights["norm.bias"] - 1)}, tmp_path / "bad.pth")
    with pytest.raises(InputError, match=rf"checkpoint .*bad\.pth: norm\.bias {found}; expected a dense tensor"):
        small_space.load_checkpoint(tmp_path / "bad.pth")


class Malicious:
    def __reduce__(self):
        return (pytest.fail, ("code in a checkpoint was run",))


def test_load_checkpoint_refuses_bad_files(small_space, tmp_path):
    path = tmp_path / "bad.pth"
    with pytest.raises(InputError, match=r"bad\.pth: no such file"):
        small_space.load_checkpoint(path)
    torch.save({"model": small_space.init_weights(0), "hook": Malicious()}, path)
    with pytest.raises(InputError, match=r"holds more than tensors, refused: [\w.]+, and no code") as refused:
        small_space.load_checkpoint(path)
    assert "\x1b" not in str(refused.value)
    torch.save(torch.nn.Linear(2, 2), path)
    with pytest.raises(InputError, match=r"torch\.nn\.modules\.linear\.Linear.*save the state dict alone"):
        small_space.load_checkpoint(path)
    path.write_bytes(pickle.dumps(Malicious))  # a pickle of another program
    with pytest.raises(InputError, match=r"not a file of torch\.save"):
        small_space.load_checkpoint(path)
    torch.save({"model": [1, 2]}, path)
    with pytest.raises(InputError, match="found no state dict"):
        small_space.load_checkpoint(path)
    torch.save(AutoFormer("tiny").build(AutoFormer("tiny").sample(random.Random(0))).state_dict(), path)
    with pytest.raises(SpaceError, match=r"bad\.pth: .*"):
        small_space.load_checkpoint(path)


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04broken"])
def test_load_checkpoint_refuses_garbage(small_space, tmp_path, content):
    path = tmp_path / "garbage.pth"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"checkpoint .*garbage\.pth: "):
        small_space.load_checkpoint(path)


@pytest.mark.parametrize("content", ["", "hello", "epoch,loss", "X-Header: 1", "(((", "K"])
def test_of_a_text_is_said_in_words_that_it_is_no_checkpoint(small_space, tmp_path, content):
    path = tmp_path / "text.pth"
    path.write_text(content)
    with pytest.raises(InputError, match=r"text\.pth: not a file of torch.save, or one of something else than t"):
        small_space.load_checkpoint(path)
