"""A run that was stopped goes in; out comes where another one goes on, or in what the two differ.

``packing`` turns records of tensors into plain values, which ``checkpoint`` keeps in a file without code.
"""
