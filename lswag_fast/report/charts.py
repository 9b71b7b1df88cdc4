"""The charts of the page, as plotly figures in plain dictionaries.

Colours are names of the page's palette, `@accent`: the page fills them in, for light, dark and paper. Traces are SVG. A
trace of trials names them in `meta`; the page puts their hover text there, which is stored once for all charts.
"""

from __future__ import annotations

import html
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from lswag_fast.plots.layers import roles
from lswag_fast.study import summary
from lswag_fast.study.budget import Budget
from lswag_fast.study.costs import COSTS, Cost
from lswag_fast.study.stored import StoredStudy
from lswag_fast.study.trial import Trial

Chart = dict[str, Any]

MAX_POINTS = 3000
"""Points of a chart: a browser draws them at once, and the page stays small."""
MAX_BATCHES = 60
"""Beyond it, lines between the batches of proposals would be a grey area."""
_MARKED_EPOCHS = 40
"""Beyond it, the points of a curve would hide it."""
_HEIGHT = 380
_MARKERS = ("circle", "diamond", "square", "triangle-up", "cross", "circle-open", "diamond-open", "square-open")


def history(study: StoredStudy) -> Chart:
    """Every score in the order of the search, and the best so far."""
    scored = summary.complete(study.trials)
    best = summary.improvements(study.trials)
    traces = [
        _trials(thinned(scored, best, MAX_POINTS), "number", "scored", "@muted", opacity=0.75, size=6),
        _best_line(best, study.trials[-1].number if study.trials else 0),
        _trials(best, "number", "a new best", "@accent", size=9),
    ]
    lost = summary.failed(study.trials)
    if lost:
        traces.append(_failed(thinned(lost, (), MAX_POINTS)))
    layout = _layout("trial", "score")
    layout["yaxis2"] = {"overlaying": "y", "range": [0, 1], "visible": False, "fixedrange": True}
    layout["shapes"] = [_upright(number - 0.5) for number in _batch_starts(study.trials)]
    return {"data": traces, "layout": layout}


def front(study: StoredStudy, cost: Cost) -> Chart:
    """Score against a cost, with the front: the best score at or below each cost."""
    scored = summary.complete(study.trials)
    leaders = study.front(cost.field)
    places = {"x": summary.costs_of(leaders, cost), "y": summary.scores_of(leaders)}
    steps = {**places, "type": "scatter", "mode": "lines", "name": "front", "hoverinfo": "skip", "showlegend": False}
    traces = [
        _trials(thinned(scored, leaders, MAX_POINTS), cost.field, "scored", "@muted", opacity=0.75, size=6),
        {**steps, "line": {"color": "@accent", "width": 2, "shape": "hv"}},
        _trials(leaders, cost.field, "front", "@accent", size=9),
    ]
    if study.best is not None:
        traces.append(_ring(study.best, cost.field))
    layout = _layout(cost.label, "score")
    layout["showlegend"] = False
    layout["margin"] |= {"t": 12}
    layout["shapes"] = [_upright(end) for end in _budget_ends(study.settings.budget, cost)]
    return {"data": traces, "layout": layout}


def _budget_ends(budget: Budget, cost: Cost) -> list[float]:
    """The ends of the window that the search was given, those that there are."""
    return [end for end in budget.to_dict().get(cost.budget, ()) if end]


def agreement(found: summary.Agreement) -> Chart:
    """A heatmap of rank correlations."""
    names = [_plain(name) for name in found.names]
    rho = [[None if math.isnan(value) else round(value, 4) for value in row] for row in found.rho.tolist()]
    text = [["-" if value is None else f"{value:.2f}" for value in row] for row in rho]
    trace = {
        "type": "heatmap",
        "x": names,
        "y": names,
        "z": rho,
        "zmin": -1,
        "zmax": 1,
        "text": text,
        "texttemplate": "%{text}",
        "hovertemplate": "%{y} and %{x}: %{text}<extra></extra>",
        "colorscale": [[0, "@against"], [0.5, "@card"], [1, "@accent"]],
        "xgap": 2,
        "ygap": 2,
        "colorbar": {"thickness": 10, "outlinewidth": 0, "title": {"text": "Spearman", "side": "right"}},
    }
    layout = _layout("", "")
    layout["height"] = 110 + 44 * len(names)
    layout["margin"] |= {"t": 40, "b": 12}
    layout["xaxis"] |= {"side": "top", "showgrid": False, "type": "category"}
    layout["yaxis"] |= {"autorange": "reversed", "showgrid": False, "type": "category"}
    return {"data": [trace], "layout": layout}


