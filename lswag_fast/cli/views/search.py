"""What `lswag-fast search` says at its end."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lswag_fast.cli.console import say
from lswag_fast.cli.values import command_words, shell_line
from lswag_fast.cli.views.study import show_best, show_combination, show_repeats
from lswag_fast.files.shell import as_argument, pasteable

if TYPE_CHECKING:
    from lswag_fast.study.stored import SearchResult

INTERRUPTED = "interrupted"
_WHY_SHORT = {
    "exhausted": "; no further architecture was found in the space and budget",
    INTERRUPTED: "; interrupted",
}


def show_result(result: SearchResult, args: argparse.Namespace, proxies: Sequence[str]) -> None:
    """Print the best architectures, how many trials there were, and commands to go further.

    Args:
        result: of the search.
        args: of the command.
        proxies: what was scored, by name; none where accuracies were measured.
    """
    best = result.top()
    if best:
        show_best(best)
        show_combination(result.settings.objective, best)
        show_repeats(result)
        say("\narchitectures, best first:")
        for trial in best:
            say(trial.arch_json)
        if proxies and args.supernet is None:  # `score` would see other images than those that it was trained on
            say(f"\nlook closer: {score_line(best[0].arch_json, args, proxies)}")
    counts = result.to_dict()["counts"]
    failed = f", {counts['failed']} failed" if counts["failed"] else ""
    failed += f", {counts['isomorphic']} left out as the same function" if counts["isomorphic"] else ""
    trials = "trial" if counts["trials"] == 1 else "trials"
    say(f"{counts['trials']} {trials}{failed}, {result.elapsed_ms / 1e3:.1f} s{_WHY_SHORT.get(result.stopped, '')}")
    say(f"results: {result.path}")
    if result.stopped == INTERRUPTED:
        say(f"continue: {pasteable(shlex.split(str(result.metadata['command'])))}")
    elif best:
        say(f"one page to look at: {shell_line(['report', as_argument(result.path)])}")


def score_line(arch_json: str, args: argparse.Namespace, proxies: Sequence[str]) -> str:
    """The command that scores an architecture of the search again, and shows its layers."""
    from lswag_fast.cli.commands.score import COMMAND

    # The --repeats of a search are further batches; those of a score cut one batch into parts.
    own = {"network": f"{args.space}:{arch_json}", "proxies": ",".join(proxies), "repeats": 1}
    given = argparse.Namespace(**{**vars(args), **own})
    return shell_line(["score", *command_words(COMMAND.parser(), given)])
