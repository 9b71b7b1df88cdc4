"""Genotypes as text: what is read, what is refused."""

from __future__ import annotations

import csv
import gzip

import pytest

from lswag_fast.errors import SpaceError
from lswag_fast.spaces.darts.genotype import Genotype, parse_edges, parse_genotype
from support.published import published_file

EDGES = [("skip_connect", 0), ("skip_connect", 1)] * 4
TEXT = Genotype(tuple(EDGES), tuple(EDGES)).text()


def test_text_goes_round_and_the_order_of_two_edges_does_not_matter() -> None:
    assert parse_genotype(TEXT).text() == TEXT
    assert parse_genotype(TEXT.replace("[2, 3, 4, 5]", "range(2, 6)")).text() == TEXT
    swapped = [edge for one, other in zip(EDGES[::2], EDGES[1::2], strict=True) for edge in (other, one)]
    assert parse_edges("normal", swapped) == tuple(EDGES)


def test_every_published_cell_is_read() -> None:
    with gzip.open(published_file("darts", "darts_1000_cifar10.csv.gz"), "rt") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        found = parse_genotype(row["genotype"])
        assert found.normal == found.reduce
        assert parse_genotype(found.text()) == found
    assert len(rows) == 1000


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Genotype(", "genotype: not readable"),
        ("Genotype(normal=open('x'))", "genotype: not readable"),
        ("Genotype(normal=range(10**9))", "genotype: not readable"),
        ("Cell(normal=[])", "expected Genotype"),
        ("Genotype(normal=[])", "expected Genotype"),
        (TEXT.replace("(normal=", "(7, normal=", 1), "expected Genotype"),
        (TEXT.replace("(normal=", "(normal=[], normal=", 1), "expected Genotype"),
        (TEXT.removesuffix(")") + ", **{})", "expected Genotype"),
        ("Genotype(normal={[]: 1})", "genotype: not readable"),
        (
            TEXT.replace("normal_concat=[2, 3, 4, 5]", "normal_concat=[4, 5]"),
            r"normal_concat: found \[4, 5\], expected",
        ),
        (TEXT.replace("skip_connect", "conv_7x7", 1), "normal: found the operation 'conv_7x7', expected one of none"),
        (TEXT.replace("1), (", "2), (", 1), "normal: node 2 reads node 2, expected a whole number from 0 to 1"),
        (TEXT.replace("('skip_connect', 0), ", "", 1), "normal: found .*, expected 8 pairs"),
        (TEXT.replace("('skip_connect', 0)", "'skip_connect'", 1), "normal: found skip_connect, expected a pair"),
    ],
)
def test_what_is_no_genotype_is_refused(text: str, message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        parse_genotype(text)
