"""The option that writes a figure."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from lswag_fast.cli.values import file_target
from lswag_fast.errors import StorageError
from lswag_fast.files.durable import write_whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DPI = 150


def add_plot(parser: argparse.ArgumentParser, what: str) -> None:
    """Add --plot; `what` is the figure in words."""
    parser.add_argument("--plot", type=file_target, metavar="FILE", help=f"write {what} (.png, .pdf, .svg, ...)")


def check_plot(path: Path | None) -> None:
    """Refuse a figure that cannot be written before anything is measured for it.

    Raises:
        MissingExtraError: matplotlib is not installed.
        StorageError: matplotlib writes no such files.
    """
    if path is None:
        return
    from lswag_fast.plots.style import new_figure

    known = new_figure(1, 1).canvas.get_supported_filetypes()
    ending = path.suffix.removeprefix(".").lower() or "none"
    if ending not in known:
        raise StorageError(f"--plot: the ending of {path} must be one of {', '.join(known)}; found {ending}")


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure, its folder made if need be.

    Raises:
        StorageError: it cannot be written; an old file is then as it was.
    """
    with tempfile.TemporaryDirectory() as folder:
        drawn = Path(folder, path.name)
        try:
            figure.savefig(drawn, dpi=_DPI)
            content = drawn.read_bytes()
        except OSError as error:
            raise StorageError(f"cannot write {path}: {error.strerror or error}") from error
    write_whole(path, content)
