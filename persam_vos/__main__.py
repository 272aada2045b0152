"""``python -m persam_vos`` is ``persam-vos``."""

from persam_vos.cli.app import entry_point

entry_point()
