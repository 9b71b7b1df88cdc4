"""How Sphinx builds these pages: `make docs` writes them to build/docs, and a warning is an error."""

from __future__ import annotations

import sys
from pathlib import Path

DOCS = Path(__file__).parent
sys.path[:0] = [str(DOCS / "_ext")]

import lswag_fast  # noqa: E402

project = "lswag_fast"
author = "The lswag_fast authors"
copyright = author  # noqa: A001
version = release = lswag_fast.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_argparse_cli",
    "mathml",
    "proxy_reference",
]
exclude_patterns = ["_ext", "**/README.md"]
nitpicky = True

# Pages are Markdown that also reads well in a repository's browser; headings are link targets down to the third level.
myst_enable_extensions = ["attrs_block", "attrs_inline", "colon_fence", "deflist", "dollarmath", "substitution"]
myst_heading_anchors = 3
myst_fence_as_directive: set[str] = set()
suppress_warnings = ["myst.header"]  # the root files begin their sections where they like

# Docstrings put names into single backticks: those that are documented here become links, the others stay code.
default_role = "py:obj"
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_default_options = {"members": False, "show-inheritance": False}
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True
python_use_unqualified_type_names = True
# Names in single backticks need not be documented, nor the inner types of a signature; without a network there are no
# lists of what other projects document. What the pages link to must be there.
nitpick_ignore_regex = [("py:obj", r".*"), ("py:class", r".*"), ("py:.*", r"(?!lswag_fast\.).*")]

copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
copybutton_only_copy_prompt_lines = False

html_theme = "pydata_sphinx_theme"
html_title = f"lswag_fast {release}"
html_math_renderer = "mathml"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_context = {"default_mode": "auto"}  # light or dark as the reader's system is
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "logo": {"text": "lswag_fast"},
    "header_links_before_dropdown": 5,
    "navbar_end": ["theme-switcher"],
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": ["sphinx-version"],
    "show_nav_level": 1,
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "back_to_top_button": False,
}
html_sidebars = {"index": [], "quickstart": [], "glossary": [], "changelog": [], "contributing": [], "architecture": []}
