"""Frames and results come in; mattes, films and pictures with alpha go out, for editing and compositing."""
