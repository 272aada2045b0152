"""Option groups: one object a group for the command, one option a field for Typer."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, fields
from typing import Annotated, ClassVar

import pytest
import typer

from persam_vos.cli import options, photos, video
from persam_vos.cli.app import app
from persam_vos.cli.groups import OptionGroup, takes_groups


@dataclass(frozen=True)
class Colours(OptionGroup):
    title: ClassVar = "Colours"

    red: Annotated[str | None, typer.Option("--red", "-r")] = None
    green: Annotated[int, typer.Option("--green")] = 3


@takes_groups
def paint(wall: Annotated[str, typer.Argument()], colours: Colours, twice: bool = False) -> tuple[str, Colours, bool]:
    return wall, colours, twice


def test_a_command_gets_one_object_a_group() -> None:
    assert paint(wall="w", red="dark", green=4, twice=True) == ("w", Colours("dark", 4), True)  # type: ignore[call-arg]
    assert Colours("dark").given() == {"red": "dark", "green": 3}


def test_typer_sees_one_option_a_field() -> None:
    seen = inspect.signature(paint).parameters

    assert list(seen) == ["wall", "red", "green", "twice"]
    assert [each.default for each in seen.values()] == [inspect.Parameter.empty, None, 3, False]
    assert seen["red"].annotation == Annotated[str | None, seen["red"].annotation.__metadata__[0]]


GROUPS = [
    each
    for module in (options, photos, video)
    for each in vars(module).values()
    if isinstance(each, type) and issubclass(each, OptionGroup) and each.settings
]


NO_SETTINGS = {
    "first_mask",
    "prompt",
    "object_mask",
    "prompts",
    "box",
    "point",
    "first_ref",
    "name",
    "color",
    "resume",
    "keep_going",
    "overwrite",
}


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.__name__)
def test_options_are_called_as_their_settings(group: type[OptionGroup]) -> None:
    settings = group.setting_fields()

    assert group.title
    assert {field.name for field in fields(group)} - NO_SETTINGS <= set(settings)


# The options of each command, which users have in their scripts.
ENGINE = "--model --checkpoint --device --backend --precision --batch-size --config --output -o --quiet -q"
FILES = (
    "--allow-playlists --reader --deinterlace --export --background"
    " --masks-format --start-number --keep-names --matte-codec --alpha"
    " --per-object --grow --feather --fill-holes --min-area"
)
PERSAM = "--guidance --first-pass --update-target"
COMMANDS = {
    "run": f"{ENGINE} {PERSAM} {FILES} --method --preset --keep-first-mask --first-mask --box --point --first-ref"
    " --all-instances --max-objects --presence --resize-mask --mask-threshold --invert-mask --mask-ids"
    " --max-latency --log-json --prompt --object --prompts"
    " --name --color --start --end --stride --backward --overwrite --resume",
    "studio": "--model --checkpoint --device --backend --precision --batch-size --config --output -o"
    " --method --preset --keep-first-mask --start --end --stride --prompts --port --host --no-browser",
    "batch": f"{ENGINE} {PERSAM} {FILES} --method --preset --keep-first-mask --resize-mask --mask-threshold"
    " --invert-mask --mask-ids --masks-from --jobs --threads --ray --ray-address --shard"
    " --keep-going --log-json --overwrite --resume",
    "render": f"{FILES} --start --end --stride --invert-mask --mask-ids --resize-mask --mask-threshold --name --color"
    " --output -o --config --overwrite --log-json --quiet -q",
    "mask": f"{ENGINE} --box --point --frame --id --overlay --overwrite",
    "demo": f"{ENGINE} --method --preset --keep-first-mask",
    "davis": f"{ENGINE} {PERSAM} --method --preset --keep-first-mask --year --split --sequences --overwrite",
    "image": f"{ENGINE} --method --ref --resize-mask --mask-threshold --all-instances --max-objects --iou-threshold"
    " --invert-mask --mask-ids --log-json"
    " --erase --presence --guidance --max-megapixels --export --resume --keep-going --overwrite",
    "perseg": f"{ENGINE} --method --guidance --max-megapixels --classes --overwrite",
    "score": "--output -o --year --split --sequences --quiet -q",
    "models": "",
}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_keeps_its_name(name: str) -> None:
    command = typer.main.get_command(app).commands[name]  # type: ignore[attr-defined]

    names = [each for param in command.params if param.param_type_name == "option" for each in param.opts]

    assert sorted(names) == sorted(COMMANDS[name].split())
