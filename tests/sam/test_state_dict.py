"""Reading checkpoint files without trust, and comparing them with what a model needs."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from persam_vos.errors import CheckpointError
from persam_vos.sam.checkpoints.state_dict import check_state_dict, guess_model, load_state_dict

TENSORS = {"a.weight": torch.arange(6.0).view(2, 3), "b": torch.zeros((), dtype=torch.int64), "empty": torch.zeros(0)}


@pytest.mark.parametrize("wrap", [lambda x: x, lambda x: {"model": x, "epoch": 3}, lambda x: {"state_dict": x}])
@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("name", ["w.pth", "w.pt", "w.bin", "w"])
def test_pytorch_files_load_plain_or_wrapped(tmp_path, wrap, zipped, name):
    torch.save(wrap(TENSORS), tmp_path / name, _use_new_zipfile_serialization=zipped)
    loaded = load_state_dict(tmp_path / name)
    assert list(loaded) == list(TENSORS)
    assert all(torch.equal(loaded[key], TENSORS[key]) for key in TENSORS)


def test_wrappers_may_lie_in_one_another_but_not_in_themselves(tmp_path):
    torch.save({"state_dict": {"model": TENSORS}}, tmp_path / "w.pth")
    assert list(load_state_dict(tmp_path / "w.pth")) == list(TENSORS)
    endless: dict[str, object] = {}
    endless["model"] = endless
    torch.save(endless, tmp_path / "endless.pth")
    with pytest.raises(CheckpointError, match="entry 'model' is of type dict, expected a tensor"):
        load_state_dict(tmp_path / "endless.pth")


@pytest.mark.parametrize("name", ["w.safetensors", "w.pth", "w"])
def test_safetensors_are_known_by_content(tmp_path, name):
    save_file(TENSORS, tmp_path / name)
    loaded = load_state_dict(tmp_path / name)
    assert loaded.keys() == TENSORS.keys()
    assert torch.equal(loaded["a.weight"], TENSORS["a.weight"])


def test_parameters_come_back_as_plain_tensors(tmp_path):
    torch.save({"w": torch.nn.Parameter(torch.ones(2))}, tmp_path / "w.pth")
    assert not load_state_dict(tmp_path / "w.pth")["w"].requires_grad


class Payload:
    """Makes a folder when a pickle that holds it is loaded."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.trace),)


@pytest.mark.parametrize("kind", ["zip", "legacy", "pickle"])
def test_a_pickle_that_runs_code_is_refused(tmp_path, kind):
    trace, path = tmp_path / "trace", tmp_path / "evil.pth"
    content = {**TENSORS, "evil": Payload(trace)}
    if kind == "pickle":
        path.write_bytes(pickle.dumps(Payload(trace), protocol=2))
        pickle.loads(path.read_bytes())
    else:
        torch.save(content, path, _use_new_zipfile_serialization=kind == "zip")
        torch.load(path, weights_only=False)
    trace.rmdir()  # it was there: the payload works on whoever trusts the file
    with pytest.raises(CheckpointError, match=r"evil\.pth is refused: it asks for \w+\.mkdir") as caught:
        load_state_dict(path)
    assert not trace.exists()
    assert "\n" not in str(caught.value)


def _torch_bytes(content: object, zipped: bool = True) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer, _use_new_zipfile_serialization=zipped)
    return buffer.getvalue()


def _zip_bytes() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("word/document.xml", "<w/>")
    return buffer.getvalue()


DAMAGED = {
    "empty": (b"", "is empty"),
    "cut-zip": (_torch_bytes(TENSORS)[:700], "cut short or damaged"),
    "cut-legacy": (_torch_bytes(TENSORS, zipped=False)[:300], "cut short or damaged"),
    "other-zip": (_zip_bytes(), "cut short or damaged"),
    "page": (b"<!DOCTYPE html><html>404</html>", "text, perhaps a web page"),
    "short": (b"hi", "text"),
    "random": (hashlib.sha512(b"noise").digest() * 50, "something else"),
    "random-pickle": (b"\x80" + hashlib.sha512(b"noise").digest() * 50, "cut short or damaged"),
    "random-safetensors": (b"\x10" + bytes(7) + b"{" + hashlib.sha512(b"noise").digest(), "cut short or damaged"),
    "huge-header": (b"\xff" * 7 + b"\x00{}", "cut short or damaged"),
}


@pytest.mark.parametrize("kind", DAMAGED)
@pytest.mark.parametrize("suffix", [".pth", ".pt"])
def test_damaged_files_name_the_file_and_what_was_expected(tmp_path, kind, suffix):
    content, reason = DAMAGED[kind]
    path = tmp_path / f"odd{suffix}"
    path.write_bytes(content)
    with pytest.raises(CheckpointError) as caught:
        load_state_dict(path)
    message = str(caught.value)
    assert str(path) in message
    assert reason in message
    assert "expected a .safetensors file, or a PyTorch file" in message
    assert "\n" not in message


