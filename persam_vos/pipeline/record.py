"""Makes the record for run.json from an engine and the outcome of its run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from persam_vos.exports.run_record import RunRecord
from persam_vos.sam.engine import Engine


def run_record(
    engine: Engine[Any], given: Mapping[str, Any], outcome: Mapping[str, Any], seconds: float = 0.0
) -> RunRecord:
    """Return the record of a run; see ``RunRecord``.

    Args:
        engine: The model; settings, device and weights are taken from it.
        given: What the command was given, by key.
        outcome: How the run ended, by key.
        seconds: From the start of the command until now.
    """
    return RunRecord(
        settings=engine.settings.model_dump(mode="json"),
        backend=engine.backend,
        precision=engine.precision,
        decoder_precision=engine.decoder.precision,
        guided_decoder_precision=engine.decoder.guided_precision,
        batch_size=engine.batch_size,
        checkpoint=engine.checkpoint,
        checkpoint_sha256=engine.checkpoint_sha256,
        device=engine.device.type,
        gpu=engine.gpu_name,
        given=given,
        outcome=outcome,
        seconds=seconds,
    )
