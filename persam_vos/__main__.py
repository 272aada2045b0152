"""``python -m persam_vos`` is ``persam-vos``."""

from persam_vos.cli import main

main()
