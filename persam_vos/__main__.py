"""``python -m persam_vos`` is ``persam-vos``."""

from persam_vos.cli.app import leave_at_once

leave_at_once()
