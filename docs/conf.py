"""Sphinx's settings for these pages: ``make docs`` builds them into ``build/docs``."""

from __future__ import annotations

import re
from typing import Any

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
python_use_unqualified_type_names = True
# Kinds of arrays have names; spelt out they would hide the signature.
autodoc_type_aliases = {name: name for name in ("Rgb", "LabelMap", "Mask")} | {"npt.ArrayLike": "ArrayLike"}
# References to other projects cannot be looked up without a network. Rooms have no pages: their types are named, not
# linked.
nitpick_ignore_regex = [(r"py:.*", r"(?!persam_vos\.).*"), (r"py:.*", r"persam_vos\.[a-z]\w*\..*")]

html_theme = "furo"
html_title = f"persam-vos {release}"
html_copy_source = False
html_show_sourcelink = False
html_static_path: list[str] = []


def link_public_name(app: Any, env: Any, node: Any, contnode: Any) -> Any:
    """Let a type in a signature, such as ``persam_vos.media.frame.Frame``, lead to ``persam_vos.Frame``."""
    target = node.get("reftarget", "")
    name = target.rpartition(".")[2]
    if not target.startswith("persam_vos.") or name not in persam_vos.__all__:
        return None
    arguments = node["refdoc"], app.builder, node["reftype"], f"persam_vos.{name}", node, contnode
    return env.get_domain("py").resolve_xref(env, *arguments)


def name_arrays(*event: Any) -> tuple[str | None, ...]:
    """Write ``Rgb`` for the placeholder by which Sphinx shows an alias inside of a union."""
    signature, returns = event[-2:]
    return tuple(part and re.sub(r"TypeAliasForwardRef\('([\w.]+)'\)", r"\1", part) for part in (signature, returns))


def setup(app: Any) -> None:
    """Sphinx calls this once."""
    app.connect("autodoc-process-signature", name_arrays)
    app.connect("missing-reference", link_public_name)
