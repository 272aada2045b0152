from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from persam_vos.errors import SettingsError
from persam_vos.exports.select import EXPORTS
from persam_vos.settings.photos import METHODS, PhotoSettings, load_photo_settings
from persam_vos.settings.video import Settings, load_settings

EXPORTS_ALLOWED = " or ".join(", ".join(EXPORTS).rsplit(", ", 1))
EXAMPLES = sorted((Path(__file__).parents[2] / "configs").glob("*.yaml"))
CONFIGS = [path for path in EXAMPLES if not path.stem.startswith("photos")]
OF_PHOTOS = {path.stem: path for path in EXAMPLES if path.stem.startswith("photos")}


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_the_examples_are_complete_and_allowed(path: Path) -> None:
    load_settings(path, {})

    assert set(yaml.safe_load(path.read_text())) == set(Settings.model_fields)


def test_the_default_example_is_the_default() -> None:
    assert load_settings(next(path for path in CONFIGS if path.stem == "memory"), {}) == Settings()


def test_the_examples_of_photos_are_complete() -> None:
    for path in OF_PHOTOS.values():
        assert set(yaml.safe_load(path.read_text())) == set(PhotoSettings.model_fields)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("photos", {}),
        ("photos-persam", {"method": "persam"}),
        ("photos-persam-published", {"method": "persam", "guidance_alignment": "squashed"}),
        ("photos-persam-f", {"method": "persam-f"}),
    ],
)
def test_the_examples_of_photos_are_the_defaults_of_their_methods(name: str, settings: dict[str, str]) -> None:
    assert load_photo_settings(OF_PHOTOS[name], {}) == PhotoSettings(**settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("method", METHODS)
def test_the_example_of_photos_leaves_to_a_method_what_is_its_own(method: str) -> None:
    assert load_photo_settings(OF_PHOTOS["photos"], {"method": method}) == PhotoSettings(method=method)  # type: ignore[arg-type]
    assert load_photo_settings(OF_PHOTOS["photos"], {"method": method, "all_instances": True}).presence == (
        0.77 if method == "memory" else 0.85
    )


def test_flags_of_instances_are_refused_where_one_thing_is_looked_for(tmp_path: Path) -> None:
    for flags in ({"max_objects": 3}, {"iou_threshold": 0.5}, {"erase": "pixels"}):
        (flag,) = flags
        with pytest.raises(SettingsError, match=f"--{flag.replace('_', '-')} is a setting of --all-instances"):
            load_photo_settings(None, flags)
        assert load_photo_settings(write(tmp_path / "c.yaml", "all_instances: true"), flags).all_instances


def test_flags_win_over_the_file_and_the_file_over_defaults(tmp_path: Path) -> None:
    config = write(tmp_path / "c.yaml", "method: persam-f\nbox_margin: 3\n")

    settings = load_settings(config, {"method": "persam", "model": None})

    assert (settings.method, settings.box_margin, settings.model) == ("persam", 3, "mobile_sam")


def test_a_preset_by_flag_wins_over_the_file(tmp_path: Path) -> None:
    config = write(tmp_path / "c.yaml", "passes: 3\n")

    assert load_settings(config, {}).passes == 3
    assert [load_settings(config, {"preset": each}).passes for each in ("fast", "best")] == [1, 1]
    assert [load_settings(None, {"preset": each}).closer_look for each in ("fast", "best")] == [0, 0.5]
    assert [load_settings(None, {"preset": each}).encode_every for each in ("quick", "fast")] == [4, 1]
    assert load_settings(write(tmp_path / "d.yaml", "preset: best\ncloser_look: null\n"), {}).closer_look == 0.5


@pytest.mark.parametrize("method", ["persam", "persam-f"])
@pytest.mark.parametrize("preset", ["quick", "best"])
def test_a_preset_of_memory_does_not_reach_the_other_methods(preset: str, method: str, tmp_path: Path) -> None:
    of_file = load_settings(write(tmp_path / "a.yaml", f"method: {method}\npreset: {preset}\nencode_every: null\n"), {})

    for settings in (Settings(method=method, preset=preset), of_file):  # type: ignore[arg-type]
        assert (settings.encode_every, settings.closer_look) == (1, 0)
    assert Settings(method=method, encode_every=2).encode_every == 2  # type: ignore[arg-type]


def test_a_preset_in_the_file_leaves_alone_what_is_set_beside_it(tmp_path: Path) -> None:
    example = next(path for path in CONFIGS if path.stem == "memory").read_text()
    best = example.replace("preset: fast", "preset: best")

    assert load_settings(write(tmp_path / "a.yaml", best), {}).closer_look == 0.5
    assert load_settings(write(tmp_path / "b.yaml", "preset: best\ncloser_look: 0.2\n"), {}).closer_look == 0.2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("prior_share: 1.5", "prior_share is 1.5: it must be a number from 0 to 0.9"),
        ("doubt: lots", "doubt is 'lots': it must be a number from 0 to 10"),
        ("doubt: .nan", "doubt is nan: it must be a number from 0 to 10"),
        ("mask_token: 1", "mask_token is 1: it must be true or false"),
        ("passes: true", "passes is True: it must be a whole number from 1 to 4"),
    ],
)
def test_a_wrong_value_in_a_file_names_the_file(text: str, message: str, tmp_path: Path) -> None:
    config = write(tmp_path / "c.yaml", text)

    with pytest.raises(SettingsError) as caught:
        load_settings(config, {"method": "memory", "preset": None})

    assert str(caught.value).startswith(f"{config}: {message}")


