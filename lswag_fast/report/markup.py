"""Pieces of HTML. Every text passes through `html.escape` here, and only here."""

from __future__ import annotations

import html
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Raw:
    """Markup made in this package, not to be escaped again."""

    text: str


Content = Raw | str


def markup(content: Content) -> str:
    """Escape what is text."""
    return content.text if isinstance(content, Raw) else html.escape(content)


def tag(name: str, *content: Content, **attributes: str) -> Raw:
    """An element; `class_` is its class."""
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(value)}"' for key, value in attributes.items() if value
    )
    return Raw(f"<{name}{given}>{''.join(map(markup, content))}</{name}>")


def together(parts: Iterable[Content]) -> Raw:
    """Several pieces as one."""
    return Raw("\n".join(map(markup, parts)))


def section(title: str, *content: Content, id_: str = "") -> Raw:
    """A block of the page under a heading."""
    return tag("section", tag("h2", title), *content, id=id_)


def note(text: Content) -> Raw:
    """A paragraph that says how to read what follows."""
    return tag("p", text, class_="note")


def chart(name: str, caption: Content, title: str = "") -> Raw:
    """The place of a chart, with what it shows in words."""
    place = tag("div", id=f"chart-{name}", class_="chart", role="img", aria_label=title)
    heading = [tag("h3", title)] if title else []
    return tag("figure", *heading, place, tag("figcaption", caption))


FOLDED_COLUMN = "architecture"
"""A column of things to be opened, which paper has no use for."""


def table(head: Sequence[str], rows: Iterable[Sequence[Content]], left: Sequence[str] = (), first: str = "") -> Raw:
    """A table; columns are numbers but for those in `left`. The first row has the class `first`."""
    sides = ["left fold" if name == FOLDED_COLUMN else "left" if name in left else "" for name in head]
    cells = (tag("th", name, class_=side, scope="col") for name, side in zip(head, sides, strict=True))
    body = [
        tag(
            "tr",
            *(tag("td", cell, class_=side) for cell, side in zip(row, sides, strict=True)),
            class_="" if place else first,
        )
        for place, row in enumerate(rows)
    ]
    whole = tag("table", tag("thead", tag("tr", *cells)), tag("tbody", *body))
    return tag("div", whole, class_="scroll")


def definitions(items: Mapping[str, Content]) -> Raw:
    """Names and what they are set to."""
    return tag(
        "dl", *(part for key, value in items.items() for part in (tag("dt", key), tag("dd", value))), class_="plain"
    )


def folded(summary: str, *content: Content) -> Raw:
    """Something to be opened by a click."""
    return tag("details", tag("summary", summary), *content)


def data(name: str, value: Any) -> Raw:
    """JSON for the page's script; `<` is written so that no text can end the element."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    return Raw(f'<script type="application/json" id="{name}">{text}</script>')
