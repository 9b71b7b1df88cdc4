"""How the trials of a study are shown on a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lswag_fast.cli.console import say, show_table, table
from lswag_fast.cli.views.selection import show_selection

if TYPE_CHECKING:
    from lswag_fast.study.costs import Cost
    from lswag_fast.study.objective import Objective
    from lswag_fast.study.stored import StoredStudy
    from lswag_fast.study.trial import Trial

N_REASONS = 10


def show_state(study: StoredStudy) -> None:
    """What was searched by what, how far it is, and how fast."""
    from lswag_fast.report import words
    from lswag_fast.study import summary

    settings, done = study.settings, len(study.trials)
    say(f"{settings.space.name} by {settings.scored_by}: {study.status}, {done:,} of {study.n_trials_wanted:,} trials")
    lost = len(summary.failed(study.trials))
    speed = words.rate(done, study.elapsed_ms)
    say(f"{done - lost:,} scored, {lost:,} failed; {words.duration(study.elapsed_ms)}, {speed}")
    if settings.budget.windows():
        say(f"budget: {settings.budget}")
    say(f"sampler: {settings.sampler.name}, seed {settings.seed}")
    if fidelity := words.fidelity(study):
        say(f"fidelity: {fidelity}")
        for trial in study.finalists:
            if trial.exact_error:
                say(f"  trial {trial.number} has no exact score: {trial.exact_error}")
    if study.metadata.get("data"):
        say(f"data: {study.metadata['data']}")
    show_selection(study.metadata, settings.objective.proxies, settings.objective.rank_weights)
    if parts := words.seconds(study):
        say(f"a candidate's time, measured on the best network: {parts}")
    if (share := summary.driver_share(study.trials)) is not None:
        say(f"between candidates, to propose and store: {share:.1%} of the time")
    if study.profile_coverage is not None:
        say(f"observed of the best network: {study.profile_coverage:.1%} of the weight matrices' elements")


def show_best(best: Sequence[Trial], proxies: Sequence[str] | None = None) -> None:
    """The best trials, best first, with the values of `proxies`, None for all that were combined."""
    from lswag_fast.report.tables import LEFT, best_table

    # Where a trial comes from gives way to the values of several proxies: a row has to fit on a terminal.
    head, rows = best_table(best, proxies, with_origin=len(best[0].values) < 2)
    shown = table(*head, left=LEFT)
    for row in rows:
        shown.add_row(*row)
    show_table(shown)


def show_repeats(study: StoredStudy) -> None:
    """Which of the best the repeats can tell apart, where there are some."""
    from lswag_fast.report.tables import repeats_table, repeats_text

    if not study.repeats:
        return
    head, rows = repeats_table(study)
    shown = table(*head, left=("ranks",))
    for row in rows:
        shown.add_row(*row)
    say(f"\n{repeats_text(study)}")
    show_table(shown)


def show_combination(objective: Objective, best: Sequence[Trial]) -> None:
    """What the score of the best trials is where several proxies make it."""
    if len(objective.proxies) > 1:
        top = "; 0 is the best by each of them" if objective.combine == "log_rank" else ""
        if objective.against:
            top = f"; {', '.join(objective.against)} count against"
        is_exact = any(trial.exact_score is not None for trial in best)  # so the table has a column of them
        exact = " (exact score: among those scored exactly)" if is_exact else ""
        say(f"score: the ranks by the proxies among all trials{exact}, combined ({objective.combine}){top}")


def show_front(study: StoredStudy, cost: Cost) -> None:
    """The trials that none beats in both score and cost."""
    front = study.front(cost.field)
    if not front:
        say(f"\nfront: the {cost.name} was not measured")
        return
    rows = table(cost.heading, "score", "trial")
    for trial in front:
        rows.add_row(cost.write(getattr(trial, cost.field)), f"{trial.score:.6g}", str(trial.number))
    say(f"\nfront of score against {cost.name}:")
    show_table(rows)


def show_failures(study: StoredStudy) -> None:
    """Why trials failed, the most common reason first."""
    from lswag_fast.report.tables import trial_numbers
    from lswag_fast.study.summary import failures_by_reason

    found = failures_by_reason(study.trials)
    if not found:
        return
    say("\nfailures:")
    for reason, trials in list(found.items())[:N_REASONS]:
        say(f"  {len(trials)} x {reason} ({'trial' if len(trials) == 1 else 'trials'} {trial_numbers(trials)})")
    if len(found) > N_REASONS:
        say(f"  and {len(found) - N_REASONS} other reasons, see trials.csv")