def layers(profile: Sequence[Mapping[str, Any]], quantity: str, title: str) -> Chart:
    """One quantity of the layers of a network, in order of execution; layers that do the same are joined."""
    traces = []
    for place, role in enumerate(roles(profile)):
        if all(_finite(layer[quantity]) is None for layer in role.layers):
            continue
        joined = len(role.places) > 1
        traces.append(
            {
                "type": "scatter",
                "mode": "lines+markers" if joined else "markers",
                "name": _plain(role.name),
                "x": list(role.places),
                "y": [_finite(layer[quantity]) for layer in role.layers],
                "text": [_layer_text(layer) for layer in role.layers],
                "hovertemplate": "%{text}<extra></extra>",
                "line": {"color": f"@series{place % 6}", "width": 1.5},
                "marker": {"color": f"@series{place % 6}", "size": 7, "symbol": _MARKERS[place % len(_MARKERS)]},
            }
        )
    layout = _layout("layer, in order of execution", title)
    layout["showlegend"] = True
    return {"data": traces, "layout": layout}


def curves(rows: Sequence[Mapping[str, float]], columns: Mapping[str, str], title: str) -> Chart:
    """Columns of the log of a training by epoch; `columns` maps each to its name in the legend."""
    traces = [
        {
            "type": "scatter",
            "mode": "lines+markers" if len(rows) <= _MARKED_EPOCHS else "lines",
            "name": name,
            "x": [row["epoch"] for row in rows],
            "y": [_finite(row.get(column)) for row in rows],
            "hovertemplate": "epoch %{x}: %{y:.4g}<extra></extra>",
            "line": {"color": f"@series{place % 6}", "width": 2},
            "marker": {"color": f"@series{place % 6}", "size": 5},
        }
        for place, (column, name) in enumerate(columns.items())
    ]
    layout = _layout("epoch", title)
    layout["showlegend"] = len(columns) > 1
    return {"data": traces, "layout": layout}


def methods(found: Mapping[str, Sequence[tuple[float, float, float]]]) -> Chart:
    """The test accuracies of methods: a dot with its interval for each seed, a diamond for the mean."""
    seeds = [
        (place + (number - (len(own) - 1) / 2) * 0.5 / len(own), *values)
        for place, own in enumerate(found.values())
        for number, values in enumerate(own)
    ]
    means = [(place, sum(value for value, *_ in own) / len(own)) for place, own in enumerate(found.values()) if own]
    point = {"type": "scatter", "mode": "markers", "hovertemplate": "%{x:.2%}<extra></extra>"}
    traces = [
        {
            **point,
            "name": "a seed, with its interval of 95 %",
            "x": [value for _, value, _, _ in seeds],
            "y": [height for height, *_ in seeds],
            "error_x": {
                "type": "data",
                "symmetric": False,
                "array": [high - value for _, value, _, high in seeds],
                "arrayminus": [value - low for _, value, low, _ in seeds],
                "thickness": 1.5,
                "width": 0,
            },
            "marker": {"color": "@muted", "size": 6},
        },
        {
            **point,
            "name": "mean",
            "x": [mean for _, mean in means],
            "y": [place for place, _ in means],
            "marker": {"color": "@accent", "size": 11, "symbol": "diamond"},
        },
    ]
    layout = _layout("test accuracy", "")
    layout["height"] = 150 + 52 * len(found)
    layout["xaxis"] |= {"tickformat": ".1%", "showgrid": True}
    names = [_plain(name) for name in found]
    ends = [len(found) - 0.5, -0.5]
    layout["yaxis"] |= {"tickvals": list(range(len(found))), "ticktext": names, "range": ends, "showgrid": False}
    layout["showlegend"] = True
    return {"data": traces, "layout": layout}


def hover_text(trial: Trial, value_names: Sequence[str]) -> str:
    """What a point says: where the trial comes from, its score and costs, its architecture."""
    values = [f"{name} {trial.values[name]:.5g}" for name in value_names if name in trial.values]
    known = {cost: summary.cost_of(trial, cost) for cost in COSTS.values()}
    costs = [f"{cost.write(value)} {cost.name}" for cost, value in known.items() if value is not None]
    parts = [", ".join(values) if len(value_names) > 1 else "", ", ".join(costs), trial.arch_json]
    lines = [_plain(line) for part in [_short(trial.error), *parts] for line in _wrapped(part) if line]
    score = [] if trial.score is None else [f"score <b>{trial.score:.6g}</b>"]
    score += [] if trial.exact_score is None else [f"exact score <b>{trial.exact_score:.6g}</b>"]
    return "<br>".join(
        [f"<b>trial {trial.number}</b> {_plain(trial.origin)}, batch {trial.proposal_batch}", *score, *lines]
    )


