"""What is measured of one public network: how much of it a score observes, and what that costs."""

from __future__ import annotations

import hashlib
import re
import statistics
import warnings
from collections import Counter
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import lswag_fast
from bench.score.measure import peak_mb, seconds
from bench.score.models.apart import Row, apart, return_memory
from bench.score.models.registry import BATCH, PublicModel
from bench.score.peers import Run
from lswag_fast.data.batch import call_model
from lswag_fast.errors import LswagWarning, ZeroVarianceError
from lswag_fast.result import Score

SEED = 0
LIMIT_S = 120.0  # of each of the measurements of a network
MB_DIGITS, RATIO_DIGITS = 1, 3
_OF_ONE = re.compile(r" \([\d, ]+\)| '[^']*'")  # shapes and names, by which the same reason differs


class Prepared:
    """A built network with its batch and the options that it is scored with."""

    def __init__(self, public: PublicModel) -> None:
        torch.manual_seed(SEED)
        self.model = public.make()
        self.batch = public.inputs(), public.targets()
        self.output = public.output
        self.options: dict[str, Any] = {"pattern_samples": BATCH, "output": public.output}

    def found(self) -> Score:
        """L-SWAG with the default options."""
        return lswag_fast.score(self.model, self.batch, **self.options)

    def score(self) -> float:
        """Its value."""
        return float(self.found())

    def plain(self) -> float:
        """One forward and one backward pass as training does it, with the gradients of all parameters."""
        loss = self.loss()
        loss.backward()
        return loss.item()

    def loss(self) -> Tensor:
        """The cross-entropy that a score takes by default, summed over samples and positions."""
        outputs, targets = call_model(self.model, self.batch[0]), self.batch[1]
        if callable(self.output):
            logits = self.output(outputs)
        elif self.output is not None:
            logits = outputs[self.output]
        else:
            logits = outputs if isinstance(outputs, Tensor) else outputs.logits
        if targets.dim() == 2:  # one token each: (B, T, C)
            logits = logits.transpose(1, 2)
        return F.cross_entropy(logits, targets, reduction="sum")


def measured(public: PublicModel, n_rounds: int) -> Row:
    """Everything that is measured of one network; the first failure ends it and is its `error`.

    The network is built once, each measurement has a child of its own.
    """
    prepared = Prepared(public)
    row = apart(partial(observed, prepared), LIMIT_S)
    prepared.options["init"] = row.get("init", "own")
    for measurement in (
        partial(times, prepared, n_rounds),
        partial(peak, prepared.plain, "plain_mb"),
        partial(peak, prepared.score, "score_mb"),
    ):
        if "error" not in row:
            row |= apart(measurement, LIMIT_S)
    if "error" not in row:
        row["memory_ratio"] = round(row["score_mb"] / row["plain_mb"], RATIO_DIGITS)
    return row


def observed(prepared: Prepared) -> Row:
    """Sizes, coverage, what is skipped, the value; and whether the network is left as it was.

    A network whose own initialisation lets no gradient vary (a zero head) is scored with init="rescue".
    """
    model = prepared.model
    before = fingerprint(model)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", LswagWarning)
        init = "own"
        try:
            found = prepared.found()
        except ZeroVarianceError:
            init = prepared.options["init"] = "rescue"
            found = prepared.found()
    macs = lswag_fast.score(model, prepared.batch, proxy="flops", output=prepared.output).value
    matrices = {name: p for name, p in model.named_parameters() if sum(size > 1 for size in p.shape) > 1}
    return {
        "init": init,
        "parameters": sum(p.numel() for p in model.parameters()),
        "macs": round(macs),
        "coverage": f"{found.coverage:.4f}",
        "n_layers": len(found.layers),
        "n_constant": sum(layer.n_zero_variance == layer.n_weights for layer in found.layers),
        **skipped(found, matrices),
        "left_as_it_was": fingerprint(model) == before,
        "lswag": found.value,
        "warnings": " | ".join(str(w.message) for w in caught if issubclass(w.category, LswagWarning)),
    }


def skipped(found: Score, matrices: dict[str, nn.Parameter]) -> Row:
    """How many weight matrices are skipped, the reason of most of their elements, and those that nothing is said of."""
    reasons = {one.name: one.reason for one in found.skipped if one.name in matrices}
    elements: Counter[str] = Counter()
    for name, reason in reasons.items():
        elements[_OF_ONE.sub("", reason)] += matrices[name].numel()
    named = {layer.name for layer in found.layers} | reasons.keys()
    return {
        "n_skipped": len(reasons),
        "skipped_reason": elements.most_common(1)[0][0] if elements else "",
        "unlisted": " ".join(sorted(matrices.keys() - named)),
    }


def times(prepared: Prepared, n_rounds: int) -> Row:
    """Medians of the plain pass and the score, taken in turn after one of each."""
    warnings.simplefilter("ignore", LswagWarning)  # `observed` has them
    pairs = []
    for _ in range(n_rounds + 1):
        plain_s = seconds(prepared.plain)
        prepared.model.zero_grad(set_to_none=True)
        pairs.append((plain_s, seconds(prepared.score)))
    del pairs[0]
    return {
        "plain_s": statistics.median(plain_s for plain_s, _ in pairs),
        "score_s": statistics.median(score_s for _, score_s in pairs),
        "ratio": statistics.median(score_s / plain_s for plain_s, score_s in pairs),
        "n": n_rounds,
    }


def peak(run: Run, column: str) -> Row:
    """Peak memory of the first plain pass or score, above model and batch."""
    warnings.simplefilter("ignore", LswagWarning)
    return_memory()
    return {column: round(peak_mb(run), MB_DIGITS)}


def fingerprint(model: nn.Module) -> str:
    """Changes with any parameter, buffer, gradient, flag or mode of the model, and with the state of chance."""
    digest = hashlib.sha256(torch.get_rng_state().numpy().tobytes())
    for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
        grad = None if tensor.grad is None else id(tensor.grad)
        digest.update(repr((name, id(tensor), tensor.requires_grad, grad, tensor.dtype, tensor.stride())).encode())
        digest.update(tensor.detach().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    for name, module in model.named_modules():
        hooks = len(module._forward_hooks), len(module._forward_pre_hooks), len(module._backward_hooks)
        digest.update(repr((name, id(module), module.training, hooks)).encode())
    return digest.hexdigest()
