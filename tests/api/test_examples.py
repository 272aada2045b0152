"""The examples in the docstrings of the public names, run as they stand."""

from __future__ import annotations

import doctest
import importlib
import warnings

import pytest

MODULES = (
    "persam_vos.masks",
    "persam_vos.media.demo",
    "persam_vos.media.mask_files",
    "persam_vos.media.readers",
    "persam_vos.photos.finder",
    "persam_vos.results",
    "persam_vos.video.tracker",
    "persam_vos.video.tracking",
)


def examples() -> list[doctest.DocTest]:
    found = [test for name in MODULES for test in doctest.DocTestFinder().find(importlib.import_module(name))]
    return [test for test in found if test.examples]


@pytest.mark.parametrize("example", examples(), ids=lambda example: example.name)
def test_example(example: doctest.DocTest) -> None:
    with warnings.catch_warnings():
        result = doctest.DocTestRunner(optionflags=doctest.IGNORE_EXCEPTION_DETAIL).run(example)

    assert result.attempted
    assert not result.failed
