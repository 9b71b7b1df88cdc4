"""Figures that a command writes."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from lswag_fast.cli.figures import check_plot, save_figure
from lswag_fast.errors import MissingExtraError, StorageError
from lswag_fast.plots.style import new_figure
from support.stand_ins.full_disk import fill

pytest.importorskip("matplotlib")


def test_a_figure_is_written_with_its_folder(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.svg"
    check_plot(path)
    save_figure(new_figure(1, 1), path)
    assert path.read_text().startswith("<?xml")
    with pytest.raises(StorageError, match=r"cannot write /dev/null/a\.png"):
        save_figure(new_figure(1, 1), Path("/dev/null/a.png"))


def test_a_full_disk_leaves_the_old_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(monkeypatch)
    path = tmp_path / "a.png"
    path.write_bytes(b"old")
    with pytest.raises(StorageError, match=r"cannot write .*a\.png: No space left on device"):
        save_figure(new_figure(1, 1), path)
    assert (path.read_bytes(), list(tmp_path.iterdir())) == (b"old", [path])


@pytest.mark.parametrize("name", ["a", "a.txt"])
def test_another_ending_is_refused_before_anything_is_measured(name: str) -> None:
    with pytest.raises(StorageError, match=rf"--plot: the ending of {name} must be one of .*png"):
        check_plot(Path(name))


def test_so_is_a_figure_without_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    check_plot(None)
    with pytest.raises(MissingExtraError, match=r"lswag-fast\[plot\]"):
        check_plot(Path("a.png"))
