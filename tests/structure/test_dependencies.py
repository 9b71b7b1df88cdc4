"""What the package needs where: a score torch and numpy, a search two small ones more, each extra when it is used."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

tomllib = pytest.importorskip("tomllib", reason="comes with Python 3.11; what is checked here depends on no Python")

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]

# Every other installed package is as good as absent, but for those that torch itself asks for.
_BLOCKED = """
import re, sys
from importlib.metadata import packages_distributions, requires
import torch

asked_for = {re.split("[^a-z0-9_-]", text.lower())[0].replace("-", "_") for text in requires("torch") or ()}
allowed = asked_for | {"lswag_fast", "torch", "numpy", "mpmath", "markupsafe"} | set(ALSO)
allowed |= {name.split(".")[0] for name in sys.modules}
for name in packages_distributions().keys() - allowed:
    sys.modules[name] = None
assert sys.modules["pandas"] is sys.modules["scipy"] is sys.modules["rich"] is sys.modules["PIL"] is None
"""

_SCORE = """
import lswag_fast
torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3))
batch = torch.randn(8, 4), torch.arange(8) % 3
assert lswag_fast.score(model, batch).value > 0
assert len(lswag_fast.score_many(model, batch, proxies=["zico", "nwot", "synflow", "jacov"])) == 4
"""

_SEARCH = """
import lswag_fast
from lswag_fast import data, spaces
choices = {"embed_dim": 16, "depth": (1, 2), "num_heads": 1, "mlp_ratio": 1}
space = spaces.AutoFormer(**choices, image_size=8, patch_size=4, num_classes=10)
batch = data.load("digits", batch_size=16, image_size=8).batch
result = lswag_fast.search(space, batch, proxy=["lswag", "nwot"], n_trials=2, sampler="random")
assert result.best is not None
"""


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("what", "also"), [(_SCORE, ()), (_SEARCH, ("msgspec", "portalocker"))], ids=["score", "search"]
)
def test_needs_torch_and_numpy_alone(what: str, also: tuple[str, ...]) -> None:
    done = run(_BLOCKED.replace("ALSO", repr(also)) + what)
    assert done.returncode == 0, done.stderr


def test_what_is_installed_with_the_package_is_small() -> None:
    names = {requirement.split(">")[0] for requirement in PROJECT["dependencies"]}
    assert names == {"torch", "numpy", "msgspec", "pandas", "portalocker", "scipy", "rich"}


def test_importing_the_package_imports_nothing_else() -> None:
    done = run("import sys; before = set(sys.modules); import lswag_fast; print(*sorted(set(sys.modules) - before))")
    loaded = {name.split(".")[0] for name in done.stdout.split()}
    assert loaded - set(sys.stdlib_module_names) == {"lswag_fast"}


@pytest.mark.parametrize(
    ("extra", "package", "module", "code"),
    [
        ("images", "pillow", "PIL", "from lswag_fast.data.decoding import decode; decode(None, 'x')"),
        ("plot", "matplotlib", "matplotlib", "from lswag_fast.plots.style import new_figure; new_figure(1, 1)"),
        ("report", "plotly", "plotly", "from lswag_fast.report.page import _plotly; _plotly()"),
    ],
)
def test_a_missing_extra_says_what_to_type(extra: str, package: str, module: str, code: str) -> None:
    assert any(requirement.startswith(package) for requirement in PROJECT["optional-dependencies"][extra])
    done = run(f"import sys; sys.modules[{module!r}] = None; {code}")
    assert f"this needs {package}, which is not installed; pip install 'lswag-fast[{extra}]'" in done.stderr
