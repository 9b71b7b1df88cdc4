"""`html_report`: one self-contained page on a study."""

from __future__ import annotations

from collections.abc import Iterable

from lswag_fast.report import charts, markup, sections, words
from lswag_fast.report.markup import Raw, tag
from lswag_fast.report.page import Tile, foot, page, tiles
from lswag_fast.study import summary
from lswag_fast.study.costs import write_count
from lswag_fast.study.stored import StoredStudy

_STATUS = {
    "running": "This search was still running when the report was made; make the report again to see more.",
    "interrupted": "This search was interrupted. The end of this page says how to continue.",
    "killed": "The process of this search ended. Finished trials are kept. The end of this page says how to continue.",
    "failed": "An error ended this search. The end of this page says how to continue.",
    "exhausted": "No further architecture was found in the space and budget.",
}
_MOST = {"log_rank": 0, "mean_rank": 1, "product": 1}
"""What the first in every proxy has, where none counts against; a sum of ranks depends on how many there are."""


def html_report(study: StoredStudy) -> str:
    """Return the page as text, about 5 MB, most of it plotly.js.

    It holds the search history, score against costs with the front, the best architectures, the layers of the best, the
    agreement of the proxies, the failures, the configuration and the next steps; sections that a study does not fill
    are left out.

    Args:
        study: as `read_study` returns it, or the result of a search.

    Returns:
        The HTML.

    Raises:
        MissingExtraError: plotly is not installed.
    """
    parts = list(sections.of_study(study))
    hover = _hover(study, [chart for _, made in parts for chart in made.values()])
    return page(_title(study), _head(study), parts, foot(study.path, sections.COMPARE), hover)


def _hover(study: StoredStudy, drawn: Iterable[charts.Chart]) -> dict[int, str]:
    """The text of each trial that is drawn, once."""
    wanted = {number for chart in drawn for trace in chart["data"] for number in trace.get("meta", ())}
    names = study.settings.objective.proxies
    return {trial.number: charts.hover_text(trial, names) for trial in study.trials if trial.number in wanted}


def _title(study: StoredStudy) -> str:
    place = "" if study.path is None else f": {study.path.name}"
    return f"{study.settings.space.name}{place}"


def _head(study: StoredStudy) -> Raw:
    parts = [
        tag("p", "Architecture search", class_="eyebrow"),
        tag("h1", study.settings.space.name),
        tag("p", *_lead(study), class_="lead"),
    ]
    if study.status in _STATUS:
        parts.append(tag("p", _STATUS[study.status], class_="banner"))
    return tag("header", *parts, _tiles(study))


def _lead(study: StoredStudy) -> list[markup.Content]:
    scored = len(summary.complete(study.trials))
    how = f"{words.plural(scored, 'untrained architecture')} scored by {study.settings.scored_by}."
    if fidelity := words.fidelity(study):
        how += f" Fidelity: {fidelity}."
    if study.best is None:
        return [f"{how} No architecture has a score yet."]
    best = study.best
    found = f"trial {best.number} ({best.origin})"
    costs = f"{write_count(best.n_params)} parameters and {write_count(best.macs)} MACs"
    return [f"{how} The best was found by {found}: ", tag("b", costs), "."]


def _tiles(study: StoredStudy) -> Raw:
    best, lost = study.best, len(summary.failed(study.trials))
    done = len(study.trials)
    found: list[Tile] = []
    if best is not None:
        name, score = ("best score", best.score) if best.exact_score is None else ("best exact score", best.exact_score)
        found.append((name, f"{score:.5g}", f"trial {best.number}{_scale(study)}"))
        costs = summary.measured_costs([best])
        found += [(cost.name, cost.write(summary.cost_of(best, cost)), "of the best") for cost in costs]
    found.append(("trials", f"{done:,}", f"of {study.n_trials_wanted:,}; {lost} failed"))
    found.append(("took", words.duration(study.elapsed_ms), words.rate(done, study.elapsed_ms)))
    return tiles(found)


def _scale(study: StoredStudy) -> str:
    """What a score made of several proxies is, without which a best one of 0 looks like none."""
    objective = study.settings.objective
    if len(objective.proxies) < 2:
        return ""
    most = None if objective.against else _MOST.get(objective.combine)
    scale = "" if most is None else f", at most {most}"
    return f"; {len(objective.proxies)} proxies by {objective.combine}{scale}"
