"""Makes the record for run.json from an engine and the outcome of its run."""

from __future__ import annotations

from collections.abc import Collection, Mapping
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


def differences(earlier: Mapping[str, Any], now: Mapping[str, Any], may_differ: Collection[str]) -> list[str]:
    """Say in what an earlier run differs from this one, as far as results depend on it.

    Args:
        earlier: Its run.json.
        now: What this run's would say.
        may_differ: Settings on which results do not depend.

    Returns:
        Such as "preset best, this run has quick"; what explains others comes first.

    Raises:
        KeyError: If ``earlier`` is no run.json.
        TypeError: Likewise.
        AttributeError: Likewise.
    """
    # Another version may record other settings, so its differences would name none that the user can change.
    versions = earlier["versions"].get("persam-vos"), now["versions"].get("persam-vos")
    if versions[0] != versions[1]:
        return [f"version {versions[0]} of persam-vos, this one is {versions[1]}"]
    before, settings = dict(earlier["settings"]), now["settings"]
    common = [key for key in settings if key in before and key not in may_differ and before[key] != settings[key]]
    common.sort(key=lambda key: key not in ("preset", "method", "model"))
    changed = [f"{key} {_word(before[key])}, this run has {_word(settings[key])}" for key in common]
    if earlier["checkpoint"]["sha256"] != now["checkpoint"]["sha256"]:
        changed.append("other weights")
    return changed


def _word(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