_WRAP = 46


def _wrapped(text: str, width: int = _WRAP) -> list[str]:
    """Lines of about `width`, broken behind commas."""
    lines = [""]
    for part in re.findall(r"[^,]*,?", text):
        if lines[-1] and len(lines[-1]) + len(part) > width:
            lines.append("")
        lines[-1] += part
    return [line.strip() for line in lines]


def _plain(text: str) -> str:
    """A text that plotly shows as it is: it reads tags and a few entities, of which a quotation mark is none."""
    return html.escape(text, quote=False)


def _short(text: str, length: int = 160) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"


def _layer_text(layer: Mapping[str, Any]) -> str:
    patterns = "" if layer["cardinality"] is None else f"<br>cardinality {layer['cardinality']:,}"
    return (
        f"<b>{_plain(str(layer['name']))}</b><br>{_plain(str(layer['kind']))}, depth {layer['depth']:.2f}, "
        f"{layer['n_weights']:,} weights<br>trainability {_number(layer['trainability'])}{patterns}"
    )


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else value


def thinned(trials: Sequence[Trial], keep: Iterable[Trial], limit: int) -> list[Trial]:
    """At most about `limit` trials, evenly over the order, and always those of `keep`."""
    if len(trials) <= limit:
        return list(trials)
    chosen = {round(place) for place in np.linspace(0, len(trials) - 1, limit)}
    wanted = {trial.number for trial in keep}
    return [trial for place, trial in enumerate(trials) if place in chosen or trial.number in wanted]


def _trials(
    trials: Sequence[Trial], x: str, name: str, colour: str, *, size: int, opacity: float = 1.0
) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": [getattr(trial, x) for trial in trials],
        "y": [trial.score for trial in trials],
        "meta": [trial.number for trial in trials],
        "marker": {"color": colour, "size": size, "opacity": opacity, "line": {"width": 0}},
    }


def _best_line(best: Sequence[Trial], last: int) -> dict[str, Any]:
    xs, ys = [trial.number for trial in best], summary.scores_of(best)
    return {
        "type": "scatter",
        "mode": "lines",
        "name": "best so far",
        "x": [*xs, last] if xs else [],
        "y": [*ys, ys[-1]] if ys else [],
        "line": {"color": "@accent", "width": 2, "shape": "hv"},
        "hoverinfo": "skip",
    }


def _ring(trial: Trial, cost: str) -> dict[str, Any]:
    return {
        **_trials([trial], cost, "best", "@accent", size=17),
        "marker": {"color": "@accent", "size": 17, "symbol": "circle-open", "line": {"width": 2}},
    }


def _failed(trials: Sequence[Trial]) -> dict[str, Any]:
    return {
        **_trials(trials, "number", "failed", "@ink", size=7),
        "y": [0.02] * len(trials),
        "yaxis": "y2",
        "marker": {"color": "@ink", "size": 7, "symbol": "x-thin", "line": {"width": 1.5, "color": "@ink"}},
    }


def _batch_starts(trials: Sequence[Trial]) -> list[int]:
    starts = [b.number for a, b in pairwise(trials) if b.proposal_batch != a.proposal_batch]
    return starts if len(starts) <= MAX_BATCHES else []


def _upright(x: float) -> dict[str, Any]:
    line = {"color": "@line", "width": 1, "dash": "dot"}
    return {"type": "line", "x0": x, "x1": x, "yref": "paper", "y0": 0, "y1": 1, "line": line, "layer": "below"}


def _layout(x: str, y: str) -> dict[str, Any]:
    axis = {
        "gridcolor": "@line",
        "linecolor": "@line",
        "zeroline": False,
        "ticks": "outside",
        "tickcolor": "@line",
        "ticklen": 4,
        "automargin": True,
        "exponentformat": "SI",
    }
    label = {
        "bgcolor": "@card",
        "bordercolor": "@line",
        "font": {"color": "@ink", "size": 12, "family": "@font"},
        "align": "left",
    }
    return {
        "height": _HEIGHT,
        "margin": {"l": 56, "r": 16, "t": 36, "b": 48},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"color": "@ink", "size": 13, "family": "@font"},
        "xaxis": {**axis, "title": {"text": x, "standoff": 8}, "showgrid": False},
        "yaxis": {**axis, "title": {"text": y, "standoff": 8}},
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "font": {"size": 12}},
        "hoverlabel": label,
        "hovermode": "closest",
    }
