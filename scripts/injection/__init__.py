"""The faults of scripts/faults.py: a command and a point of it -> what was lost, one file per family of faults."""
