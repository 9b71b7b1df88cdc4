"""What --sampler and --sampler-set name: a registered sampler or one of the user's own, and its options."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lswag_fast.cli.values import Assignment, assignment, naming
from lswag_fast.errors import InputError

if TYPE_CHECKING:
    from lswag_fast.study.samplers import Sampler

DEFAULT = "evolution"


def add_sampler(parser: argparse.ArgumentParser) -> None:
    """Add both options; `sampler_help` has the list of the samplers."""
    group = parser.add_argument_group("sampler")
    text = f"which architectures are tried next, see below, or package.module:Class (default: {DEFAULT})"
    group.add_argument("--sampler", default=DEFAULT, metavar="NAME", help=text)
    group.add_argument(
        "--sampler-set",
        action="append",
        default=[],
        type=assignment,
        metavar="OPTION=VALUE",
        help="an option of the sampler, such as population=100; may be given several times",
    )


def sampler_help() -> str:
    """The registered samplers with their options and defaults, for the help."""
    from lswag_fast.study.samplers import get_sampler, list_samplers, sampler_options

    lines = ["samplers and their options:"]
    for name in list_samplers():
        summary = (get_sampler(name).__doc__ or "").splitlines()[0]
        options = ", ".join(f"{option}={value}" for option, value in sampler_options(name).items())
        lines += [f"  {name:<14}{summary}", f"{'':<16}{options}"]
    return "\n".join(lines)


def chosen_sampler(name: str, given: Sequence[Assignment]) -> Sampler:
    """Make the sampler that the options name.

    Raises:
        InputError: there is no such sampler or option, or the option cannot have this value.
    """
    from lswag_fast.study.samplers import get_sampler

    with naming("--sampler"):
        if ":" in name:
            name = _own(name)
        get_sampler(name)  # refuses an unknown name
    with naming("--sampler-set"):
        return get_sampler(name, **{item.option: item.value for item in given})


def _own(target: str) -> str:
    """The name of the user's own sampler, which is registered now if its module does not do so itself."""
    from lswag_fast.cli.targets import find
    from lswag_fast.study.samplers import get_sampler, list_samplers, register_sampler

    found = find(target)
    name = getattr(found, "name", None)
    if name not in list_samplers():
        register_sampler(found)  # type: ignore[type-var]  # refuses what is no class of a sampler
    elif type(get_sampler(str(name))) is not found:
        raise InputError(f"{target} is called {name!r}, as a registered sampler is; give it a name of its own")
    return str(name)
