"""A shim: the metadata is in pyproject.toml, the build in CMakeLists.txt (by scikit-build-core's setuptools plugin).

Only the long description is made here: it is the README as it is read away from the repository, where a relative link
leads nowhere.
"""

import re
from pathlib import Path

from setuptools import setup

ROOT = Path(__file__).parent


def long_description() -> str:
    """The README, with its links and its picture in the repository that pyproject.toml names."""
    metadata = (ROOT / "pyproject.toml").read_text(encoding="utf-8")  # Python 3.10 has nothing that reads TOML
    home = re.findall(r'^Homepage = "(.+)"$', metadata, re.MULTILINE)[0]

    def absolute(link: "re.Match[str]") -> str:
        mark, text, path = link.groups()
        return f"{mark}{text}({home}/{'raw' if mark else 'blob'}/main/{path})"

    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    return re.sub(r"(!?)(\[[^]]*\])\((?!\w+:|#)([^)]+)\)", absolute, readme)


setup(
    cmake_source_dir=".",
    long_description=long_description(),
    long_description_content_type="text/markdown",
)
