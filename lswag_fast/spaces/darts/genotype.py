"""Genotypes of the DARTS space (Liu et al., ICLR 2019): a normal and a reduction cell, two edges into each node."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from typing import Any, NamedTuple

from lswag_fast.errors import SpaceError

OPS = (
    "none",
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
)
"""The operations of an edge."""
N_INPUTS = 2
NODES = (2, 3, 4, 5)
"""The nodes of a cell after its two inputs; all of them are joined to the cell's output."""

Edges = tuple[tuple[str, int], ...]


class Genotype(NamedTuple):
    """The edges of both cells, two for each node, each its operation and the node that it comes from.

    Example:
        >>> edges = (("skip_connect", 0), ("skip_connect", 1)) * 4
        >>> Genotype(edges, edges).text()[:60]
        "Genotype(normal=[('skip_connect', 0), ('skip_connect', 1), ("
    """

    normal: Edges
    reduce: Edges

    def text(self) -> str:
        """Return the genotype in the usual notation."""
        nodes = list(NODES)
        return (
            f"Genotype(normal={list(self.normal)}, normal_concat={nodes}, "
            f"reduce={list(self.reduce)}, reduce_concat={nodes})"
        )


def parse_edges(field: str, edges: Any) -> Edges:
    """Return the edges of a cell, those into one node in the order of their sources.

    Args:
        field: the name of the cell, for messages.
        edges: pairs of an operation and a node, two for each node.

    Raises:
        SpaceError: they are anything else.

    Example:
        >>> parse_edges("normal", [["skip_connect", 1], ["none", 0]] * 4)[:2]
        (('none', 0), ('skip_connect', 1))
    """
    n_edges = 2 * len(NODES)
    if not isinstance(edges, (list, tuple)) or len(edges) != n_edges:
        raise SpaceError(f"{field}: found {str(edges)[:60]}, expected {n_edges} pairs [operation, node]")
    parsed = [_edge(field, NODES[place // 2], edge) for place, edge in enumerate(edges)]
    pairs = (sorted(parsed[i : i + 2], key=lambda edge: (edge[1], OPS.index(edge[0]))) for i in range(0, n_edges, 2))
    return tuple(edge for pair in pairs for edge in pair)


def parse_genotype(text: str) -> Genotype:
    """Return the genotype of a text in the usual notation.

    Raises:
        SpaceError: the text is anything else.
    """
    try:
        call = ast.parse(text.strip(), mode="eval").body
        is_genotype = isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "Genotype"
        words = call.keywords if isinstance(call, ast.Call) and not call.args else []
        fields = {word.arg: _literal(word.value) for word in words}
    except (SyntaxError, TypeError, ValueError, RecursionError, MemoryError) as error:
        raise SpaceError(f"genotype: not readable ({error}); found {text[:60]!r}") from error
    wanted = ("normal", "normal_concat", "reduce", "reduce_concat")
    if not is_genotype or sorted(str(word.arg) for word in words) != list(wanted):
        raise SpaceError(
            f"genotype: found {text[:60]!r}, expected Genotype({', '.join(f'{key}=...' for key in wanted)})"
        )
    for field in ("normal_concat", "reduce_concat"):
        if fields[field] != list(NODES):
            raise SpaceError(
                f"{field}: found {fields[field]}, expected {list(NODES)}; in this space all nodes are joined"
            )
    return Genotype(parse_edges("normal", fields["normal"]), parse_edges("reduce", fields["reduce"]))


def _literal(node: ast.expr) -> Any:
    """The value of a literal; range(2, 6) is one in published genotypes."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "range":
        return list(range(*_small(ast.literal_eval(bound) for bound in node.args)))
    return ast.literal_eval(node)


def _small(bounds: Iterable[Any]) -> list[int]:
    found = list(bounds)
    if not found or len(found) > 2 or any(not isinstance(bound, int) or abs(bound) > 99 for bound in found):
        raise ValueError(f"range of {found}")
    return found


def _edge(field: str, node: int, edge: Any) -> tuple[str, int]:
    if not isinstance(edge, (list, tuple)) or len(edge) != 2:
        raise SpaceError(f"{field}: found {str(edge)[:60]}, expected a pair [operation, node]")
    op, source = edge
    if op not in OPS:
        raise SpaceError(f"{field}: found the operation {op!r}, expected one of {', '.join(OPS)}")
    if not isinstance(source, int) or isinstance(source, bool) or not 0 <= source < node:
        raise SpaceError(f"{field}: node {node} reads node {source!r}, expected a whole number from 0 to {node - 1}")
    return op, source
