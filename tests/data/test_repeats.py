"""The repeats of a score: how the batch is cut, and what is said where one of them has no value."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lswag_fast import score, score_many
from lswag_fast.data.repeats import repeats_of
from lswag_fast.errors import InputError, UnsupportedModelError
from lswag_fast.options import ScoreOptions
from lswag_fast.passes.shared.loss import TokenLoss


def small_cnn() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3))


def language_model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Embedding(16, 8), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 16))


def texts() -> tuple[torch.Tensor, torch.Tensor]:
    """Eight, of which sample 5 has no token that counts."""
    tokens = torch.randint(16, (8, 6), generator=torch.Generator().manual_seed(0))
    labels = tokens.clone()
    labels[5] = -100
    return tokens, labels


def test_repeats_that_cannot_be_cut_are_refused() -> None:
    batch = torch.randn(12, 1, 6, 6), torch.arange(12) % 3
    for repeats in (5, 12):
        with pytest.raises(
            InputError, match=f"{repeats} repeats cut the batch into equal parts of two samples or more"
        ):
            score(small_cnn(), batch, repeats=repeats)
    for repeats in (0, -1, 2.5, True):
        with pytest.raises(InputError, match="repeats must be a whole number of at least 1"):
            score(small_cnn(), batch, repeats=repeats)
    with pytest.raises(InputError, match="repeats take a single batch"):
        score(small_cnn(), [batch, batch], repeats=2)


def test_an_error_names_the_repeat_and_its_samples() -> None:
    said = "repeat 2, samples 4 to 7: TokenLoss: no token counts in sample 1 of the batch"
    with pytest.raises(InputError, match=f"^{said}"):
        score(language_model(), texts(), proxy="snip", repeats=2, loss_fn=TokenLoss())
    found = score_many(language_model(), texts(), proxies=["snip", "params"], repeats=2, loss_fn=TokenLoss())
    assert str(found["snip"].error).startswith(said)
    assert found["params"].error is None


def test_the_cause_of_an_error_is_that_of_the_repeat() -> None:
    def fails(_: object, __: object) -> None:
        raise InputError("no loss") from KeyError("why")

    batch = torch.randn(4, 1, 6, 6), torch.arange(4) % 3
    with pytest.raises(InputError, match=r"^repeat 1, samples 0 to 1: no loss") as caught:
        repeats_of(batch, ScoreOptions(), 2)[0].scored_by(fails)
    assert isinstance(caught.value.__cause__, KeyError)


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")
def test_what_is_wrong_with_all_repeats_names_none() -> None:
    batch = torch.randn(4, 1, 6, 6), torch.arange(4) % 3
    found = score_many(small_cnn(), batch, proxies=["nope", "params"], repeats=2)
    assert str(found["nope"].error).startswith("there is no proxy 'nope'")
    assert found["params"].error is None
    with pytest.raises(InputError, match=r"^there is no proxy 'nope'"):
        score(small_cnn(), batch, proxy="nope", repeats=2)
    with pytest.raises(InputError, match=r"^proxy 'snip' has no option 'mu'"):
        score(small_cnn(), batch, proxy="snip", repeats=2, proxy_options={"snip": {"mu": 1.0}})
    scripted = torch.jit.script(small_cnn())
    for call in (
        lambda: score(scripted, batch, repeats=2),
        lambda: score_many(scripted, batch, proxies=["snip"], repeats=2),
    ):
        with pytest.raises(UnsupportedModelError, match=r"^(?!repeat)"):
            call()
