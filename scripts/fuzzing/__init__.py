"""Hostile files: whole ones and a seed of chance go in, and what went wrong with damaged ones comes out."""
