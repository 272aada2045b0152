"""Fills the templates of reports."""

from __future__ import annotations

import base64
from typing import Any


def rendered(template: str, **values: Any) -> str:
    """Return the page of a template; text in it is escaped, and a value that is missing is an error.

    Args:
        template: Its file name in ``templates``.
        values: What it shows, by name.
    """
    # It takes time to import.
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("persam_vos.exports.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(**values)


def data_url(jpeg: bytes) -> str:
    """Return a JPEG file as an address that holds it."""
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode()