def test_an_empty_file_changes_nothing(tmp_path: Path) -> None:
    assert load_settings(write(tmp_path / "c.yaml", "# nothing\n"), {}) == Settings()


@pytest.mark.parametrize("export", ["cutout,masks", ["cutout", "masks"], "cutout, masks,cutout"])
def test_exports(export: object) -> None:
    assert load_settings(None, {"export": export}).export == ("cutout", "masks")


@pytest.mark.parametrize(
    ("colour", "kept", "rgb"),
    [
        ("#00fF7f", "#00ff7f", (0, 255, 127)),
        ("#0f0", "#00ff00", (0, 255, 0)),
        ("green", "#008000", (0, 128, 0)),
        ("Lime", "#00ff00", (0, 255, 0)),
    ],
)
def test_background(colour: str, kept: str, rgb: tuple[int, int, int], tmp_path: Path) -> None:
    settings = Settings(background=colour)

    assert (settings.background, settings.background_rgb) == (kept, rgb)
    assert load_settings(write(tmp_path / "c.yaml", f"background: '{colour}'\n"), {}) == settings


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"method": "sam2"}, "--method is 'sam2': it must be memory, persam or persam-f"),
        ({"batch_size": "0"}, "--batch-size is '0': it must be auto or a whole number from 1 to 256"),
        ({"batch_size": "many"}, "--batch-size is 'many': it must be auto or a whole number from 1 to 256"),
        ({"background": "gren"}, "--background is 'gren': did you mean green? it must be a colour: a CSS name such as"),
        ({"background": "rgb(300, 0, 0)"}, "--background is 'rgb(300, 0, 0)': it must be a colour"),
        ({"background": "#00ff0080"}, "--background is '#00ff0080': it must be a colour: a CSS name such as green, or"),
        ({"device": "gpu"}, "--device is 'gpu': did you mean cuda? it must be auto, cpu or cuda"),
        ({"method": "PerSAM"}, "--method is 'PerSAM': did you mean persam? it must be memory, persam or persam-f"),
        (
            {"export": "mask"},
            f"--export is 'mask': did you mean masks? it must be {EXPORTS_ALLOWED}",
        ),
        (
            {"export": "masks,gif"},
            f"--export is 'gif': it must be {EXPORTS_ALLOWED}",
        ),
        ({"guidance": "both"}, "--guidance is a setting of persam and persam-f, but the method is memory"),
        ({"method": "persam", "preset": "best"}, "--preset is a setting of memory, but the method is persam"),
        ({"method": "persam", "keep_first_mask": True}, "--keep-first-mask is a setting of memory, but the method is"),
        ({"preset": "slow"}, "--preset is 'slow': it must be quick, fast or best"),
        ({"update_target": 1.5}, "--update-target is 1.5"),
        ({"box_margin": -1}, "--box-margin is -1"),
    ],
)
def test_a_bad_flag_is_named(flags: dict[str, object], message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(None, flags)

    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("metod: persam\n", "c.yaml: unknown setting 'metod': did you mean method? the files in configs/ list all"),
        ("- a\n- b\n", "c.yaml: holds list; a mapping"),
        ("a: [\n", "c.yaml: not YAML"),
        ("[" * 3000, "c.yaml: not YAML"),
        ("background: 2024-13-45\n", "c.yaml: not YAML"),
        ("!!map [a]\n", "c.yaml: not YAML"),
        ("model: vit_b\nmodel: vit_l\n", "c.yaml: not YAML ('model' is given twice)"),
        ("device: gpu\n", "c.yaml: device is 'gpu': did you mean cuda? it must be auto, cpu or cuda"),
        ("export: 5\n", "c.yaml: export is 5"),
        ("export: null\n", "c.yaml: export is None"),
        ("export: [[a]]\n", "c.yaml: export is"),
        ("1: 2\n", "a mapping of settings"),
        ("!!python/object/apply:os.system ['true']\n", "c.yaml: not YAML"),
    ],
)
def test_a_bad_file_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(write(tmp_path / "c.yaml", text), {})

    assert message in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.yaml: cannot be read"):
        load_settings(tmp_path / "none.yaml", {})


def test_a_file_for_photos_is_refused_for_video_and_the_other_way_round() -> None:
    configs = EXAMPLES[0].parent
    with pytest.raises(SettingsError, match=r"photos\.yaml: is a file for photos, .* such as configs/memory\.yaml"):
        load_settings(configs / "photos.yaml", {})
    with pytest.raises(SettingsError, match=r"memory\.yaml: is a file for video, .* such as configs/photos\.yaml"):
        load_photo_settings(configs / "memory.yaml", {})
