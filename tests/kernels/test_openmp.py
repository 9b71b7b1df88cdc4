"""One OpenMP runtime in a process: torch's, found among what is loaded, and shown to the extension."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from lswag_fast.kernels import openmp

MAPS = """\
7f00-7f01 r-xp 00000000 08:01 11 /opt/env with space/torch/lib/libgomp.so.1
7f01-7f02 r--p 00001000 08:01 11 /opt/env with space/torch/lib/libgomp.so.1
7f02-7f03 rw-p 00000000 00:00 0
7f03-7f04 r-xp 00000000 08:01 12 /usr/lib/libomptarget_plugin.so
7f04-7f05 r-xp 00000000 08:01 13 /usr/lib/libc.so.6
"""
SECOND = "7f05-7f06 r-xp 00000000 08:01 14 /opt/sklearn.libs/libgomp-a34b3233.so.1.0.0\n"

SCORED = """
import torch, lswag_fast
from lswag_fast.kernels.openmp import openmp_runtimes
before = openmp_runtimes()
model = torch.nn.Sequential(torch.nn.Linear(64, 256), torch.nn.ReLU(), torch.nn.Linear(256, 8))
lswag_fast.score(model, (torch.randn(64, 64), torch.randint(8, (64,))))
print(*before, *openmp_runtimes(), sep="\\n")
"""


def test_the_runtimes_of_a_process_are_found(tmp_path: Path) -> None:
    maps = tmp_path / "maps"
    maps.write_text(MAPS)
    assert openmp.openmp_runtimes(maps) == ("/opt/env with space/torch/lib/libgomp.so.1",)
    maps.write_text(MAPS + SECOND)
    assert len(openmp.openmp_runtimes(maps)) == 2
    assert openmp.openmp_runtimes(tmp_path / "absent") == ()


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="what is loaded can be read on Linux only")
def test_a_process_that_scored_has_the_runtime_of_torch_and_no_other() -> None:
    done = subprocess.run([sys.executable, "-c", SCORED], capture_output=True, text=True, check=True)
    (before, after) = done.stdout.splitlines()
    assert before == after
    assert Path(after).is_relative_to(Path(torch.__file__).parent)


class Process:
    """Stands for `ctypes.CDLL`: a process, in which `GOMP_parallel` is visible once `shows` was loaded for all."""

    def __init__(self, shows: str | None) -> None:
        self.shows, self.loaded = shows, []

    def __call__(self, path: str | None, mode: int = 0) -> SimpleNamespace:
        if path is not None and "absent" in path:
            raise OSError(path)
        if path is not None:
            self.loaded.append((path, mode))
        return SimpleNamespace(**({"GOMP_parallel": 1} if self.shows in (None, *dict(self.loaded)) else {}))


@pytest.mark.parametrize(
    ("shows", "loaded"),
    [(None, []), ("/b/libgomp.so.1", ["/b/libgomp.so.1"]), ("libgomp.so.1", ["/b/libgomp.so.1", "libgomp.so.1"])],
    ids=["visible already", "loaded but not visible", "of the system"],
)
def test_a_runtime_is_shown_to_the_extension(
    monkeypatch: pytest.MonkeyPatch, shows: str | None, loaded: list[str]
) -> None:
    process = Process(shows)
    monkeypatch.setattr(openmp.sys, "platform", "linux")
    monkeypatch.setattr(openmp, "openmp_runtimes", lambda: ("/a/absent/libgomp.so.1", "/b/libgomp.so.1"))
    monkeypatch.setattr(openmp.ctypes, "CDLL", process)
    openmp.share_runtime()
    assert process.loaded == [(path, openmp.ctypes.RTLD_GLOBAL) for path in loaded]
