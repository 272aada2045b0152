"""Masks come in, as pictures, polygons or run lengths. Label maps go out, and a line on each thing that is doubtful."""
