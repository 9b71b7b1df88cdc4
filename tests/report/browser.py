"""A headless Chromium that opens a page from the disk, and what it did: its console, its requests, its DOM."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
_FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--disable-quic", "--hide-scrollbars"),
    *("--enable-logging=stderr", "--virtual-time-budget=10000", "--window-size=1200,1000"),
)
_TIMEOUT_S = 600


@dataclass
class Visit:
    """What came of opening a page."""

    console: list[str]
    requests: list[str]
    dom: Dom


@dataclass
class Dom(HTMLParser):
    """Counts, for each chart of a page, the elements by their classes; keeps the text of the page."""

    charts: dict[str, Counter[str]] = field(default_factory=dict)
    text: str = ""

    def __post_init__(self) -> None:
        super().__init__()
        self._chart = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        name = given.get("id") or ""
        if name.startswith("chart-"):
            self._chart = name.removeprefix("chart-")
            self.charts[self._chart] = Counter()
        if tag == "figcaption":
            self._chart = ""
        if self._chart:
            self.charts[self._chart].update((given.get("class") or "").split())

    def handle_data(self, data: str) -> None:
        if self.lasttag not in ("script", "style"):
            self.text += data


def visit(page: Path, *flags: str) -> Visit:
    """Open a page from the disk in a browser of its own; the proxy it is told to use does not exist."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "requests.json")
        done = subprocess.run(
            [
                *(CHROMIUM or "chromium", *_FLAGS, *flags, f"--user-data-dir={folder}/profile", f"--log-net-log={log}"),
                *("--proxy-server=127.0.0.1:9", "--proxy-bypass-list=<-loopback>", "--dump-dom", page.as_uri()),
            ],
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=True,
        )
        requests = _requests_of_pages(json.loads(log.read_text()))
    dom = Dom()
    dom.feed(done.stdout)
    console = [line for line in done.stderr.splitlines() if ":CONSOLE" in line]
    return Visit(console, requests, dom)


def _requests_of_pages(log: dict[str, Any]) -> list[str]:
    """The addresses that a page asked for; what the browser asks for by itself has no origin."""
    events = [event.get("params", {}) for event in log["events"]]
    asked = (event for event in events if "url" in event and "initiator" in event)
    return [event["url"] for event in asked if event["initiator"] != "not an origin"]
