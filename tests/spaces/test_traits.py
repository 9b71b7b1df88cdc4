"""What spaces say of their networks, and what holds where they do not."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from lswag_fast import spaces
from lswag_fast.errors import InputError
from lswag_fast.spaces.traits import (
    NamesDefaults,
    NamesTask,
    default_init_of,
    default_mode_of,
    output_shape_of,
    task_of,
)

WITHOUT_BATCH_NORM = ("autoformer-tiny", "autoformer-small", "autoformer-base", "flexibert", "gpt")


@pytest.mark.parametrize("name", spaces.names())
def test_every_named_space_says_its_mode_and_weights(name: str) -> None:
    space = spaces.get(name)
    assert isinstance(space, NamesDefaults)
    assert default_mode_of(space) == ("eval" if name in WITHOUT_BATCH_NORM else "train")
    assert default_init_of(space) == ("kaiming" if name.startswith("transnas") else "own")
    assert isinstance(space, NamesTask) == ("task" in spaces.options(name))


def test_a_space_that_says_nothing() -> None:
    space: Any = SimpleNamespace(num_classes=7)
    assert (task_of(space), output_shape_of(space), default_mode_of(space), default_init_of(space)) == (
        None,
        (7,),
        None,
        "own",
    )


def test_a_task_that_there_is_not_is_refused() -> None:
    space: Any = SimpleNamespace(task="detection")
    with pytest.raises(InputError, match="there is no task 'detection'"):
        task_of(space)
