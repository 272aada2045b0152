"""Annotated photos and others go in; masks of the same objects in the others come out, as results or as files.

``PhotoFinder`` learns from annotated photos and takes the others one at a time, ``find_in_photos`` takes all of them,
and ``run_photos`` also writes their folder.
"""

from persam_vos.photos.finder import PhotoFinder, ids_of
from persam_vos.photos.pipeline import find_in_photos
from persam_vos.photos.run import run_photos

__all__ = ["PhotoFinder", "find_in_photos", "ids_of", "run_photos"]
