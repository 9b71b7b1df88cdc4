"""A cell of NAS-Bench-101 (Ying et al., ICML 2019): a graph with an operation on each vertex between its ends."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

from lswag_fast.errors import SpaceError

MAX_VERTICES = 7
MAX_EDGES = 9
OPS = ("conv3x3-bn-relu", "conv1x1-bn-relu", "maxpool3x3")
"""The operations of a vertex."""
KERNEL_SIZES = {"conv3x3-bn-relu": 3, "conv1x1-bn-relu": 1}


class Cell(NamedTuple):
    """A graph whose vertices are in topological order, the first its input, the last its output.

    Attributes:
        sources: for each vertex the ones that it reads, a bit for each.
        ops: the operations of the vertices between the first and the last.

    Example:
        >>> Cell.from_bits(0b110, ("maxpool3x3",)).matrix()  # bits: 0 -> 1, 0 -> 2, 1 -> 2
        [[0, 0, 1], [0, 0, 1], [0, 0, 0]]
    """

    sources: tuple[int, ...]
    ops: tuple[str, ...]

    @classmethod
    def from_bits(cls, bits: int, ops: Sequence[str]) -> Cell:
        """Return the cell in which bit x + y (y - 1) / 2 is the edge from x to y."""
        sources = (bits >> y * (y - 1) // 2 & (1 << y) - 1 for y in range(len(ops) + 2))
        return cls(tuple(sources), tuple(ops))

    def bits(self) -> int:
        """The edges as one number, as `from_bits` takes it."""
        return sum(mask << y * (y - 1) // 2 for y, mask in enumerate(self.sources))

    def matrix(self) -> list[list[int]]:
        """The adjacency matrix: row x, column y is 1 where an edge goes from x to y."""
        return [[mask >> x & 1 for mask in self.sources] for x in range(len(self.sources))]

    def n_edges(self) -> int:
        """How many edges there are."""
        return self.bits().bit_count()

    def pruned(self) -> Cell | None:
        """Return the cell without the vertices that lie on no path from input to output; None if there is no path."""
        last = len(self.sources) - 1
        reached, needed = 1, 1 << last
        for vertex in range(1, last + 1):
            if self.sources[vertex] & reached:
                reached |= 1 << vertex
        for vertex in range(last, 0, -1):
            if needed >> vertex & 1:
                needed |= self.sources[vertex]
        both = reached & needed
        if both == (2 << last) - 1:  # the usual case in a search, which asks this of every cell several times
            return self
        kept = [vertex for vertex in range(last + 1) if both >> vertex & 1]
        if not kept or kept[0] != 0 or kept[-1] != last:
            return None
        sources = (sum(1 << new for new, old in enumerate(kept) if self.sources[v] >> old & 1) for v in kept)
        return Cell(tuple(sources), tuple(self.ops[v - 1] for v in kept[1:-1]))

    def is_small_enough(self) -> bool:
        """Whether it has at most 7 vertices and 9 edges."""
        return len(self.sources) <= MAX_VERTICES and self.n_edges() <= MAX_EDGES

    def channels(self, width: int) -> list[int]:
        """Return the channels of each vertex of a pruned cell that puts out `width` of them.

        The vertices that the output reads share its channels, the first ones taking one more each where it does not
        divide; any other vertex has as many as the widest that reads it. The first entry, of the input, is 0.
        """
        last = len(self.sources) - 1
        concatenated = [vertex for vertex in range(1, last) if self.sources[last] >> vertex & 1]
        channels = [0] * last + [width]
        for place, vertex in enumerate(concatenated):
            channels[vertex] = width // len(concatenated) + (place < width % len(concatenated))
        for vertex in range(last - 1, 0, -1):
            if not channels[vertex]:
                readers = (w for w in range(vertex + 1, last) if self.sources[w] >> vertex & 1)
                channels[vertex] = max(channels[w] for w in readers)
        return channels

    def convolutions(self, in_channels: int, width: int) -> list[tuple[int, int, int]]:
        """Return (kernel size, channels in, channels out) of each convolution."""
        channels = self.channels(width)
        found = [(1, in_channels, channels[v]) for v, mask in enumerate(self.sources) if mask & 1]
        kernels = ((KERNEL_SIZES.get(op), channels[v]) for v, op in enumerate(self.ops, 1))
        return found + [(kernel, width, width) for kernel, width in kernels if kernel]

    def isomorphism_hash(self) -> str:
        """Return the benchmark's hash: equal for a pruned cell and any other numbering of its vertices.

        Each vertex starts with the hash of its degrees and its operation, and takes in those of its neighbours as many
        times as there are vertices; the result is the hash of all, sorted.
        """
        readers = [[w for w, mask in enumerate(self.sources) if mask >> v & 1] for v in range(len(self.sources))]
        read = [[v for v in range(w) if mask >> v & 1] for w, mask in enumerate(self.sources)]
        labels = [-1, *(OPS.index(op) for op in self.ops), -2]
        hashes = [_md5(str((len(out), len(in_), label))) for out, in_, label in zip(readers, read, labels, strict=True)]
        for _ in labels:
            joined = [
                ["".join(sorted(hashes[v] for v in near)) for near in sides]
                for sides in zip(read, readers, strict=True)
            ]
            hashes = [_md5("|".join([*sides, own])) for sides, own in zip(joined, hashes, strict=True)]
        return _md5(str(sorted(hashes)))


def parse_cell(matrix: object, ops: object) -> Cell:
    """Return the pruned cell of an adjacency matrix and the operations of all vertices, as the benchmark writes them.

    Args:
        matrix: rows of 0 and 1, upper triangular.
        ops: "input", an operation for each vertex between, "output".

    Raises:
        SpaceError: they are anything else, no path leads from input to output, or what lies on such paths has too many
            vertices or edges.

    Example:
        >>> parse_cell([[0, 1, 1], [0, 0, 0], [0, 0, 0]], ["input", "maxpool3x3", "output"])
        Cell(sources=(0, 1), ops=())
    """
    names = _parsed_ops(ops)
    cell = Cell(_parsed_matrix(matrix, len(names) + 2), names).pruned()
    if cell is None:
        raise SpaceError("matrix: no path leads from the input to the output; connect them")
    if len(cell.sources) > MAX_VERTICES:
        raise SpaceError(f"matrix: {len(cell.sources)} vertices lie on paths to the output, at most {MAX_VERTICES} may")
    if cell.n_edges() > MAX_EDGES:
        raise SpaceError(f"matrix: {cell.n_edges()} edges lie on paths to the output, at most {MAX_EDGES} may")
    return cell


def _parsed_ops(ops: object) -> tuple[str, ...]:
    if not isinstance(ops, (list, tuple)) or len(ops) < 2 or (ops[0], ops[-1]) != ("input", "output"):
        raise SpaceError(f"ops: found {str(ops)[:120]}, expected a list from 'input' to 'output'")
    for op in ops[1:-1]:
        if op not in OPS:
            raise SpaceError(f"ops: found {op!r}, expected one of {', '.join(OPS)}")
    return tuple(ops[1:-1])


def _parsed_matrix(matrix: object, n_vertices: int) -> tuple[int, ...]:
    rows = matrix if isinstance(matrix, (list, tuple)) and len(matrix) == n_vertices else ()
    rows = [row for row in rows if isinstance(row, (list, tuple)) and len(row) == n_vertices]
    if len(rows) != n_vertices or any(row.count(0) + row.count(1) != n_vertices for row in rows):
        raise SpaceError(f"matrix: expected {n_vertices} rows of {n_vertices} values 0 or 1, one for each entry of ops")
    sources = [0] * n_vertices
    for x, row in enumerate(rows):
        for y, value in enumerate(row):
            if value and y <= x:
                raise SpaceError(
                    f"matrix: the edge {x} -> {y} leads back; number the vertices of a graph without cycles so that "
                    "every edge leads to a later one"
                )
            if value:
                sources[y] |= 1 << x
    return tuple(sources)


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
