"""A shim: the metadata is in pyproject.toml, the build in CMakeLists.txt (by scikit-build-core's setuptools plugin)."""

from setuptools import setup

setup(cmake_source_dir=".")
