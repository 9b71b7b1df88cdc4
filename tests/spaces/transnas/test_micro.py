"""The micro space: its strings, moves, published parameters, and cells that compute the same."""

from __future__ import annotations

import csv
import gzip
import itertools
import random

import pytest
import torch

from lswag_fast.errors import SpaceError
from lswag_fast.spaces import Suggests, TransNasMicro
from support.published import published_file

SPACE = TransNasMicro()
SMALL = TransNasMicro(num_classes=3, image_size=32, channels=4)


def rows(name: str) -> list[dict[str, str]]:
    with gzip.open(published_file("transnas101", name), "rt") as file:
        return list(csv.DictReader(file))


def test_published_strings_go_round() -> None:
    found = [row["arch"] for row in rows("micro_half.csv.gz")]
    assert all(SPACE.decode(text) == {"network": text} for text in found)
    assert len(found) == SPACE.size / 2


def test_published_parameters() -> None:
    """The suite's scene networks have 63 logits, those of the task before its classes were chosen."""
    space = TransNasMicro(num_classes=63)
    for row in rows("micro_half_class_scene_proxies_suite.csv.gz"):
        assert space.n_params({"network": row["arch"]}) == round(float(row["params"]) * 1e6)


@pytest.mark.parametrize(
    "network", ["64-41414-4_30_232", "64-41444-3_30_232", "64-41414-3_302_32", "64-41414-3_30_2321"]
)
def test_what_is_no_cell_is_refused(network: str) -> None:
    with pytest.raises(SpaceError, match=f"network: found '{network}', expected 64-41414-a_bc_def with digits 0 to 3"):
        SPACE.n_params({"network": network})


def test_moves_stay_in_the_space() -> None:
    rng = random.Random(0)
    a, b = SPACE.sample(rng), SPACE.sample(rng)
    for _ in range(50):
        changed = zip(SPACE.digits(a), SPACE.digits(SPACE.mutate(a, rng)), strict=True)
        assert sum(before != after for before, after in changed) == 1
        child = SPACE.digits(SPACE.crossover(a, b, rng))
        assert all(digit in pair for digit, *pair in zip(child, SPACE.digits(a), SPACE.digits(b), strict=True))


def test_a_trial_of_optuna_chooses_the_edges() -> None:
    class Last:
        def suggest_categorical(self, name: str, choices: tuple[str, ...]) -> str:
            return choices[-1]

    arch = SPACE.suggest(Last())
    assert isinstance(SPACE, Suggests)
    assert arch == {"network": "64-41414-3_33_333"}
    assert SPACE.suggested(arch) == {f"op_{edge}": "3" for edge in range(6)}


def test_networks_of_one_key_are_the_same_function() -> None:
    """Cells of zeros and skips, with all skips that are convolutions made alike."""
    x = torch.randn(1, 4, 6, 6)
    found: dict[str, torch.Tensor] = {}
    for digits in itertools.product("01", repeat=6):
        arch = SMALL.decode("4-41414-{}_{}{}_{}{}{}".format(*digits))
        net = SMALL.build(arch).eval()
        for name, weight in net.blocks[0].named_parameters():
            torch.nn.init.constant_(weight, 0.0 if name.endswith("bias") else 0.5)
        key = SMALL.canonical(arch)
        expected = found.setdefault(key, net.blocks[0](x))
        torch.testing.assert_close(net.blocks[0](x), expected)
        assert bool(key) == bool(expected.any())
    one, two, three = "1(x)", "1(x)+1(x)", "1(x)+1(x)+1(x)"
    # The input reaches the output on up to four ways, through up to three skips of it that are convolutions.
    assert set(found) == {
        "",
        one,
        two,
        three,
        f"{two};{one}",
        f"{three};{one},{one}",
        f"{three}+{one};{one},{one},{one}",
    }


def test_keys_by_hand() -> None:
    key = SPACE.canonical
    assert key({"network": "64-41414-2_03_011"}) == "2(x)+3(2(x));2(x),3(2(x))"
    assert key({"network": "64-41414-2_03_310"}) == "2(x)+3(x)"
