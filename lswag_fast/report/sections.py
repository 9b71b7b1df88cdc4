"""The sections of the page: which there are for a study, and what they say."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from lswag_fast.report import charts, markup, tables, words
from lswag_fast.report.markup import Raw, tag
from lswag_fast.report.page import Part
from lswag_fast.report.steps import next_steps
from lswag_fast.study import summary
from lswag_fast.study.costs import Cost
from lswag_fast.study.stored import StoredStudy
from lswag_fast.study.trial import Trial

N_REASONS = 20
COMPARE = (
    "Scores are comparable only at the same batch size, pattern samples, data and options, which Configuration lists."
)


def of_study(study: StoredStudy) -> Iterator[Part]:
    """Every section that this study fills, with its charts by name."""
    if study.best is not None:
        yield _history(study)
        yield _costs(study)
        yield _best(study), {}
        if any(trial.is_settled for trial in study.finalists):
            yield _finalists(study.finalists), {}
        if study.repeats:
            yield _repeats(study), {}
        if study.profile:
            yield _profile(study, study.profile)
        found = summary.agreement(study.trials, study.settings.objective.lower_is_better)
        if found is not None:
            yield _agreement(found)
    lost = summary.failures_by_reason(study.trials)
    if lost:
        yield _failures(lost), {}
    yield _configuration(study), {}
    steps = next_steps(study)
    if steps:
        yield _next_steps(steps), {}


def _history(study: StoredStudy) -> Part:
    found = summary.improvements(study.trials)
    text = (
        f"Each dot is one architecture; higher is better. The line is the best score so far; it rose "
        f"{words.plural(len(found) - 1, 'time')} after the first trial, most recently at trial {found[-1].number}."
    )
    if study.trials[-1].proposal_batch > 0:
        text += " Dotted lines separate the batches of proposals."
    if summary.failed(study.trials):
        text += " A cross at the bottom is a trial that failed."
    caption = "Point at a dot to see its architecture. Drag to zoom; double-click to zoom out."
    place = markup.chart("history", caption + _thinned(study))
    return markup.section("Search history", markup.note(text), place), {"history": charts.history(study)}


def _thinned(study: StoredStudy) -> str:
    count = len(summary.complete(study.trials))
    if count <= charts.MAX_POINTS:
        return ""
    return f" About {charts.MAX_POINTS:,} of the {count:,} scored trials are drawn, evenly spaced, and every new best."


def _costs(study: StoredStudy) -> Part:
    text = (
        "Up and to the left is better. The line is the front: for every cost, the best score found at or below it. "
        "The ring marks the best architecture."
    )
    if study.settings.budget.windows():
        text += " Dotted lines mark the ends of the budget."
    costs = summary.measured_costs(study.trials)
    figures = [markup.chart(cost.field, _cost_caption(study, cost), f"Score against {cost.name}") for cost in costs]
    columns = "pair three" if len(figures) == 3 else "pair"
    made = {cost.field: charts.front(study, cost) for cost in costs}
    return markup.section("Score against cost", markup.note(text), tag("div", *figures, class_=columns)), made


def _cost_caption(study: StoredStudy, cost: Cost) -> str:
    leaders = f"{words.plural(len(study.front(cost.field)), 'architecture')} on the front."
    scored = summary.complete(study.trials)
    rho = summary.correlation(summary.scores_of(scored), summary.costs_of(scored, cost))
    if rho != rho:  # NaN: too few, or all alike
        return leaders
    return f"{leaders} Rank correlation (Spearman) of score and {cost.name}: {rho:.2f}."


def _best(study: StoredStudy) -> Raw:
    top = study.top()
    head, cells = tables.best_table(top)
    rows: list[list[markup.Content]] = [[*row, _folded_arch(trial)] for row, trial in zip(cells, top, strict=True)]
    scored = words.plural(len(summary.complete(study.trials)), "scored architecture")
    text = f"The {len(rows)} best of {scored}. {COMPARE}" if len(rows) > 1 else COMPARE
    if len(top[0].values) > 1:
        text += (
            " The score combines the ranks of the proxies among all scored trials "
            f"({study.settings.objective.combine}), so it changes as trials are added; a "
            "column named after a proxy holds that proxy's own values."
        )
    shown = markup.table([*head, markup.FOLDED_COLUMN], rows, tables.LEFT, "best")
    return markup.section("The best architectures", _best_arch(top[0]), markup.note(text), shown)


def _finalists(finalists: Sequence[Trial]) -> Raw:
    settled = [trial for trial in finalists if trial.exact_score is not None]
    text = (
        f"The search took the gradients of few samples. The {words.plural(len(finalists), 'best architecture')} by "
        "that were then scored exactly, from all samples, and the best of them by that is the best of the search. With "
        "several proxies the exact score combines their ranks among these architectures."
    )
    rho = summary.correlation(summary.scores_of(settled), [trial.exact_score or 0.0 for trial in settled])
    if rho == rho:  # not NaN, which too few have
        text += f" Rank correlation (Spearman) of both among them: {rho:.2f}."
    text += "".join(f" Trial {t.number} has no exact score: {t.exact_error}." for t in finalists if t.exact_error)
    head, rows = tables.finalists_table(finalists)
    return markup.section("Scored exactly", markup.note(text), markup.table(head, rows, ()))


def _repeats(study: StoredStudy) -> Raw:
    head, rows = tables.repeats_table(study)
    note = markup.note(tables.repeats_text(study))
    return markup.section("Which of the best can be told apart", note, markup.table(head, rows, ()))


def _best_arch(best: Trial) -> Raw:
    """The choices of the best one by one, as far as the architecture has names for them."""
    is_named = isinstance(best.arch, Mapping)
    choices = markup.definitions(words.flat(best.arch)) if is_named else tag("code", best.arch_json, class_="copy")
    return tag("div", tag("h3", f"Trial {best.number} ({best.origin})"), choices, class_="best-arch")


def _folded_arch(trial: Trial) -> Raw:
    return markup.folded("show", tag("code", trial.arch_json, class_="copy"))


def _profile(study: StoredStudy, layers: Sequence[Mapping[str, object]]) -> Part:
    seen = "" if study.profile_coverage is None else f", which hold {study.profile_coverage:.0%} of its weights"
    text = (
        f"The {len(layers)} layers of trial {study.profile_trial}{seen}, in order of execution. "
        "Layers with the same role in different blocks are joined by a line: look for one that departs from the others."
    )
    captions = {
        "trainability": "The logarithm of the sum of 1/sigma over the weights of a layer, where sigma is the standard "
        "deviation of a weight's gradient over the samples. Higher: the gradients vary less. The sum also grows with "
        "the number of weights.",
        "cardinality": "The number of distinct on/off patterns of the activation after a layer. Higher: it tells more "
        "inputs apart.",
    }
    titles = {"trainability": "trainability (ln)", "cardinality": "distinct patterns"}
    measured = [name for name in titles if any(layer[name] is not None for layer in layers)]
    figures = [markup.chart(name, captions[name], f"{name.capitalize()} by depth") for name in measured]
    made = {name: charts.layers(layers, name, titles[name]) for name in measured}
    return markup.section("Layer by layer", markup.note(text), tag("div", *figures, class_="pair")), made


def _agreement(found: summary.Agreement) -> Part:
    text = (
        f"Spearman's rank correlation over {words.plural(found.n_trials, 'trial')}: 1 means the same order of the "
        "architectures, 0 unrelated orders, -1 the reverse order. Proxies for which lower is better are negated first. "
        "A proxy close to 1 with parameters or MACs says little more than the size does."
    )
    place = markup.chart("agreement", "Warm colours: agreement; cold colours: disagreement.")
    return (
        markup.section("Do the proxies agree?", markup.note(text), place),
        {"agreement": charts.agreement(found)},
    )


def _failures(lost: Mapping[str, list[Trial]]) -> Raw:
    rows = [_failure_row(reason, trials) for reason, trials in list(lost.items())[:N_REASONS]]
    text = f"{words.plural(sum(map(len, lost.values())), 'trial')} without a score. Failed trials are never ranked."
    if len(lost) > N_REASONS:
        text += f" The {N_REASONS} most common of {len(lost)} reasons are listed; trials.csv has them all."
    head = ("times", "trials", "reason", "architecture")
    return markup.section("Failures", markup.note(text), markup.table(head, rows, head))


def _failure_row(reason: str, trials: list[Trial]) -> list[markup.Content]:
    return [str(len(trials)), tables.trial_numbers(trials), reason, _folded_arch(trials[0])]


def _configuration(study: StoredStudy) -> Raw:
    stored = {**study.settings.to_json(), "metadata": dict(study.metadata)}
    settings = words.flat({**stored, "budget": str(study.settings.budget) or None})
    return markup.section(
        "Configuration",
        markup.note(
            "What decides the outcome, and what was recorded with it. The same configuration repeats the search."
        ),
        tag("div", markup.definitions(settings), markup.definitions(study.versions), class_="pair texts"),
        markup.folded("as JSON", tag("pre", json.dumps(stored, indent=2))),
    )


def _next_steps(steps: Mapping[str, str]) -> Raw:
    parts = (part for what, command in steps.items() for part in (tag("h3", _upper(what)), tag("pre", command)))
    return markup.section("Next steps", *parts)


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]
