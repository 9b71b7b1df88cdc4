"""Which files show measured numbers, and what they would be if they were written now."""

from __future__ import annotations

from pathlib import Path

from bench.csv_file import measured_rows
from bench.pages import blocks, picture
from bench.pages.tables import RESULTS, TABLES
from bench.score.models.table import page as page_of_models

MODELS_PAGE = "docs/results/models.md"


def written_anew(root: Path) -> dict[Path, str]:
    """The pages, and the picture, that differ from what the CSVs give, and their new text.

    Raises:
        ValueError: A page asks for a table that does not exist, or leaves one open.
    """
    texts = {path: path.read_text(encoding="utf-8") for path in (root / "README.md", *(root / "docs").rglob("*.md"))}
    now = {path: blocks.filled(text, _table) for path, text in sorted(texts.items())}
    models = root / MODELS_PAGE
    if models in texts:
        now[models] = page_of_models(measured_rows(RESULTS / "score" / "models.csv", "bench.score.models"))
    changed = {path: text for path, text in now.items() if text != texts[path]}
    image = root / picture.FILE
    is_current = image.exists() and picture.digest() in image.read_text(encoding="utf-8")
    return changed if is_current else {**changed, image: picture.svg()}


def _table(name: str) -> str:
    found = {table.name: table for table in TABLES}
    if name not in found:
        raise ValueError(f"there is no table {name!r} in bench/pages/tables.py, only {', '.join(found)}")
    return found[name].text()
