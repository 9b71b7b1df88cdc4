"""Which architectures are members of an AutoFormer space, and their canonical form."""

from __future__ import annotations

import numbers
from collections.abc import Mapping
from typing import Any

from lswag_fast.errors import SpaceError
from lswag_fast.spaces.autoformer.choices import Choices
from lswag_fast.spaces.protocol import Arch, ChoosingTrial

_TYPE_OF = {field: frozenset((float if field == "mlp_ratio" else int,)) for field in Choices._fields}
"""The type of a field's values in canonical form."""


class Members:
    """The members of a space.

    Args:
        name: of the space, for messages.
        choices: the values that each gene may take.
    """

    def __init__(self, name: str, choices: Choices) -> None:
        self._name = name
        self._choices = choices
        self._fields, self._genes = choices.fields, choices.genes
        self._legal: dict[str, frozenset[float]] = {field: frozenset(getattr(choices, field)) for field in self._fields}

    def canonical(self, arch: Mapping[str, Any]) -> Arch:
        """Return an architecture with lists of its own and ratios as float.

        Raises:
            SpaceError: it is not a member; names the illegal field.
        """
        if not isinstance(arch, Mapping):
            raise SpaceError(
                f"architecture: found {type(arch).__name__}, expected an object with the fields "
                f"{', '.join(self._fields)}"
            )
        if set(arch) != set(self._fields):
            found = ", ".join(map(str, arch)) or "none"
            raise SpaceError(f"architecture: found the fields {found}; expected {', '.join(self._fields)}")
        embed_dim = self._member("embed_dim", arch["embed_dim"], "embed_dim")
        depth = self._member("depth", arch["depth"], "depth")
        genes = {field: self._block_genes(field, arch[field], depth) for field in self._genes}
        for block, (width, heads) in enumerate(zip(genes.get("qkv_dim", ()), genes["num_heads"], strict=False)):
            if width % heads:
                raise SpaceError(f"qkv_dim[{block}]: {width} is no multiple of num_heads[{block}], {heads}")
        return make_arch(embed_dim, depth, **genes)

    def suggest(self, trial: ChoosingTrial) -> Arch:
        """Return the architecture that a trial chooses; the genes of block i end in _i.

        The widths that a block chooses from depend on its heads, and so does the name of that choice: the samplers of
        Optuna want the same choices under a name.
        """
        choices = self._choices
        embed_dim = trial.suggest_categorical("embed_dim", choices.embed_dim)
        depth = trial.suggest_categorical("depth", choices.depth)
        genes: dict[str, list[Any]] = {
            field: [trial.suggest_categorical(f"{field}_{block}", getattr(choices, field)) for block in range(depth)]
            for field in ("num_heads", "mlp_ratio")
        }
        if choices.qkv_dim:
            genes["qkv_dim"] = [
                trial.suggest_categorical(_width_name(block, heads), choices.widths(heads))
                for block, heads in enumerate(genes["num_heads"])
            ]
        return make_arch(embed_dim, depth, **genes)

    def suggested(self, arch: Mapping[str, Any]) -> dict[str, Any]:
        """Return the choices that an architecture is made of, as `suggest` names them.

        Raises:
            SpaceError: it is not a member.
        """
        arch = self.canonical(arch)
        fields = ("num_heads", "mlp_ratio")
        chosen = {f"{field}_{block}": gene for field in fields for block, gene in enumerate(arch[field])}
        for block, width in enumerate(arch.get("qkv_dim", ())):
            chosen[_width_name(block, arch["num_heads"][block])] = width
        return {"embed_dim": arch["embed_dim"], "depth": arch["depth"], **chosen}

    def _block_genes(self, field: str, values: Any, depth: int) -> list[Any]:
        if not isinstance(values, (list, tuple)):
            raise SpaceError(f"{field}: found {values!r}, expected a list of {depth} values, one per block")
        if len(values) != depth:
            raise SpaceError(f"{field}: found {len(values)} values, expected {depth}, one per block (depth is {depth})")
        # A search asks this of thousands of genes per second: what is canonical already is seen without a loop.
        if _TYPE_OF[field].issuperset(map(type, values)) and self._legal[field].issuperset(values):
            return list(values)
        return [self._member(field, value, f"{field}[{layer}]") for layer, value in enumerate(values)]

    def _member(self, field: str, value: Any, where: str) -> Any:
        if type(value) in _TYPE_OF[field] and value in self._legal[field]:
            return value
        choices: tuple[float, ...] = getattr(self._choices, field)
        kind = numbers.Real if field == "mlp_ratio" else numbers.Integral
        if isinstance(value, kind) and not isinstance(value, bool) and value in choices:
            return choices[choices.index(value)]
        raise SpaceError(f"{where}: found {value!r}, {self._name} allows {', '.join(map(str, choices))}")


def make_arch(
    embed_dim: int, depth: int, num_heads: list[int], mlp_ratio: list[float], qkv_dim: list[int] | None = None
) -> Arch:
    """Return an architecture from its genes, fields in canonical order; `qkv_dim` where it is one."""
    arch = {"embed_dim": embed_dim, "depth": depth, "num_heads": num_heads, "mlp_ratio": mlp_ratio}
    return arch if qkv_dim is None else {**arch, "qkv_dim": qkv_dim}


def _width_name(block: int, heads: int) -> str:
    return f"qkv_dim_{block}_of_{heads}_heads"
