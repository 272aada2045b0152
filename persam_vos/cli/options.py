"""The options that commands share, as Typer reads them, and what all commands do alike."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from persam_vos.errors import SettingsError

Output = Annotated[Path, typer.Option("--output", "-o", help="Folder for the results.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace results that are there already.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar, no list of files.")]
Config = Annotated[Optional[Path], typer.Option("--config", help="YAML file of settings; flags win over it.")]  # noqa: UP045
Text = Optional[str]  # noqa: UP045
ResizeMask = Annotated[bool, typer.Option("--resize-mask", help="Scale a mask of another size.")]
MaskThreshold = Annotated[
    Optional[int],  # noqa: UP045
    typer.Option("--mask-threshold", min=0, max=254, help="Take a soft mask as one object above this brightness."),
]
Method = Annotated[Text, typer.Option("--method", help="memory, persam or persam-f.  [default: memory]")]
Preset = Annotated[Text, typer.Option("--preset", help="Of memory: fast or best.  [default: fast]")]
Model = Annotated[
    Text, typer.Option("--model", help="mobile_sam, vit_b, vit_l or vit_h.  [default: mobile_sam, which ships]")
]
Checkpoint = Annotated[Optional[Path], typer.Option("--checkpoint", help="File with the model's weights.")]  # noqa: UP045
Device = Annotated[Text, typer.Option("--device", help="auto, cpu or cuda.  [default: auto]")]
Backend = Annotated[
    Text, typer.Option("--backend", help="torch, onnxruntime, openvino or auto, the fastest.  [default: auto]")
]
Precision = Annotated[
    Text, typer.Option("--precision", help="Of the networks: float32, bfloat16 or auto.  [default: auto]")
]
BatchSize = Annotated[
    Text,
    typer.Option("--batch-size", help="Frames encoded at once; OpenVINO takes 4 at most.  [default: auto]"),
]
Reader = Annotated[Text, typer.Option("--reader", help="pyav or decord.  [default: pyav]")]
Guidance = Annotated[
    Text, typer.Option("--guidance", help="Of persam: none, attention, prompting or both.  [default: none]")
]
UpdateTarget = Annotated[
    Optional[float],  # noqa: UP045
    typer.Option(
        "--update-target", metavar="RATE", help="Of persam: how fast the target feature moves, 0..1.  [default: 0]"
    ),
]
FirstPass = Annotated[
    Text,
    typer.Option("--first-pass", help="Of persam: largest, predicted_iou, agreement or single.  [default: agreement]"),
]
Export = Annotated[
    Text, typer.Option("--export", help="Of masks, overlay, cutout; with commas.  [default: masks,overlay]")
]
Background = Annotated[Text, typer.Option("--background", help="Colour behind a cut-out.  [default: #000000]")]
AllInstances = Annotated[
    bool, typer.Option("--all-instances", help="Find everything that is like the one object of the reference.")
]
MaxObjects = Annotated[
    Optional[int],  # noqa: UP045
    typer.Option("--max-objects", metavar="N", help="Instances, at most.  [default: 20]"),
]
Presence = Annotated[
    Optional[float],  # noqa: UP045
    typer.Option(
        "--presence",
        metavar="SHARE",
        help="Of its usual likeness, what the object needs to count.  [default: 0.77 of memory; of the others 0, for"
        " instances 0.85]",
    ),
]
Sequences = Annotated[Text, typer.Option("--sequences", help="Only these, with commas.")]
Year = Annotated[int, typer.Option("--year", help="2016 (one object) or 2017.")]
Split = Annotated[str, typer.Option("--split", help="Name of the list of sequences.")]
EXIT_ERROR, EXIT_INTERRUPTED = 2, 130


class Interrupted(Exception):  # noqa: N818
    """KeyboardInterrupt under a name that Typer does not swallow."""


@contextmanager
def own_interrupt() -> Iterator[None]:
    """Let an interrupt pass Typer."""
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted from None


def flags_of(**values: Any) -> dict[str, Any]:
    """Name the flags of a command; None stands for one that was not given."""
    return values


def names_of(text: str | None) -> list[str] | None:
    """Split names at commas."""
    return None if text is None else [name.strip() for name in text.split(",") if name.strip()]


def split_pair(text: str) -> tuple[Path, Path]:
    """Split PHOTO:MASK at the colon that leaves two files.

    Raises:
        SettingsError: If there is none.
    """
    for place, character in enumerate(text):
        if character == ":" and Path(text[:place]).is_file() and Path(text[place + 1 :]).is_file():
            return Path(text[:place]), Path(text[place + 1 :])
    raise SettingsError(f"{text!r}: must be PHOTO:MASK, two files that exist, with a colon between them")
