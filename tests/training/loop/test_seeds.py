"""Seeds that are derived."""

from lswag_fast.training.loop.seeds import derived_seed


def test_each_purpose_has_its_own() -> None:
    purposes = [("order", 0), ("order", 1), ("step", 1, 0), ("step", 0, 1), ("step", 10), ("image", 1, 0)]
    found = {derived_seed(seed, *purpose) for seed in (0, 1) for purpose in purposes}
    assert len(found) == 2 * len(purposes)
    assert all(0 <= value < 2**64 for value in found)
