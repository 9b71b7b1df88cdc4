"""What is said twice says the same: checks before a commit and `make lint`, version, address, extras, spaces, rooms."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import lswag_fast
from lswag_fast import kernels, spaces

tomllib = pytest.importorskip("tomllib", reason="comes with Python 3.11; what is compared here depends on no Python")

ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = PYPROJECT["project"]
MAKEFILE = (ROOT / "Makefile").read_text()


def _recipe(target: str) -> list[str]:
    """The commands of a target, with the variables that they use written out."""
    (body,) = re.findall(rf"^{target}:.*\n((?:\t.*\n)+)", MAKEFILE, re.MULTILINE)
    variables = dict(re.findall(r"^([A-Z_]+) :?\??= (.*)$", MAKEFILE, re.MULTILINE))
    while re.search(r"\$\(([A-Z_]+)\)", body):
        body = re.sub(r"\$\(([A-Z_]+)\)", lambda match: variables[match[1]], body)
    return [line.strip() for line in body.splitlines()]


def test_the_checks_before_a_commit_are_those_of_make_lint() -> None:
    yaml = pytest.importorskip("yaml", reason="PyYAML comes with the extra 'dask'")
    (repository,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    commands = [re.sub(r'^bash -c "(.*)"$', r"\1", hook["entry"]) for hook in repository["hooks"]]
    assert repository["repo"] == "local"
    assert commands == _recipe("lint")


def test_the_version_is_that_of_pyproject() -> None:
    version = PROJECT["version"]
    assert lswag_fast.__version__ == kernels.build_facts().version == version, "install the package again"
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text()
    released = re.findall(r"^## \[?([0-9][^\]\s]*)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert released[0] == version


def test_the_project_has_one_address() -> None:
    (home,) = re.findall(r'^repository-code: "(.*)"$', (ROOT / "CITATION.cff").read_text(), re.MULTILINE)
    assert PROJECT["urls"]["Homepage"] == home
    addresses = {url for name, url in PROJECT["urls"].items() if name != "Paper"}
    assert [url for url in addresses if not url.startswith(home)] == []


@pytest.mark.parametrize(
    ("platform", "tags"),
    [("linux", ("manylinux_x86_64", "manylinux_aarch64")), ("macos", ("macosx_arm64",)), ("windows", ())],
)
def test_wheels_are_for_every_python_and_the_platforms_that_the_pages_name(
    platform: str, tags: tuple[str, ...], tmp_path: Path
) -> None:
    pytest.importorskip("cibuildwheel", reason="comes with the extra 'release'")
    command = [sys.executable, "-m", "cibuildwheel", "--print-build-identifiers", "--platform", platform]
    if platform == "linux":  # each workflow runner builds its own; here both are asked for
        command += ["--archs", "x86_64,aarch64"]
    done = subprocess.run([*command, str(ROOT)], cwd=tmp_path, capture_output=True, text=True, check=True)
    known = [entry.rsplit(" ", 1)[1] for entry in PROJECT["classifiers"] if re.search(r"Python :: 3\.\d+$", entry)]
    expected = {f"cp{version.replace('.', '')}-{tag}" for version in known for tag in tags}
    assert set(done.stdout.split()) == expected


def test_every_extra_is_explained() -> None:
    rows = re.findall(r"^\| `([a-z]+)` \|", (ROOT / "docs/howto/install.md").read_text(), re.MULTILINE)
    assert sorted(rows) == sorted(PROJECT["optional-dependencies"])


def test_every_named_space_stands_where_a_reader_looks() -> None:
    rows = re.findall(r"^\| (`[^|]*`) \|", (ROOT / "docs/howto/search.md").read_text(), re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`([a-z0-9-]+)`", row)}
    assert set(spaces.names()) - named == set()
    reference = (ROOT / "docs/reference/spaces.md").read_text()
    classes = {type(spaces.get(name)).__name__ for name in spaces.names()}
    assert {name for name in classes if f"lswag_fast.spaces.{name}\n" not in reference} == set()


def test_the_layers_that_the_pages_show_are_those_that_are_checked() -> None:
    (layers,) = (entry["layers"] for entry in PYPROJECT["tool"]["importlinter"]["contracts"] if entry["id"] == "layers")
    checked = [set(re.findall(r"\w+", layer)) for layer in layers]
    architecture = (ROOT / "docs/architecture.md").read_text()
    (listed,) = re.findall(r"^## The layers\n\n(?:\S.*\n)+\n((?:    .*\n)+)", architecture, re.MULTILINE)
    (chain,) = re.findall(r"^    (cli > (?:.*\n)+?)\n", (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE)
    assert [set(re.findall(r"\w+", line)) for line in listed.splitlines()] == checked
    assert [set(re.findall(r"\w+", layer)) for layer in chain.split(">")] == checked


def test_every_room_is_on_the_page_of_the_architecture() -> None:
    page = (ROOT / "docs/architecture.md").read_text()
    named = set(re.findall(r"^ {6}(\w+(?:\.py|/)) ", page, re.MULTILINE))
    package = ROOT / "lswag_fast"
    rooms = {f"{path.parent.name}/" for path in package.glob("*/__init__.py")}
    rooms |= {path.name for path in package.glob("*.py") if not path.name.startswith("__")}
    assert rooms - named == set()
