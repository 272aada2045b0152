"""What scripts/bench.py measures, one file per subject."""
