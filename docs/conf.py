"""Sphinx's settings for these pages: ``make docs`` builds them into ``build/docs``."""

from __future__ import annotations

import persam_vos

project = "persam-vos"
author = "the persam-vos authors"
copyright = f"2026, {author}"
release = version = persam_vos.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns: list[str] = []
# Every heading down to the third level can be linked to, by the name that GitHub gives it as well.
myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence", "deflist"]

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
# Without a network nothing can be looked up in the pages of other projects: references to these are not checked.
nitpick_ignore_regex = [(r"py:.*", r"(?!persam_vos).*")]

html_theme = "furo"
html_title = f"persam-vos {release}"
html_copy_source = False
html_show_sourcelink = False
html_static_path: list[str] = []
