"""What run.json says of an engine."""

from __future__ import annotations

from typing import Any

from persam_vos.exports.run_record import machine, peak_memory_mib, versions
from persam_vos.sam.engine import Engine


def engine_record(engine: Engine[Any], seconds: float) -> dict[str, Any]:
    """Return what every run.json says, of a run that took so many seconds."""
    return {
        "settings": engine.settings.model_dump(mode="json"),
        "backend": engine.backend,
        "precision": engine.precision,
        "decoder_precision": engine.decoder.precision,
        "guided_decoder_precision": engine.decoder.guided_precision,
        "batch_size": engine.batch_size,
        "checkpoint": {"path": str(engine.checkpoint), "sha256": engine.checkpoint_sha256},
        "versions": versions(),
        "machine": machine(engine.device.type, engine.gpu_name),
        "seconds": round(seconds, 3),
        "peak_memory_mib": peak_memory_mib(),
    }
