"""What is said of the proxies that a selection or a recommendation brings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lswag_fast.cli.console import say

if TYPE_CHECKING:
    from lswag_fast.libra.held_out import HeldOut

_SHOWN_MEMBERS = 3
"""By the rule "weights" there may be ten; the first count most."""


def show_selection(origin: Mapping[str, Any], proxies: Sequence[str], weights: Sequence[float] | None) -> None:
    """Print what a search is guided by and what that is worth; nothing for proxies given by name.

    Args:
        origin: as `ChosenProxies.origin`, which the metadata of a search hold.
        proxies: what is combined, by name.
        weights: how much each one's rank counts; None for all alike.
    """
    facts = origin.get("selection")
    if facts is not None:
        say(f"{facts['source']}: {', '.join(_members(proxies, weights))}; {_worth(facts)}")


def _members(proxies: Sequence[str], weights: Sequence[float] | None) -> list[str]:
    """The proxies as they count: alike, or each with its share."""
    if weights is None or len(proxies) == 1:
        return list(proxies)
    return [f"{name} {weight:+.2f}" for name, weight in zip(proxies, weights, strict=True)]


def _worth(facts: Mapping[str, Any]) -> str:
    """What is known of a selection, in words."""
    if "why" in facts:
        return str(facts["why"])
    chosen = "chosen on {n_rows} networks for {target}".format_map({"n_rows": "?", "target": "?", **facts})
    if "held_out" not in facts:
        return f"{chosen}, what it is worth on others was not measured"
    from lswag_fast.libra.held_out import HeldOut

    return f"{chosen}; {in_words(HeldOut.from_dict(facts['held_out']))}"


def in_words(found: HeldOut) -> str:
    """What a rule's selections are worth on halves that were not used to choose, and what single proxies are."""
    where = f" {found.inside}" if found.inside else ""
    *members, size = found.alone.items()
    ways = [("the best proxy of the half", found.best_alone)]
    if found.members is not None and len(members) > 1:
        ways.append(("these members", found.members))
    ways += [(f"{name} alone", figure) for name, figure in [*members[:_SHOWN_MEMBERS], size]]
    others = ", ".join(f"{way} {figure}" for way, figure in ways)
    return f"chosen on one half, it ranks the other{where} with a Spearman of {found.selection} ({others})"
