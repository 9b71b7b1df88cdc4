"""Lines to paste: a shell that reads them gets the words back, whatever they hold and whatever the terminal shows."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys

import pytest

from lswag_fast.files.shell import as_argument, pasteable

WORDS = ["plain", "a b", "it's", 'a "q"', "$HOME `x`", "back\\slash", "new\nline", "tab\t1", "bad\udcff7", "é…", ""]


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_a_shell_gets_the_words_back(monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding=encoding))
    line = pasteable(["printf", "%s\\0", *WORDS])
    assert line.isprintable()
    line.encode(encoding)
    found = subprocess.run(["bash", "-c", line], capture_output=True, check=True).stdout
    assert found.split(b"\0")[:-1] == [os.fsencode(word) for word in WORDS]


def test_a_path_is_no_option() -> None:
    assert [as_argument(path) for path in ("-x", "--", "runs/-x")] == ["./-x", "./--", "runs/-x"]
