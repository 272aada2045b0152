"""Whole weights, settings, prompts and records that damage begins with, all made here."""

from __future__ import annotations

import base64
import io
import json
import pickle
import re
import zipfile
from typing import Any

import numpy as np
import torch
from PIL import Image
from pycocotools.mask import encode
from safetensors.torch import save

from fuzzing.changes import damage_bytes, damage_json, damage_lines, damage_safetensors, damage_text, damage_zip
from fuzzing.films_and_pictures import FRAMES, HEIGHT, WIDTH, Seed, labels, saved


def mask_files_of_json() -> list[Seed]:
    """Return masks of LabelMe, COCO and YouTube-VIS."""
    square = [[4, 16], [20, 16], [20, 32], [4, 32]]
    small = base64.b64encode(saved(Image.fromarray((labels() > 0)[16:32, 4:20].astype(np.uint8) * 255), "PNG")).decode()
    shapes = [
        {"label": "dog", "points": square, "shape_type": "polygon", "group_id": 1},
        {"label": "cat", "points": [[40, 36], [56, 44]], "shape_type": "rectangle", "group_id": None},
        {"label": "ball", "points": [[30, 20], [34, 20]], "shape_type": "circle", "group_id": None},
        {"label": "hat", "points": [[4, 16], [19, 31]], "shape_type": "mask", "mask": small, "group_id": None},
    ]
    labelme = {"version": "5.0", "shapes": shapes, "imageHeight": HEIGHT, "imageWidth": WIDTH}
    runs = {"size": [HEIGHT, WIDTH], "counts": [100, 20, HEIGHT * WIDTH - 120]}
    packed = encode(np.asfortranarray(labels() == 2, np.uint8))
    packed["counts"] = packed["counts"].decode()
    flat = [[4, 16, 20, 16, 20, 32, 4, 32]]
    annotations = [
        {"id": number, "image_id": 1, "category_id": 1, "track_id": number, "segmentation": each}
        for number, each in enumerate((flat, runs, packed), start=1)
    ]
    coco = {"images": [{"id": 1, "height": HEIGHT, "width": WIDTH}], "annotations": annotations}
    videos = [{"id": 1, "height": HEIGHT, "width": WIDTH, "file_names": ["a/00000.jpg", "a/00001.jpg"]}]
    own = [{"id": 1, "video_id": 1, "category_id": 1, "segmentations": [runs, None]}]
    files = (labelme, coco, {"videos": videos, "annotations": own}, runs, annotations[:1])
    return [(json.dumps(each).encode(), damage_json) for each in files]


class _RunsCode:
    """Pickles as a call of a function."""

    def __init__(self, *call: Any) -> None:
        self.call = call

    def __reduce__(self) -> Any:
        return self.call[0], self.call[1:]


def checkpoints() -> list[Seed]:
    """Return weights of safetensors and PyTorch, and pickles that would run code."""
    tensors = {f"image_encoder.{i}.weight": torch.arange(24.0).reshape(2, 3, 4) + i for i in range(4)}
    whole = save(tensors)
    found: list[Seed] = [(whole, damage_safetensors), (whole, damage_bytes)]
    sparse, of_complex = torch.ones(3).to_sparse(), torch.ones(2, dtype=torch.complex64)
    for content in (tensors, {"model": tensors}, {"a": sparse}, {"a": of_complex}):
        written = io.BytesIO()
        torch.save(content, written)
        found += [(written.getvalue(), damage_zip), (written.getvalue(), damage_bytes)]
    for content in (dict([*tensors.items()][:1]), {"model": {"a": of_complex}}):
        written = io.BytesIO()
        torch.save(content, written, _use_new_zipfile_serialization=False)
        found.append((_numbered(written.getvalue()), damage_bytes))
    for call in ((eval, "open('../canary/ran', 'w')"), (exec, "import os; os.system('touch ../canary/ran')")):
        evil, archive = pickle.dumps({"a": _RunsCode(*call)}, 2), io.BytesIO()
        with zipfile.ZipFile(archive, "w") as written_archive:
            for name, body in (
                ("archive/data.pkl", evil),
                ("archive/version", b"3\n"),
                ("archive/byteorder", b"little"),
            ):
                written_archive.writestr(zipfile.ZipInfo(name), body)
        found += [(archive.getvalue(), damage_zip), (evil, damage_bytes)]
    return found


def _numbered(legacy: bytes) -> bytes:
    """Return an old file of PyTorch with numbers in the places of addresses in memory, which differ in each run."""
    names: dict[bytes, bytes] = {}

    def numbered(match: re.Match[bytes]) -> bytes:
        return b"X\x08\0\0\0" + names.setdefault(match[1], b"%08d" % len(names))

    return re.sub(rb"X.\0\0\0(\d{7,})", numbered, legacy, flags=re.DOTALL)


