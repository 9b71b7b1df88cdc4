"""How `lswag-fast score` shows what it found."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lswag_fast.cli.console import say, show_table, table

if TYPE_CHECKING:
    from lswag_fast.result import Score, Scores

_COMPARE = "Scores are comparable only at the same data, batch size and options."


def show_score(result: Score, data: str, networks: str | None) -> None:
    """One proxy: what each layer gives, what was left out, the score."""
    if result.layers:
        if result.repeated:
            say(f"layers of the first of {len(result.repeated)} repeats:")
        _show_layers(result)
    if result.skipped:
        say("\nnot scored:" if result.layers else "not scored:")
        for skipped in result.skipped:
            say(f"  {skipped.name}: {skipped.reason}")
    _show_coverage(result)
    say(f"\n{result.proxy} score: {_value(result)} ({_direction(result)} is better)")
    if result.error:
        say(result.error)
    say(f"data: {data}")
    _show_fidelity(result)
    _show_end(result, networks)


def show_scores(results: Scores, data: str, networks: str | None) -> None:
    """Several proxies: a table, then why some have no score."""
    rows = table("proxy", "score", "better", left=("proxy", "better"))
    for name, result in results.items():
        rows.add_row(name, "-" if result.error else _value(result), _direction(result))
    show_table(rows)
    failed = {name: result.error for name, result in results.items() if result.error}
    if failed:
        say("\nwithout a score:")
        for name, error in failed.items():
            say(f"  {name}: {error}")
    _show_coverage(*results.values())
    say(f"\ndata: {data}")
    _show_fidelity(*results.values())
    n = len(results.passes)
    say(f"{n} {'pass' if n == 1 else 'passes'}: {', '.join(results.passes) or 'none could be run'}")
    _show_end(next(iter(results.values())), networks)


def _value(result: Score) -> str:
    """The value, or the mean of the repeats with its standard error."""
    if result.standard_error is None:
        return f"{result.value:.8g}"
    return f"{result.value:.8g} +- {result.standard_error:.2g}"


def _direction(result: Score) -> str:
    return "higher" if result.higher_is_better else "lower"


def _show_layers(result: Score) -> None:
    names = ("weight", "kind", "depth", "weights", "trainability", "cardinality", "no variance")
    rows = table(*names, left=("weight", "kind"))
    for layer in result.layers:
        sizes = (f"{layer.depth:.2f}", f"{layer.n_weights:,}")
        patterns = "-" if layer.cardinality is None else f"{layer.cardinality:,}"
        rows.add_row(
            layer.name, layer.kind, *sizes, f"{layer.trainability:.4f}", patterns, f"{layer.n_zero_variance:,}"
        )
    show_table(rows)


def _show_coverage(*results: Score) -> None:
    """What the passes with gradients saw of the network, the same for all proxies."""
    share = next((result.coverage for result in results if result.coverage is not None), None)
    if share is not None:
        say(f"\nobserved: {share:.1%} of the elements of the weight matrices")


def _show_fidelity(*results: Score) -> None:
    """How exactly the standard pass was taken, the same for all proxies of it; nothing where none is of it."""
    counts = {
        "gradients": max(result.n_gradient_samples for result in results),
        "patterns": max(result.n_pattern_samples for result in results),
    }
    taken = [f"{what} of {n}" for what, n in counts.items() if n]
    if taken:
        first = results[0]
        taken[0] += f" of {first.n_samples // max(1, len(first.repeated))} samples"
        fidelity, precision = (first.options[name] for name in ("fidelity", "precision"))
        say(f"fidelity {fidelity}: {', '.join(taken)}; precision {precision}")


def _show_end(result: Score, networks: str | None) -> None:
    if result.repeated:
        n = len(result.repeated)
        say(f"{n} repeats of {result.n_samples // n} samples each: their mean +- its standard error")
    if networks is not None:
        say(networks)
    say(f"{result.elapsed_ms:.0f} ms on {result.device} ({result.isa})")
    say(_COMPARE)
