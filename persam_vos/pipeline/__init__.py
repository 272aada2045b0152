"""Frames and a model go in, results come out: reading, encoding, tracking and writing run side by side in threads.

Exports nothing, because the command line takes ``interrupt`` and ``malloc`` from here before it loads torch.
"""
