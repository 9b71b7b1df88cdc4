"""The check of the distributions: what is missing or does not belong there is named, file by file."""

from __future__ import annotations

import shutil
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest

pytest.importorskip("elftools", reason="pyelftools comes with auditwheel, by the extra 'release'")

from release import check

NAME = "lswag_fast-1.0-cp311-cp311-manylinux_2_28_x86_64.whl"
MODULE = "lswag_fast/_core.abc.so"
SOURCES = ("lswag_fast/a.py", "lswag_fast/data/d.npz", "csrc/k.cpp", *check.BUILT_FROM)
WHOLE = ("lswag_fast/a.py", "lswag_fast/data/d.npz", MODULE, "lswag_fast-1.0.dist-info/METADATA")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of a few files."""
    root = tmp_path / "project"
    for name in (*SOURCES, MODULE):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    monkeypatch.setattr(check, "ROOT", root)
    return root


@pytest.fixture(scope="module")
def binaries(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Modules in C: one that asks for what it may, one that names a library, one with a symbol that nobody gives."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    folder, found = tmp_path_factory.mktemp("binaries"), {}
    command = [compiler, "-shared", "-fPIC", "-Wl,--no-as-needed"]
    (folder / "libgomp.c").write_text("void GOMP_barrier(void) {}")
    subprocess.run([*command, "-o", "libgomp.so", "-Wl,-soname,libgomp.so.1", "libgomp.c"], cwd=folder, check=True)
    for name, call, library in (("good", "", []), ("linked", "", ["./libgomp.so"]), ("new", "arc5random();", [])):
        (folder / f"{name}.c").write_text(
            "void *PyLong_FromLong(long); void GOMP_barrier(void); void arc5random(void);\n"
            f"void *f(void) {{ GOMP_barrier(); {call} return PyLong_FromLong(1); }}"
        )
        subprocess.run([*command, "-o", f"{name}.so", f"{name}.c", *library], cwd=folder, check=True)
        found[name] = (folder / f"{name}.so").read_bytes()
    return found


def wheel(folder: Path, *names: str, name: str = NAME, module: bytes = b"") -> Path:
    path = folder / name
    with zipfile.ZipFile(path, "w") as archive:
        for inside in names:
            archive.writestr(inside, module if inside == MODULE else b"")
    return path


def source(folder: Path, project: Path, *names: str) -> Path:
    path = folder / "lswag_fast-1.0.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for inside in names:
            archive.add(project / inside, f"lswag_fast-1.0/{inside}")
    return path


def test_whole_distributions_have_no_faults(tmp_path: Path, project: Path, binaries: dict[str, bytes]) -> None:
    wheel(tmp_path, *WHOLE, module=binaries["good"])
    source(tmp_path, project, *SOURCES)
    assert check.faults(tmp_path) == []


def test_a_wheel_holds_the_package_alone(tmp_path: Path, project: Path, binaries: dict[str, bytes]) -> None:
    strange = ("csrc/k.cpp", "lswag_fast.libs/licence", "tests/test_a.py")
    path = wheel(tmp_path, *WHOLE, *strange, module=binaries["good"])
    assert check.wheel_faults(path) == [f"{NAME} holds {name}" for name in strange]


def test_what_a_wheel_lacks_is_named(tmp_path: Path, project: Path) -> None:
    path = wheel(tmp_path, "lswag_fast/a.py", "lswag_fast/_core.pyi")
    assert check.wheel_faults(path) == [f"{NAME} lacks lswag_fast/_core", f"{NAME} lacks lswag_fast/data/d.npz"]


def test_a_module_asks_for_no_openmp_runtime_by_name(tmp_path: Path, project: Path, binaries: dict[str, bytes]) -> None:
    path = wheel(tmp_path, *WHOLE, module=binaries["linked"])
    assert check.wheel_faults(path) == [f"{MODULE} asks for libgomp.so.1"]


def test_a_module_asks_for_no_symbol_that_only_a_newer_system_has(binaries: dict[str, bytes]) -> None:
    assert check.binary_faults(binaries["new"]) == ["asks for arc5random, which no library is named for"]


def test_a_wheel_for_one_machine_is_refused(tmp_path: Path, project: Path, binaries: dict[str, bytes]) -> None:
    path = wheel(tmp_path, *WHOLE, name="lswag_fast-1.0-cp311-cp311-linux_x86_64.whl", module=binaries["good"])
    assert check.wheel_faults(path) == [f"{path.name} is for machines like this one alone"]


def test_a_source_distribution_holds_what_is_built_and_no_binary(tmp_path: Path, project: Path) -> None:
    path = source(tmp_path, project, "lswag_fast/a.py", "lswag_fast/_core.abc.so", *check.BUILT_FROM)
    assert check.source_faults(path) == [
        f"{path.name} holds lswag_fast/_core.abc.so",
        f"{path.name} lacks csrc/k.cpp",
        f"{path.name} lacks lswag_fast/data/d.npz",
    ]


def test_a_folder_with_two_wheels_or_none_is_refused(tmp_path: Path) -> None:
    assert check.faults(tmp_path) == [f"{tmp_path} holds 0 wheels and 0 source distributions, one of each is expected"]
