"""What is recorded: every proxy on five networks, in two dtypes, to the last bit.

`python -m golden.values` (with `tests` on the path) prints the values of this process, under the instruction set that
`LSWAG_ISA` forces; `python -m golden.record` writes those of every instruction set.
"""

from __future__ import annotations

import json
import os
import platform
import random
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lswag_fast import Score, list_proxies, score_many, spaces
from networks import NETWORKS

SEED = 7
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
SCORES_FILE = Path(__file__).with_name("scores.json")
# Those with bits of their own in float32; that "avx512_bf16" has those of "avx512" is a test of its own.
INSTRUCTION_SETS = ("baseline", "avx2", "avx512")

Values = dict[str, Any]


def machine() -> dict[str, str]:
    """All that decides the bits of torch's own products: values recorded elsewhere are not comparable."""
    cpu = next((line.split(":")[1].strip() for line in _cpu_lines() if line.startswith("model name")), "unknown")
    return {
        "cpu": cpu,
        "architecture": platform.machine(),
        "torch": torch.__version__,
        "torch_capability": torch.backends.cpu.get_cpu_capability(),
    }


def _cpu_lines() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []


def _of_space(space: Any, n_classes: int) -> tuple[nn.Module, tuple[Tensor, Tensor]]:
    torch.manual_seed(SEED)
    model = space.build(space.sample(random.Random(SEED)))
    return model, (torch.randn(6, *space.input_shape), torch.arange(6) % n_classes)


def networks() -> dict[str, tuple[nn.Module, Any]]:
    """The five networks in float32, each with its batch."""
    transformers = spaces.AutoFormer(
        embed_dim=(48, 64),
        depth=(2, 3),
        num_heads=(1, 2),
        mlp_ratio=(2, 3.5),
        image_size=32,
        patch_size=8,
        num_classes=4,
    )
    found = {name: NETWORKS[name].build(torch.float32) for name in ("resnet_train", "vit", "cross_attention_packed")}
    return {
        "autoformer": _of_space(transformers, 4),
        "nasbench201": _of_space(spaces.get("nasbench201"), 10),
        **found,
    }


def _bits(value: float | None) -> str | None:
    return None if value is None else float(value).hex()


def _recorded(score: Score) -> Values:
    recorded = {"value": _bits(score.value), "failed": score.error is not None}
    if score.proxy != "lswag":  # every proxy of the observed pass has the same layers
        return recorded
    layers = [
        [layer.name, _bits(layer.trainability), layer.cardinality, layer.n_zero_variance] for layer in score.layers
    ]
    return {**recorded, "layers": layers}


def _cast(value: Any, dtype: torch.dtype) -> Any:
    if isinstance(value, Tensor):
        return value.to(dtype) if value.is_floating_point() else value
    return tuple(_cast(item, dtype) for item in value)


def values() -> Values:
    """{network: {dtype: {proxy: value and layers}}} of this process, floats as hexadecimal text."""
    proxies = [info.name for info in list_proxies()]
    found: Values = {}
    for name, (model, batch) in networks().items():
        for label, dtype in DTYPES.items():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                scores = score_many(model.to(dtype), _cast(batch, dtype), proxies=proxies, pattern_samples=5, seed=SEED)
            found.setdefault(name, {})[label] = {proxy: _recorded(score) for proxy, score in scores.items()}
        model.float()
    return found


def values_under(isa: str) -> Values:
    """`values()` of a new process whose kernels run under the instruction set `isa`, on one thread."""
    command = [sys.executable, "-m", "golden.values"]
    path = os.pathsep.join([str(Path(__file__).parent.parent), *sys.path])
    environment = {**os.environ, "LSWAG_ISA": isa, "PYTHONPATH": path}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    found: Values = json.loads(done.stdout)
    return found


if __name__ == "__main__":
    torch.set_num_threads(1)
    json.dump(values(), sys.stdout)
