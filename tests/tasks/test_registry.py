"""The names of tasks."""

from __future__ import annotations

import pytest

from lswag_fast import tasks
from lswag_fast.errors import InputError
from lswag_fast.tasks.losses import CROSS_ENTROPY


def test_all_seven_columns_of_transnas_have_a_task() -> None:
    columns = ["class_object", "class_scene", "jigsaw", "room_layout", "segmentsemantic", "normal", "autoencoder"]
    found = [tasks.get(column).loss for column in columns]
    assert found == [CROSS_ENTROPY, CROSS_ENTROPY, CROSS_ENTROPY, "mse", CROSS_ENTROPY, "l1", "l1"]


@pytest.mark.parametrize("name", tasks.names())
def test_a_task_has_a_loss_that_is_known(name: str) -> None:
    assert tasks.get(name).loss in (CROSS_ENTROPY, *tasks.LOSSES)
    assert tasks.get(name).name == name


def test_another_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(InputError, match=r"there is no task 'segmentaton'; did you mean 'segmentation'\? known are"):
        tasks.get("segmentaton")


def test_what_is_no_text_is_no_name() -> None:
    with pytest.raises(InputError, match=r"there is no task \['regression'\]; .*known are classification, "):
        tasks.get(["regression"])  # type: ignore[arg-type]
