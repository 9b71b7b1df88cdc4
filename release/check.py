"""Checks what the distributions in a folder hold: `python -m release.check dist`.

The wheel holds the package and nothing else, and its binary asks for no library that torch brings or that a system may
lack; the source distribution holds all that it takes to build it.
"""

from __future__ import annotations

import io
import re
import sys
import tarfile
import zipfile
from collections.abc import Iterable
from pathlib import Path

from elftools.elf.elffile import ELFFile

ROOT = Path(__file__).parents[1]
PACKAGE = "lswag_fast"
# torch loads an OpenMP runtime before; a second one would compete with it. libstdc++ is inside of the module.
NOT_ASKED_FOR = re.compile(r"^lib(gomp|omp|iomp5|stdc\+\+)[.-]")
# Who gives what a symbol without a version names: the interpreter, and the OpenMP runtime of torch.
GIVEN_BY_OTHERS = re.compile(r"^(_?Py|GOMP_|omp_)")
BUILT_FROM = ("CMakeLists.txt", "LICENSE", "README.md", "pyproject.toml", "setup.py")


def faults(folder: Path) -> list[str]:
    """Return what is wrong with the one wheel and the one source distribution in a folder."""
    wheels, sources = sorted(folder.glob("*.whl")), sorted(folder.glob("*.tar.gz"))
    if (len(wheels), len(sources)) != (1, 1):
        return [f"{folder} holds {len(wheels)} wheels and {len(sources)} source distributions, one of each is expected"]
    return [*wheel_faults(wheels[0]), *source_faults(sources[0])]


def wheel_faults(wheel: Path) -> list[str]:
    """Return what is wrong with a wheel: its tag, a file that does not belong there, or one that is missing."""
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        binaries = {name: archive.read(name) for name in names if name.endswith(".so")}
    metadata = f"{'-'.join(wheel.name.split('-')[:2])}.dist-info/"
    found = [f"{wheel.name} is for machines like this one alone"] if "-linux_" in wheel.name else []
    found += [f"{wheel.name} holds {name}" for name in _strange(names, (f"{PACKAGE}/", metadata))]
    found += [f"{name} {fault}" for name, content in binaries.items() for fault in binary_faults(content)]
    missing = _files(PACKAGE) - names
    if not any(name.startswith(f"{PACKAGE}/_core.") and not name.endswith(".pyi") for name in names):
        missing.add(f"{PACKAGE}/_core")
    return found + [f"{wheel.name} lacks {name}" for name in sorted(missing)]


def binary_faults(content: bytes) -> list[str]:
    """Return what a module asks for and must not: a library, or a symbol that no version of glibc is named for.

    Such a symbol is one that an older glibc does not have; nothing but the start of a program on it would tell.
    """
    elf = ELFFile(io.BytesIO(content))
    symbols, versions = elf.get_section_by_name(".dynsym"), elf.get_section_by_name(".gnu.version")
    needed = [tag.needed for tag in elf.get_section_by_name(".dynamic").iter_tags("DT_NEEDED")]
    unversioned = [
        symbol.name
        for number, symbol in enumerate(symbols.iter_symbols())
        if symbol["st_shndx"] == "SHN_UNDEF"
        and symbol["st_info"]["bind"] == "STB_GLOBAL"
        and (versions is None or versions.get_symbol(number)["ndx"] in ("VER_NDX_LOCAL", "VER_NDX_GLOBAL"))
    ]
    return [f"asks for {name}" for name in needed if NOT_ASKED_FOR.match(name)] + [
        f"asks for {name}, which no library is named for" for name in unversioned if not GIVEN_BY_OTHERS.match(name)
    ]


def source_faults(source: Path) -> list[str]:
    """Return what is wrong with a source distribution: a binary in it, or a file that is missing."""
    with tarfile.open(source) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    binaries = sorted(name for name in names if Path(name).suffix in {".so", ".pyd", ".dylib", ".pyc"})
    missing = (_files(PACKAGE) | _files("csrc") | set(BUILT_FROM)) - names
    return [f"{source.name} holds {name}" for name in binaries] + [
        f"{source.name} lacks {name}" for name in sorted(missing)
    ]


def _strange(names: Iterable[str], homes: tuple[str, ...]) -> list[str]:
    return sorted(name for name in names if not name.startswith(homes))


def _files(folder: str) -> set[str]:
    """The sources under a folder of the project, without what a build leaves there."""
    found = (path for path in (ROOT / folder).rglob("*") if path.is_file() and path.suffix not in {".so", ".pyc"})
    return {path.relative_to(ROOT).as_posix() for path in found}


def main() -> None:
    """Print what is wrong and fail, or say that all is well."""
    found = faults(Path(sys.argv[1]))
    if found:
        raise SystemExit("\n".join(found))
    sys.stdout.write(f"{sys.argv[1]}: the wheel and the source distribution hold what they should\n")


if __name__ == "__main__":
    main()
