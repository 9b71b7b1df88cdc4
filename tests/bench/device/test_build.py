"""The build of a check works on a copy, needs no package of pybind11, and says what is missing."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from bench.device import build

ROOT = Path(__file__).parents[3]


def test_the_copy_has_the_sources_and_nothing_that_was_built(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    for _ in range(2):  # a second time replaces it
        build.copy_sources(tree)
        assert not list(tree.rglob("*.so"))
        assert (tree / "lswag_fast/__init__.py").stat().st_mtime == (ROOT / "lswag_fast/__init__.py").stat().st_mtime
        (tree / "csrc/left_over.cpp").touch()
    build.copy_sources(tree)
    assert not (tree / "csrc/left_over.cpp").exists()


def test_the_headers_are_those_of_torch_where_pybind11_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "pybind11" else find_spec(name))
    assert build.pybind11_headers() == Path(torch.__file__).parent / "include"


def test_everything_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(build.shutil, "which", lambda name: None)
    monkeypatch.setattr(build, "TOOLKIT", tmp_path / "nvcc")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(build.sysconfig, "get_path", lambda name: str(tmp_path))
    lines = build.missing(emulated=False)
    assert [line.split()[0] for line in lines] == ["cmake", "pybind11's", "Python.h", "nvcc"]
    assert len(build.missing(emulated=True)) == 3  # no nvcc for the host


def test_a_build_that_lacks_something_ends_before_it_begins(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "bench.device.build", "--emulated"]
    command += ["--tree", str(tmp_path / "tree"), "--cmake", str(tmp_path / "cmake")]
    done = subprocess.run(command, cwd=ROOT, env={"PATH": ""}, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "cmake 3.20 or newer is not on the PATH" in done.stderr
    assert not (tmp_path / "cmake").exists()
