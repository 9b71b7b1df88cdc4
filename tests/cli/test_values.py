"""Values are read from the command line and written back as they were."""

from __future__ import annotations

import argparse

import pytest

from lswag_fast.cli import values
from lswag_fast.errors import BudgetError, InputError, MissingExtraError


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (values.positive, "12"),
        (values.seed, "0"),
        (values.seconds, "2.5"),
        (values.file_target, "a/b.json"),
        (values.json_target, "-"),
        (values.folder_target, "runs"),
        (values.seed, str(2**64 - 1)),
        (values.threads, "1024"),
        (values.workers, "64"),
        (values.positive_or_auto, "auto"),
        (values.positive_or_auto, "3"),
        (values.window, "5M..7M"),
        (values.window, "..20"),
        (values.interval, "0,10"),
        (values.interval, "auto"),
        (values.assignment, "population=30"),
        (values.assignment, "rate=0.5"),
        (values.proxy_assignment, "zen.batch_norm=a=b"),
    ],
)
def test_what_is_read_is_written_as_it_was(read, text: str) -> None:
    assert str(read(text)) == text
    assert read(str(read(text))) == read(text)


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (values.positive, "0"),
        (values.seed, "-1"),
        (values.seconds, "0"),
        (values.seconds, "nan"),
        (values.file_target, ""),
        (values.file_target, "."),
        (values.file_target, "a" * 300),
        (values.json_target, ""),
        (values.folder_target, ""),
        (values.seed, str(2**64)),
        (values.seed, "1.5"),
        (values.threads, "0"),
        (values.threads, "100000000"),
        (values.workers, "100000000"),
        (values.positive, "1.5"),
        (values.positive_or_auto, "all"),
        (values.window, "6M"),
        (values.interval, "5"),
        (values.interval, "a,b"),
        (values.assignment, "population"),
        (values.assignment, "=3"),
        (values.proxy_assignment, "batch_norm=optional"),
        (values.space_assignment, "mlp_ratio"),
        (values.space_assignment, "mlp_ratio=3,,4"),
    ],
)
def test_what_cannot_be_read_is_refused(read, text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=text):
        read(text)


def test_a_value_is_a_number_where_it_is_one() -> None:
    found = [values.assignment(f"x={text}").value for text in ("3", "0.5", "1e-3", "abc")]
    assert found == [3, 0.5, 1e-3, "abc"]
    assert [type(value) for value in found] == [int, float, float, str]


def test_an_option_of_a_space_is_written_as_it_is_read() -> None:
    texts = ["mlp_ratio=3,3.5,4", "qkv_dim=192", "squeeze_excitation=true", "activation=swish", "x=False, a,1"]
    found = [values.space_assignment(text) for text in texts]
    assert [item.value for item in found] == [[3, 3.5, 4], 192, True, "swish", [False, "a", 1]]
    assert [type(item) for item in found[0].value] == [int, float, int]
    assert [values.space_assignment(str(item)) for item in found] == found


def test_a_mistake_names_its_option_and_keeps_its_kind() -> None:
    with pytest.raises(BudgetError, match=r"^--params: too small$"), values.naming("--params"):
        raise BudgetError("too small")
    with pytest.raises(InputError, match=r"^--set: no$"), values.naming("--set"):
        raise InputError("no")
    with pytest.raises(MissingExtraError, match=r"^this needs"), values.naming("--plot"):
        raise MissingExtraError("plot", "matplotlib")


def test_a_command_is_written_as_words_that_parse_to_the_same() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("space")
    parser.add_argument("--params", type=values.window)
    parser.add_argument("--set", action="append", default=[], type=values.proxy_assignment)
    parser.add_argument("-o", "--out")
    parser.add_argument("--seed", type=int, default=0)
    words = ["a space", "--params", "..2M", "--set", "a.b=1", "--set", "c.d=x y", "--out=-x", "--seed", "-1"]
    given = parser.parse_args(words)
    words = values.command_words(parser, given)
    assert words[0] == "a space"
    assert parser.parse_args(words) == given
    assert "--out" not in " ".join(values.command_words(parser, given, leave_out=["out"]))
    assert values.command_words(parser, parser.parse_args(["a"])) == ["a"]


def test_a_line_can_be_pasted() -> None:
    assert values.shell_line(["show", "a folder"]) == "lswag-fast show 'a folder'"


def test_a_list_has_each_name_once_and_none_is_empty() -> None:
    assert values.listed("zico, lswag,zico") == ["zico", "lswag"]
    for text in ("", ",", "zico,", "zico,,lswag"):
        with pytest.raises(InputError, match="has an empty name"):
            values.listed(text)