def configs() -> list[Seed]:
    """Return YAML files of settings."""
    texts = (
        b"method: memory\npreset: best\nexport: [masks, overlay]\nprior_share: 0.3\ntop_k: 15\nbatch_size: auto\n",
        b"method: persam-f\nfinetune_steps: 100\nguidance: both\ndevice: cpu\nmax_objects: 4\nall_instances: true\n",
        b"prior_share: &a 0.3\ndoubt: *a\nmodel: !!str vit_b\ntop_k: 0x0f\nmask_token: yes\n",
        b"method: memory\na: !!python/object/apply:os.system ['touch ../canary/ran']\n",
        b"checkpoint: ../canary/secret.mp4\nbackground: ../canary/secret.mp4\ngrow: -3\nbackend: torch\n",
    )
    return [(each, damage) for each in texts for damage in (damage_text, damage_bytes)]


def prompts() -> list[Seed]:
    """Return files of prompts."""
    said = [
        {"frame": 0, "object": 1, "box": [4, 16, 19, 31]},
        {"frame": 2, "object": 1, "points": [[10, 20, 1], [60, 4, 0]]},
        {"frame": 3, "object": 2, "mask": "mask.png"},
        {"frame": 4, "object": 1, "absent": True},
    ]
    objects = [{"id": 1, "name": "dog", "color": "#e6194b"}, {"id": 2, "name": "cat", "color": "red"}]
    whole = {"version": 1, "video": "clip.mp4", "range": [0, 6], "objects": objects, "prompts": said}
    files = (json.dumps(whole).encode(), json.dumps(whole, indent=1).encode())
    return [(each, damage) for each in files for damage in (damage_json, damage_bytes)]


def manifests() -> list[Seed]:
    """Return manifests with a line for each clip."""
    clips = (
        {"id": "a", "video": "clip.mp4", "mask": "mask.png", "start": 1, "end": "0.2s", "preset": "best"},
        {"video": "b.mp4", "box": [4, 16, 19, 31], "export": ["masks", "overlay"], "top_k": 5},
        {"id": "c", "video": "c.mp4", "points": [[10, 20, 1], [60, 4, 0]]},
        {"id": "d", "video": "d.mp4", "prompts": "prompts.json"},
    )
    data = "".join(f"{json.dumps(each)}\n" for each in clips).encode()
    return [(data, damage_lines), (data, damage_lines), (data, damage_bytes)]


def tables() -> list[Seed]:
    """Return manifests in CSV."""
    rows = 'id,video,mask,box,start,preset\na,clip.mp4,mask.png,,1,best\nb,"b ""x"".mp4",,"4,16,19,31",,\n'
    return [(rows.encode(), damage_text), (rows.encode(), damage_bytes)]


def tracks() -> list[Seed]:
    """Return a file of tracks."""
    record = {"time": 0.04, "pts": 1, "object": 1, "name": "dog", "present": True, "score": 0.9, "similarity": 0.8}
    record |= {"area": 256, "box_xyxy": [4, 16, 19, 31], "keyframe": False}
    lines = [json.dumps({"frame": index, **record}) for index in range(FRAMES)]
    data = ("\n".join(lines) + "\n").encode()
    return [(data, damage_lines), (data, damage_bytes)]


def run_record() -> dict[str, Any]:
    """Return what the run.json of a complete run says, as far as it is read."""
    keys = {
        "video": {"frames": FRAMES},
        "range": None,
        "keyframes_sha256": "0",
        "objects": [[1, "dog", ""]],
        "background": None,
    }
    settings = {"method": "memory", "export": ["masks"], "keep_names": False}
    machine = {
        "backend": "torch",
        "precision": "float32",
        "versions": {"persam-vos": "1.0.0"},
        "checkpoint": {"sha256": "0"},
    }
    named = {"objects": [1], "names": {"1": "dog"}, "colors": {"1": "#e6194b"}, "frames_from": 0, "stride": 1}
    return (
        {"complete": True, "frames": FRAMES, "source": "clip.mp4", "fingerprint": keys, "settings": settings}
        | machine
        | named
    )


def results() -> list[Seed]:
    """Return a list of results of photos."""
    found = {"object": 1, "present": True, "score": 0.9, "similarity": 0.8, "area": 256, "box_xyxy": [4, 16, 19, 31]}
    record = {"photo": "a/b.jpg", "sha256": "0" * 64, "name": "b", "width": WIDTH, "height": HEIGHT, "objects": [found]}
    data = (json.dumps(record) + "\n" + json.dumps({"photo": "c.jpg", "error": "cannot be read"}) + "\n").encode()
    return [(data, damage_lines), (data, damage_bytes)]


def lists_of_names() -> list[Seed]:
    """Return lists of a data set's sequences."""
    files = (b"alpha\n", b"/JPEGImages/480p/alpha/00000.jpg /Annotations/480p/alpha/00000.png\n")
    return [(each, damage) for each in files for damage in (damage_text, damage_bytes)]


def arrays() -> list[Seed]:
    """Return embeddings as the cache keeps them."""
    written = io.BytesIO()
    halves = {"sizes": np.array([HEIGHT, WIDTH, 1024, 64], np.int64), "features": np.ones((4, 6, 8), np.float16)}
    np.savez(written, **halves, stage0=np.ones((4, 6, 8), np.float16))
    return [(written.getvalue(), damage_zip), (written.getvalue(), damage_bytes)]
