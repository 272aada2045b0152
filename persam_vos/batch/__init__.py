"""A list of many videos, and what is said of each, comes in; a folder of results for each goes out, as of one run.

``manifest.py`` reads the list, ``work.py`` is the work on one clip, and ``jobs.py`` and ``ray_jobs.py`` share it out.
"""
