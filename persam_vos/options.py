"""The options that commands share, as Typer reads them."""

from pathlib import Path
from typing import Annotated, Optional

import typer

Output = Annotated[Path, typer.Option("--output", "-o", help="Folder for the results.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace results that are there already.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar, no list of files.")]
Config = Annotated[Optional[Path], typer.Option("--config", help="YAML file of settings; flags win over it.")]  # noqa: UP045
Text = Optional[str]  # noqa: UP045
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
    Text, typer.Option("--precision", help="Of the encoder: float32, bfloat16 or auto.  [default: auto]")
]
BatchSize = Annotated[Text, typer.Option("--batch-size", help="Frames encoded at once, or auto.  [default: auto]")]
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
    Text, typer.Option("--first-pass", help="Of persam: largest, predicted_iou or agreement.  [default: agreement]")
]
Export = Annotated[
    Text, typer.Option("--export", help="Of masks, overlay, cutout; with commas.  [default: masks,overlay]")
]
Background = Annotated[Text, typer.Option("--background", help="Colour behind a cut-out.  [default: #000000]")]
Sequences = Annotated[Text, typer.Option("--sequences", help="Only these, with commas.")]
Year = Annotated[int, typer.Option("--year", help="2016 (one object) or 2017.")]
Split = Annotated[str, typer.Option("--split", help="Name of the list of sequences.")]
