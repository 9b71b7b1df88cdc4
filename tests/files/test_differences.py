"""What differs between two settings."""

from __future__ import annotations

from lswag_fast.files.differences import differences


def test_equal_settings_differ_in_nothing() -> None:
    assert list(differences({"a": 1, "b": None}, {"a": 1})) == []


def test_each_difference_is_named_with_both_values() -> None:
    stored = {"seed": 0, "sampler": {"name": "random"}, "layers": None}
    given = {"seed": 0, "sampler": {"name": "evolution", "parents": 3}, "layers": [3, 4]}
    assert list(differences(stored, given)) == [
        'sampler.name was "random", now "evolution"',
        "sampler.parents was nothing, now 3",
        "layers was nothing, now [3, 4]",
    ]


def test_a_fingerprint_is_said_in_words() -> None:
    stored = {"scoring": {"batch_fingerprint": "ccb7", "weights_fingerprint": None}}
    given = {"scoring": {"batch_fingerprint": "e232", "weights_fingerprint": "a0"}}
    assert list(differences(stored, given)) == [
        "the batch is another (--data, --split, --batch-size, --image-size and --seed decide it)",
        "the weights that the networks are cut out of are others (--checkpoint decides them)",
    ]


def test_what_has_an_option_is_said_as_it_is_typed() -> None:
    stored = {"objective": {"proxies": ["lswag"], "combine": "log_rank"}, "proxies": ["nwot", "swap"]}
    given = {"objective": {"proxies": ["lswag", "nwot"], "combine": "product", "rank_weights": [1.0, 2.0]}}
    assert list(differences(stored, given)) == [
        "--proxies was lswag, now lswag,nwot",
        "--combine was log_rank, now product",
        "the ranks' weights are others (rank_weights, or the selection that --proxies names, decides them)",
        "--proxies was nwot,swap, now nothing",
    ]


def test_a_group_that_became_a_value_is_shown_whole() -> None:
    assert list(differences({"budget": {"params": 1}}, {"budget": 2})) == ['budget was {"params": 1}, now 2']


def test_the_same_images_that_lie_elsewhere_are_no_difference() -> None:
    stored = {"data": {"source": "photos", "checksum": "1f"}, "network": {"init": "sn", "initial_weights": "a0"}}
    given = {"data": {"source": "./photos/", "checksum": "1f"}, "network": {"init": "sn/", "initial_weights": "a0"}}
    assert list(differences(stored, given)) == []
    given["data"]["checksum"] = "2e"
    assert list(differences(stored, given)) == [
        'data.source was "photos", now "./photos/"',
        'data.checksum was "1f", now "2e"',
    ]


def test_a_place_alone_is_compared() -> None:
    assert list(differences({"source": "a", "checksum": None}, {"source": "b"})) == ['source was "a", now "b"']
