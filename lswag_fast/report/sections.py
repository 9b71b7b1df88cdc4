"""The sections of the page: which there are for a study, and what they say."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from lswag_fast.report import charts, markup, numbers, words
from lswag_fast.report.markup import Raw, tag
from lswag_fast.report.steps import next_steps
from lswag_fast.study.stored import StoredStudy
from lswag_fast.study.trial import Trial

N_REASONS = 20
COMPARE = (
    "Scores compare only at the same batch size, pattern samples, data and options: those listed under Configuration."
)
_SHORT_COSTS = {"n_params": "params", "macs": "MACs", "latency_ms": "latency"}

Charts = dict[str, charts.Chart]
Part = tuple[Raw, Charts]


def of_study(study: StoredStudy) -> Iterator[Part]:
    """Every section that this study fills, with its charts by name."""
    if study.best is not None:
        yield _history(study)
        yield _costs(study)
        yield _best(study), {}
        if study.profile:
            yield _profile(study, study.profile)
        found = numbers.agreement(study.trials, study.settings["lower_is_better"])
        if found is not None:
            yield _agreement(found)
    lost = numbers.reasons(study.trials)
    if lost:
        yield _failures(lost), {}
    yield _configuration(study), {}
    steps = next_steps(study)
    if steps:
        yield _next_steps(steps), {}


def _history(study: StoredStudy) -> Part:
    found = numbers.improvements(study.trials)
    text = (
        f"Each dot is one architecture; higher is better. The line is the best score so far: it rose "
        f"{words.plural(len(found) - 1, 'time')} after the first, the last time at trial {found[-1].number}."
    )
    if study.trials[-1].generation > 0:
        text += " Dotted uprights part the generations."
    if numbers.failed(study.trials):
        text += " A cross at the foot is a trial that failed."
    caption = "Point at a dot to see its architecture. Drag to zoom, double-click to go back."
    place = markup.chart("history", caption + _thinned(study))
    return markup.section("Search history", markup.note(text), place), {"history": charts.history(study)}


def _thinned(study: StoredStudy) -> str:
    count = len(numbers.complete(study.trials))
    if count <= charts.MAX_POINTS:
        return ""
    return f" Drawn are about {charts.MAX_POINTS:,} of the {count:,} scored trials, evenly, and every one that led."


def _costs(study: StoredStudy) -> Part:
    text = (
        "Up and to the left is better. The line is the front: for every cost, the best score found at or below it. "
        "The ring marks the best architecture."
    )
    if study.settings.get("budget"):
        text += " Dotted uprights are the ends of the budget."
    costs = numbers.measured_costs(study.trials)
    figures = [
        markup.chart(cost, _cost_caption(study, cost), f"Score against {words.COST_NAMES[cost]}") for cost in costs
    ]
    columns = "pair three" if len(figures) == 3 else "pair"
    made = {cost: charts.front(study, cost) for cost in costs}
    return markup.section("Score against cost", markup.note(text), tag("div", *figures, class_=columns)), made


def _cost_caption(study: StoredStudy, cost: str) -> str:
    leaders = f"{words.plural(len(study.front(cost)), 'architecture')} on the front."
    scored = numbers.complete(study.trials)
    rho = numbers.correlation(numbers.scores_of(scored), numbers.costs_of(scored, cost))
    if rho != rho:  # NaN: too few, or all alike
        return leaders
    return f"{leaders} Rank correlation (Spearman) of score and {words.COST_NAMES[cost]}: {rho:.2f}."


def _best(study: StoredStudy) -> Raw:
    costs = numbers.measured_costs(study.trials)
    top = study.top()
    proxies = list(top[0].values) if len(top[0].values) > 1 else []
    head = ["rank", "score", *(_SHORT_COSTS[cost] for cost in costs), *proxies, "trial", "origin", "architecture"]
    rows = [_best_row(rank, trial, costs, proxies) for rank, trial in enumerate(top, start=1)]
    scored = words.plural(len(numbers.complete(study.trials)), "scored architecture")
    text = f"The {len(rows)} best of {scored}. {COMPARE}" if len(rows) > 1 else COMPARE
    if proxies:
        text += (
            f" The score combines the ranks of the proxies among all scored trials ({study.settings['combine']}), so "
            "it changes as trials are added; the columns named like a proxy hold its own values."
        )
    shown = markup.table(head, rows, ("rank", "origin", "architecture"), "best")
    return markup.section("The best architectures", _winner(top[0]), markup.note(text), shown)


def _winner(best: Trial) -> Raw:
    """The genes of the best one by one, as far as an architecture has names for them."""
    is_named = isinstance(best.arch, Mapping)
    genes = markup.definitions(words.flat(best.arch)) if is_named else tag("code", best.arch_json, class_="copy")
    return tag("div", tag("h3", f"Trial {best.number}, by {best.origin}"), genes, class_="winner")


def _best_row(rank: int, trial: Trial, costs: Sequence[str], proxies: Sequence[str]) -> list[markup.Content]:
    return [
        str(rank),
        f"{trial.score:.6g}",
        *(words.cost(numbers.cost_of(trial, cost), cost) for cost in costs),
        *(f"{trial.values[name]:.5g}" for name in proxies),
        str(trial.number),
        trial.origin,
        markup.folded("show", tag("code", trial.arch_json, class_="copy")),
    ]


def _profile(study: StoredStudy, layers: Sequence[Mapping[str, object]]) -> Part:
    text = (
        f"The {len(layers)} layers of trial {study.profile_trial}, in order of execution. "
        "Layers that do the same in different blocks are joined: look for one that falls away from its like."
    )
    captions = {
        "trainability": "The logarithm of the sum of 1/sigma over the weights of a layer, sigma the deviation of a "
        "weight's gradient over the samples. Higher: the gradients vary less. More weights have more to sum over.",
        "cardinality": "Distinct on/off patterns of the activation behind a layer. Higher: it tells more inputs apart.",
    }
    titles = {"trainability": "trainability (ln)", "cardinality": "distinct patterns"}
    measured = [name for name in titles if any(layer[name] is not None for layer in layers)]
    figures = [markup.chart(name, captions[name], f"{name.capitalize()} by depth") for name in measured]
    made = {name: charts.layers(layers, name, titles[name]) for name in measured}
    return markup.section("Layer by layer", markup.note(text), tag("div", *figures, class_="pair")), made


def _agreement(found: numbers.Agreement) -> Part:
    text = (
        f"Spearman's rank correlation over {words.plural(found.n_trials, 'trial')}: 1 orders the architectures alike, "
        "0 not at all alike, -1 the other way round. Proxies of which less is better are turned around first. "
        "A proxy near 1 with parameters or MACs says little that the size does not say."
    )
    place = markup.chart("agreement", "Warm colours agree, cold ones disagree.")
    return (
        markup.section("Do the proxies agree?", markup.note(text), place),
        {"agreement": charts.agreement(found)},
    )


def _failures(lost: Mapping[str, list[Trial]]) -> Raw:
    rows = [_failure_row(reason, trials) for reason, trials in list(lost.items())[:N_REASONS]]
    text = f"{words.plural(sum(map(len, lost.values())), 'trial')} without a score, never ranked."
    if len(lost) > N_REASONS:
        text += f" The {N_REASONS} commonest of {len(lost)} reasons; trials.csv has them all."
    head = ("times", "trials", "reason", "architecture")
    return markup.section("Failures", markup.note(text), markup.table(head, rows, head))


def _failure_row(reason: str, trials: list[Trial]) -> list[markup.Content]:
    arch = markup.folded("show", tag("code", trials[0].arch_json, class_="copy"))
    return [str(len(trials)), _some_numbers(trials), reason, arch]


def _some_numbers(trials: list[Trial], limit: int = 5) -> str:
    shown = ", ".join(str(trial.number) for trial in trials[:limit])
    return shown if len(trials) <= limit else f"{shown}, ..."


def _configuration(study: StoredStudy) -> Raw:
    settings = words.flat({**study.settings, "budget": words.budget(study.settings.get("budget") or {}) or None})
    return markup.section(
        "Configuration",
        markup.note("What decides the outcome, and what was recorded with it: the same again gives the same search."),
        tag("div", markup.definitions(settings), markup.definitions(study.versions), class_="pair texts"),
        markup.folded("as JSON", tag("pre", json.dumps(dict(study.settings), indent=2))),
    )


def _next_steps(steps: Mapping[str, str]) -> Raw:
    parts = (part for what, command in steps.items() for part in (tag("h3", _upper(what)), tag("pre", command)))
    return markup.section("How to go on", *parts)


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]
