"""What spaces of texts share."""

from __future__ import annotations

import pytest
import torch

from lswag_fast.errors import SpaceError
from lswag_fast.spaces import FlexiBert, Gpt, NasBench201
from lswag_fast.spaces.text_space import TextSpace, example_inputs


@pytest.mark.parametrize("space", [FlexiBert(length=20), Gpt(length=20)], ids=["flexibert", "gpt"])
def test_what_is_shown_makes_an_equal_space(space: TextSpace) -> None:
    again = eval(repr(space), {type(space).__name__: type(space)})
    assert repr(again) == repr(space)
    assert space.input_shape == (20,)


@pytest.mark.parametrize("length", [0, 1.5, True])
def test_another_length_is_refused(length: object) -> None:
    with pytest.raises(SpaceError, match=r"length: found .* expected a positive whole number"):
        Gpt(length=length)  # type: ignore[arg-type]


def test_examples_are_images_or_tokens() -> None:
    assert (example_inputs(Gpt(length=5), 3).shape, example_inputs(Gpt(length=5), 3).dtype) == ((3, 5), torch.long)
    assert example_inputs(NasBench201(image_size=8), 1).dtype == torch.float32
