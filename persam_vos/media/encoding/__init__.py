"""Drawn frames come in. A video file goes out, with the times, audio, subtitles and chapters of its source."""
