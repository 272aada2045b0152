"""The words for what a setting may be, and for what was probably meant."""

from __future__ import annotations

import pytest

from persam_vos.exports.select import EXPORTS
from persam_vos.settings.allowed import allowed_values, default_of, metavar_of
from persam_vos.settings.photos import PhotoSettings
from persam_vos.settings.suggestions import nearest
from persam_vos.settings.video import Settings


@pytest.mark.parametrize(
    ("name", "allowed", "metavar", "default"),
    [
        ("preset", "quick, fast or best", "[quick|fast|best]", "fast"),
        ("passes", "a whole number from 1 to 4", "1..4", "1"),
        ("choice_temperature", "a number above 0 and at most 10", "above 0, at most 10", "0.02"),
        ("batch_size", "auto or a whole number from 1 to 256", "auto|1..256", "auto"),
        ("mask_token", "true or false", "", "True"),
        (
            "export",
            " or ".join(", ".join(EXPORTS).rsplit(", ", 1)),
            f"[{','.join(EXPORTS)}]",
            "masks,overlay,report",
        ),
        ("checkpoint", "", "", ""),
        ("background", "", "", "#000000"),
    ],
)
def test_what_a_setting_may_be(name: str, allowed: str, metavar: str, default: str) -> None:
    field = Settings.model_fields[name]

    assert (allowed_values(field), metavar_of(field), default_of(field)) == (allowed, metavar, default)


@pytest.mark.parametrize("kind", [Settings, PhotoSettings])
def test_every_setting_says_what_it_may_be(kind: type[Settings] | type[PhotoSettings]) -> None:
    silent = {name for name, field in kind.model_fields.items() if not allowed_values(field)}

    assert silent <= {"checkpoint", "background"}


@pytest.mark.parametrize(
    ("given", "allowed", "found"),
    [
        ("GPU", ["auto", "cpu", "cuda"], ["cuda"]),
        ("gpu", ["auto", "cpu"], ["cpu"]),
        ("onnx", ["torch", "onnxruntime", "openvino"], ["onnxruntime"]),
        ("overlays", ["masks", "overlay", "cutout"], ["overlay"]),
        ("gif", ["masks", "overlay", "cutout"], []),
        ("", ["masks"], []),
    ],
)
def test_the_nearest_name(given: str, allowed: list[str], found: list[str]) -> None:
    assert nearest(given, allowed) == found
