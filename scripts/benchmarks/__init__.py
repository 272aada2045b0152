"""The measurements of scripts/bench.py: command-line arguments -> figures for JSON, one file per subject."""
