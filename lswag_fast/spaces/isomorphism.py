"""What a cell computes, in a form that cells share which compute the same."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

Kind = Literal["nothing", "identity", "linear", "function", "layer"]
"""What an operation is: zeros, its input, a function without weights, linear or not, or a layer whose weights are its
own. A linear function of a sum is the sum of that function of its terms, as of average but not of maximum pooling."""


class Edge(NamedTuple):
    """An edge of a cell: the node that it leads to, the one that it comes from, its operation, and what that is."""

    node: int
    source: int
    op: str
    kind: Kind


class Term(NamedTuple):
    """One summand: its text, the layers that it contains, each with its place among the edges, and of a linear function
    its name and what it is of."""

    text: str
    layers: frozenset[tuple[str, int]]
    linear: str = ""
    parts: tuple[Term, ...] = ()


def canonical_cell(edges: Sequence[Edge]) -> str:
    """Return what the last node of a cell computes of its input x, as text.

    A node is the sum of its edges. Sums have no order, an identity is its source, and edges of zeros, or from a node
    that nothing reaches, are left out; a linear function stands once in a sum, over all that it is of there. Two layers
    of one kind are two, each with weights of its own, but one layer may be read twice; where one is, all layers of the
    sum follow behind a ";", each once.

    Args:
        edges: those of all nodes, the nodes in topological order, node 0 being the input.

    Returns:
        The text; empty where no path leads from the input to the last node.

    Example:
        >>> twice = Edge(1, 0, "conv", "layer"), Edge(2, 1, "skip", "identity"), Edge(2, 1, "skip", "identity")
        >>> canonical_cell(twice)
        'conv(x)+conv(x);conv(x)'
        >>> canonical_cell([Edge(1, 0, "conv", "layer"), Edge(1, 0, "conv", "layer")])
        'conv(x)+conv(x)'
        >>> canonical_cell([Edge(1, 0, "conv", "layer"), Edge(2, 0, "pool", "linear"), Edge(2, 1, "pool", "linear")])
        'pool(conv(x)+x)'
    """
    nodes: list[list[Term]] = [[Term("x", frozenset())]]
    for node in range(1, max(edge.node for edge in edges) + 1):
        found = (_terms(place, edge, nodes[edge.source]) for place, edge in enumerate(edges) if edge.node == node)
        nodes.append(_sum(term for terms in found for term in terms))
    return _joined(nodes[-1])


def _terms(place: int, edge: Edge, source: list[Term]) -> list[Term]:
    """What an edge adds to a sum, from the terms of the node that it comes from."""
    if edge.kind == "identity":
        return source
    if edge.kind == "nothing" or not source:
        return []
    if edge.kind == "linear":
        return [_linear(edge.op, source)]
    text = f"{edge.op}({_joined(source)})"
    layers = _layers(source)
    return [Term(text, layers | {(text, place)} if edge.kind == "layer" else layers)]


def _linear(op: str, parts: list[Term]) -> Term:
    return Term(f"{op}({_joined(parts)})", _layers(parts), op, tuple(parts))


def _sum(terms: Iterable[Term]) -> list[Term]:
    """The terms in the order of their texts, those of one linear function as one."""
    found: list[Term] = []
    parts: dict[str, list[Term]] = {}
    for term in terms:
        if term.linear:
            parts.setdefault(term.linear, []).extend(term.parts)
        else:
            found.append(term)
    found += [_linear(op, _sum(inner)) for op, inner in parts.items()]
    return sorted(found, key=lambda term: term.text)


def _joined(terms: list[Term]) -> str:
    text = "+".join(term.text for term in terms)
    layers = sorted(_layers(terms))
    every_once = sum(len(term.layers) for term in terms) == len(layers)
    return text if every_once else f"{text};{','.join(layer for layer, _ in layers)}"


def _layers(terms: list[Term]) -> frozenset[tuple[str, int]]:
    return frozenset(layer for term in terms for layer in term.layers)
