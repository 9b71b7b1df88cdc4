"""The frame of every page: one self-contained HTML file that opens from the disk and loads nothing from a network."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from importlib import resources
from pathlib import Path

from lswag_fast import __version__
from lswag_fast.errors import needs_extra
from lswag_fast.report import markup
from lswag_fast.report.charts import Chart
from lswag_fast.report.markup import Raw, tag

Charts = dict[str, Chart]
Part = tuple[Raw, Charts]
"""A section, and its charts by name."""
Tile = tuple[str, str, str]
"""What is said at the top: its name, its value, and what the value is of."""


def page(title: str, head: Raw, parts: Iterable[Part], foot: Raw, hover: Mapping[int, str] | None = None) -> str:
    """Return a page as text, about 5 MB where it has charts, most of it plotly.js.

    Args:
        title: of the window.
        head: what stands above the sections.
        parts: the sections.
        foot: what stands below them.
        hover: the text of each trial that is drawn, by its number.

    Raises:
        MissingExtraError: plotly is not installed.
    """
    plotly = _plotly()
    parts = list(parts)
    drawn = {f"chart-{name}": chart for _, made in parts for name, chart in made.items()}
    script = _resource("page.js")
    body = [
        tag("main", head, *(part for part, _ in parts), foot),
        tag("noscript", "The charts need JavaScript; the tables are complete without."),
        markup.data("charts", drawn),
        markup.data("hover", hover or {}),
        *(Raw(f"<script>{code}</script>") for code in ([plotly, script] if drawn else [])),
    ]
    return "\n".join(
        (
            "<!doctype html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{_policy(plotly, script)}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            tag("title", title).text,
            '<link rel="icon" href="data:,">',
            f"<style>{_resource('page.css')}</style>",
            "</head>",
            "<body>",
            *(part.text for part in body),
            "</body>",
            "</html>\n",
        )
    )


def tiles(found: Iterable[Tile]) -> Raw:
    """The numbers at the top, the most important first."""
    return tag("dl", *(_tile(place, *tile) for place, tile in enumerate(found)), class_="tiles")


def foot(path: Path | None, text: str = "") -> Raw:
    """What made the page, when, and of which folder."""
    now = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    place = "" if path is None else f" from {path}"
    return tag("footer", f"Made by lswag-fast {__version__} on {now}{place}. {text}".rstrip())


def _tile(place: int, name: str, value: str, small: str) -> Raw:
    shown = tag("dd", value, tag("small", small))
    return tag("div", tag("dt", name), shown, class_="tile" if place else "tile first")


def _plotly() -> str:
    with needs_extra("report", "plotly"):
        from plotly.offline import get_plotlyjs
    return str(get_plotlyjs())


def _resource(name: str) -> str:
    return resources.files("lswag_fast.report").joinpath(name).read_text(encoding="utf-8")


def _policy(*scripts: str) -> str:
    """Only these scripts run, and nothing is ever loaded: a promise that the browser keeps."""
    hashes = (base64.b64encode(hashlib.sha256(code.encode()).digest()).decode() for code in scripts)
    allowed = " ".join(f"'sha256-{digest}'" for digest in hashes)
    return f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:"
