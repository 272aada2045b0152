"""What takes long goes in: a propagation, an export, a frame to encode; out comes how it goes, told to every page."""
