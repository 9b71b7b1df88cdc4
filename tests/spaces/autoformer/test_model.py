"""The built network against a second, naive implementation in numpy, and its contract as a module."""

import copy
import math
import random

import numpy as np
import pytest
import torch
from torch.overrides import TorchFunctionMode

from lswag_fast.errors import InputError
from lswag_fast.spaces import AutoFormer

EPS = 1e-5  # torch's default for LayerNorm, which the published code keeps


def layer_norm(x, weight, bias):
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + EPS) * weight + bias


def gelu(x):
    return np.vectorize(lambda value: 0.5 * value * (1 + math.erf(value / math.sqrt(2))))(x)


def table_rows(query, key, grid):
    """Rows of the vertical and the horizontal table for two tokens; token 0 is the class token."""
    if query == 0 or key == 0:
        return 0, 0
    (query_y, query_x), (key_y, key_x) = divmod(query - 1, grid), divmod(key - 1, grid)
    return tuple(min(14, max(-14, distance)) + 15 for distance in (key_y - query_y, key_x - query_x))


def relative_vectors(p, name, n_tokens, grid):
    vectors = np.empty((n_tokens, n_tokens, p[f"{name}_v"].shape[1]))
    for query in range(n_tokens):
        for key in range(n_tokens):
            vertical, horizontal = table_rows(query, key, grid)
            vectors[query, key] = p[f"{name}_v"][vertical] + p[f"{name}_h"][horizontal]
    return vectors


def naive_attention(x, p, heads, grid):
    n_tokens, width = len(x), p["attn.proj.weight"].shape[1]
    each = width // heads
    qkv = x @ p["attn.qkv.weight"].T + p["attn.qkv.bias"]
    on_keys = relative_vectors(p, "attn.rel_pos_embed_k.embeddings_table", n_tokens, grid)
    on_values = relative_vectors(p, "attn.rel_pos_embed_v.embeddings_table", n_tokens, grid)
    out = np.empty((n_tokens, width))
    for head in range(heads):
        q, k, v = (qkv[:, part * width + each * head : part * width + each * (head + 1)] for part in range(3))
        for query in range(n_tokens):
            logits = (k + on_keys[query]) @ q[query] / math.sqrt(each)
            weights = np.exp(logits - logits.max())
            weights /= weights.sum()
            out[query, each * head : each * (head + 1)] = weights @ (v + on_values[query])
    return out @ p["attn.proj.weight"].T + p["attn.proj.bias"]


def naive_block(x, p, heads, grid):
    x = x + naive_attention(layer_norm(x, p["attn_layer_norm.weight"], p["attn_layer_norm.bias"]), p, heads, grid)
    hidden = layer_norm(x, p["ffn_layer_norm.weight"], p["ffn_layer_norm.bias"]) @ p["fc1.weight"].T + p["fc1.bias"]
    return x + gelu(hidden) @ p["fc2.weight"].T + p["fc2.bias"]


def naive_logits(image, p, space, arch):
    grid, side = space.image_size // space.patch_size, space.patch_size
    tokens = [p["cls_token"][0, 0]]
    for y in range(grid):
        for x in range(grid):
            patch = image[:, y * side : (y + 1) * side, x * side : (x + 1) * side]
            projected = np.einsum("ecyx,cyx->e", p["patch_embed_super.proj.weight"], patch)
            tokens.append(projected + p["patch_embed_super.proj.bias"])
    out = np.array(tokens) + p["pos_embed"][0]
    for layer, heads in enumerate(arch["num_heads"]):
        prefix = f"blocks.{layer}."
        block = {name.removeprefix(prefix): value for name, value in p.items() if name.startswith(prefix)}
        out = naive_block(out, block, heads, grid)
    return layer_norm(out, p["norm.weight"], p["norm.bias"])[1:].mean(0) @ p["head.weight"].T + p["head.bias"]


def randomised(space, arch):
    """A float64 network whose every parameter counts: none is 0 or 1, attention is far from uniform."""
    net = space.build(arch).double()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64), alpha=0.15)
    return net


