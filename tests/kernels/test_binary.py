"""What is said where the binary extension is missing."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from lswag_fast.errors import BackendUnavailableError
from lswag_fast.kernels import binary


@pytest.mark.parametrize(
    ("folders", "remedy"),
    [
        (
            ["csrc"],
            r"the sources in .*, where nothing is compiled\. If the package is installed, start .* another folder",
        ),
        ([], r"install the package with `pip install \.`, which needs a C\+\+17 compiler"),
    ],
    ids=["inside of the source tree", "elsewhere"],
)
def test_what_to_do_depends_on_where_the_package_lies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folders: list[str], remedy: str
) -> None:
    for name in folders:
        (tmp_path / name).mkdir()
    monkeypatch.setattr(binary, "_PARENT", tmp_path)
    monkeypatch.setattr(binary, "_IMPORT_ERROR", ImportError("cannot import name '_core'"))
    with pytest.raises(BackendUnavailableError, match=r"cannot import name '_core'\); .*" + remedy):
        binary.require_core()


def test_a_binary_of_other_sources_is_to_be_built_again() -> None:
    with pytest.raises(BackendUnavailableError, match="other sources and lacks 'later_kernel'"), binary.native():
        binary.core.later_kernel()  # type: ignore[attr-defined]
    with pytest.raises(AttributeError, match="no attribute 'shap'"), binary.native():
        torch.ones(1).shap  # type: ignore[attr-defined]  # noqa: B018