@pytest.mark.parametrize("length", [4, 20, 200])
def test_a_safetensors_file_that_was_cut_short_says_so(tmp_path, length):
    path = tmp_path / "w.safetensors"
    save_file(TENSORS, path)
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(CheckpointError, match=r"w\.safetensors is cut short or damaged"):
        load_state_dict(path)


def test_a_folder_and_an_absent_file_are_no_checkpoints(tmp_path):
    for path in (tmp_path, tmp_path / "absent.pth"):
        with pytest.raises(CheckpointError, match=r"cannot be read: .*; expected a \.safetensors file"):
            load_state_dict(path)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ([1, 2], "one list"),
        (torch.ones(2), "one Tensor"),
        ({}, "no tensors"),
        ({"w": torch.ones(1), "epoch": 3}, "entry 'epoch' is of type int, expected a tensor"),
        ({3: torch.ones(1)}, "entry 3 has a name of type int"),
        ({"w": torch.tensor([1.0, float("nan")])}, "entry 'w' holds NaN"),
        ({"w": torch.tensor([1.0, float("-inf")], dtype=torch.float16)}, "entry 'w' holds NaN or infinite"),
        ({"w": torch.ones(2).to_sparse()}, "entry 'w' is a sparse"),
        ({"w": torch.ones(2, device="meta")}, "entry 'w' is a sparse, quantised or empty shell"),
        ({"w": torch.zeros(1).expand(10**12)}, "entry 'w' claims more numbers"),
        ({"w": torch.ones(2, dtype=torch.complex64)}, "entry 'w' is complex"),
        ({"w": torch.ones(2).to(torch.float8_e4m3fn)}, "entry 'w' has the type torch.float8_e4m3fn"),
    ],
)
def test_only_dense_finite_named_tensors_pass(tmp_path, content, reason):
    path = tmp_path / "odd.pth"
    torch.save(content, path)
    with pytest.raises(CheckpointError) as caught:
        load_state_dict(path)
    assert reason in str(caught.value)
    assert "odd.pth" in str(caught.value)


EXPECTED = {"a": torch.Size((2, 3)), "b": torch.zeros(4), "c": torch.Size(())}


def check(found: dict[str, torch.Tensor], **options: object) -> None:
    check_state_dict(found, EXPECTED, path=Path("dir/w.pth"), model="vit_b", **options)


def matching() -> dict[str, torch.Tensor]:
    return {"a": torch.zeros(2, 3), "b": torch.zeros(4), "c": torch.zeros(())}


def test_a_state_dict_that_fits_passes():
    check(matching())


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda d: (d.pop("b"), d.pop("c")), r"the key 'b' is missing \(2 of 3 keys are\)"),
        (lambda d: d.update(a=torch.zeros(3, 2)), r"'a' has the shape \(3, 2\), expected \(2, 3\)"),
        (lambda d: (d.update(a=torch.zeros(9)), d.pop("b")), r"'a' has the shape \(9,\)"),
        (lambda d: (d.update(c=torch.zeros(9)), d.pop("b")), r"the key 'b' is missing"),
        (lambda d: d.update(x=torch.zeros(1), y=torch.zeros(1)), r"the key 'x' is unknown \(2 of 5 keys are\)"),
    ],
)
def test_the_first_difference_is_named(change, reason):
    found = matching()
    change(found)
    with pytest.raises(CheckpointError, match=r"dir.w\.pth is not a checkpoint of vit_b: " + reason):
        check(found)


@pytest.mark.parametrize(
    ("key", "width", "model"),
    [
        ("image_encoder.patch_embed.proj.weight", 768, "vit_b"),
        ("image_encoder.patch_embed.proj.weight", 1024, "vit_l"),
        ("image_encoder.patch_embed.proj.weight", 1280, "vit_h"),
        ("image_encoder.patch_embed.proj.weight", 384, None),
        ("image_encoder.patch_embed.seq.0.c.weight", 32, "mobile_sam"),
        ("image_encoder.trunk.patch_embed.conv1.weight", 32, "mobile_sam"),
        ("backbone.weight", 768, None),
    ],
)
def test_the_model_that_a_file_is_of_is_guessed(key, width, model):
    found = {key: torch.zeros(width, 3, 1, 1)}
    assert guess_model(found) == model
    with pytest.raises(CheckpointError) as caught:
        check(found)
    hint = f"; this looks like {model}: pass --model {model}"
    assert str(caught.value).endswith(hint) == (model not in (None, "vit_b"))


def test_a_file_of_the_right_model_gets_no_hint():
    assert guess_model({"image_encoder.patch_embed.proj.weight": torch.zeros(768)}) is None
    with pytest.raises(CheckpointError) as caught:
        check({"image_encoder.patch_embed.proj.weight": torch.zeros(768, 3, 16, 16)})
    assert "--model" not in str(caught.value)