@pytest.mark.parametrize(
    ("image_size", "patch_size", "heads", "own"),
    [(16, 4, [2, 1], {}), (8, 8, [1], {}), (32, 2, [1], {}), (16, 4, [2, 1], {"qkv_dim": [12, 20]})],
    ids=["two blocks", "one patch", "distances beyond 14", "heads of other widths"],
)
def test_forward_equals_the_definition(image_size, patch_size, heads, own):
    space = AutoFormer(
        embed_dim=16,
        depth=(1, 2),
        num_heads=(1, 2),
        mlp_ratio=(1.5, 2.0),
        image_size=image_size,
        patch_size=patch_size,
        num_classes=3,
        **own,
    )
    arch = {"embed_dim": 16, "depth": len(heads), "num_heads": heads, "mlp_ratio": [1.5] * len(heads)} | own
    net = randomised(space, arch)
    parameters = {name: value.detach().numpy() for name, value in net.named_parameters()}
    images = torch.randn(2, 3, image_size, image_size, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    expected = np.array([naive_logits(image, parameters, space, arch) for image in images.numpy()])
    # Both sides are float64; 1e-10 leaves room for another order of summation only.
    np.testing.assert_allclose(net(images).detach().numpy(), expected, rtol=1e-10, atol=1e-10)


def test_float32_train_eval_and_no_grad_agree(small_space):
    net = small_space.build(small_space.sample(random.Random(0)))
    images = torch.randn(4, 3, 16, 16)
    trained = net.train()(images)
    assert torch.equal(trained, net.eval()(images))
    with torch.no_grad():
        assert torch.equal(trained, net(images))
    exact = copy.deepcopy(net).double()(images.double())
    torch.testing.assert_close(trained.double(), exact, rtol=1e-4, atol=1e-5)  # some 100 float32 roundings deep


def test_every_parameter_gets_a_gradient(small_space):
    net = small_space.build(small_space.sample(random.Random(1)))
    net(torch.randn(2, 3, 16, 16)).square().sum().backward()
    assert [name for name, p in net.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0] == []


def test_second_derivatives_exist(small_space):
    net = randomised(small_space, small_space.sample(random.Random(1)))
    images = torch.randn(1, 3, 16, 16, dtype=torch.float64, requires_grad=True)
    (grad,) = torch.autograd.grad(net(images).sum(), images, create_graph=True)
    grad.square().sum().backward()
    assert images.grad is not None
    assert images.grad.abs().sum() > 0


def test_an_observer_sees_plain_function_calls(small_space):
    class Calls(TorchFunctionMode):
        def __init__(self):
            super().__init__()
            self.names = []

        def __torch_function__(self, func, types, args=(), kwargs=None):
            self.names.append(func.__name__)
            return func(*args, **(kwargs or {}))

    arch = small_space.sample(random.Random(2))
    net = small_space.build(arch)
    with Calls() as calls:
        net(torch.randn(2, 3, 16, 16))
    assert calls.names.count("linear") == 4 * arch["depth"] + 1
    assert calls.names.count("gelu") == arch["depth"]
    assert calls.names.count("conv2d") == 1


def test_an_empty_batch_gives_no_logits(small_space):
    assert small_space.build(small_space.sample(random.Random(0)))(torch.empty(0, 3, 16, 16)).shape == (0, 5)


@pytest.mark.parametrize("shape", [(2, 3, 32, 32), (2, 1, 16, 16), (3, 16, 16)])
def test_images_of_another_shape_are_refused(small_space, shape):
    net = small_space.build(small_space.sample(random.Random(0)))
    with pytest.raises(InputError, match=r"images: found shape .* takes \(B, 3, 16, 16\)"):
        net(torch.zeros(shape))


def test_features_are_the_tokens_before_pooling_and_after_each_half_of_a_block():
    space = AutoFormer(
        embed_dim=(64,), depth=(2,), num_heads=(1,), mlp_ratio=(2.0,), image_size=32, patch_size=8, num_classes=4
    )
    torch.manual_seed(0)
    model = space.build(space.sample(random.Random(0)))
    images = torch.randn(3, 3, 32, 32)
    features = model.block_features(images)
    assert [tuple(f.shape) for f in features] == [(3, 17, 64)] * 4
    assert torch.equal(model.norm(features[-1]), model.forward_features(images))
    assert torch.equal(model.head(model.forward_features(images)[:, 1:].mean(dim=1)), model(images))
    block = model.blocks[1]
    assert torch.equal(features[2], features[1] + block.attn(block.attn_layer_norm(features[1]), model.relative_index))
