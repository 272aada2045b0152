"""All examples in docstrings, run as they stand."""

from __future__ import annotations

import doctest
import importlib
import warnings
from pathlib import Path

import pytest

import persam_vos

PACKAGE = Path(persam_vos.__file__).parent
MODULES = sorted(
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
    for path in PACKAGE.rglob("*.py")
    if ">>> " in path.read_text(encoding="utf-8")
)


def examples() -> list[doctest.DocTest]:
    found = [test for name in MODULES for test in doctest.DocTestFinder().find(importlib.import_module(name))]
    return [test for test in found if test.examples]


@pytest.mark.usefixtures("networks_are_shared")
@pytest.mark.parametrize("example", examples(), ids=lambda example: example.name)
def test_example(example: doctest.DocTest) -> None:
    with warnings.catch_warnings():
        result = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL).run(example)

    assert result.attempted
    assert not result.failed
