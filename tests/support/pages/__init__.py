"""Markdown pages as tests: their Python runs, and so does each command that they show."""

from support.pages.blocks import tested_pages

__all__ = ["tested_pages"]
