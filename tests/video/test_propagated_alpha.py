"""Alpha of masks that are propagated from keyframes: kept on disk, fused, joined, exported."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from clips import read_all
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from moving import film, keyframe, propagated
from sessions import prepared, saved_film, true_labels

from persam_vos.errors import OutputError
from persam_vos.masks import Mask
from persam_vos.sam.regions import Region
from persam_vos.soft_edges import alpha_of_labels
from persam_vos.video.propagation.found import Found
from persam_vos.video.propagation.found_store import FoundStore
from persam_vos.video.propagation.fusion import Fused, fuse, joined_alpha, share_out
from persam_vos.video.propagation.packed_alpha import pack_alpha, unpack_alpha
from persam_vos.video.propagation.walked import walk_to_end
from persam_vos.video.session.session import Session

SIZE = (40, 60)


def square(left: int, side: int = 16) -> Mask:
    mask = np.zeros(SIZE, np.bool_)
    mask[10 : 10 + side, left : left + side] = True
    return mask


def found(mask: Mask) -> Found:
    return Found(1, mask, 0.9, 0.8, Region.whole(*SIZE), alpha_of_labels(mask.astype(np.uint8)))


@given(arrays(np.uint8, SIZE, elements=st.sampled_from([0, 0, 0, 9, 200, 255])))
def test_alpha_comes_back_from_the_disk(alpha: np.ndarray) -> None:
    assert (unpack_alpha(pack_alpha(alpha), SIZE) == alpha).all()
    store = FoundStore(None, *SIZE)
    with_it = replace(found(alpha > 128), alpha=alpha)
    store.put(1, 3, [with_it, replace(found(alpha > 128), object_id=2, alpha=None)])
    got = store.get(1, 3)
    assert (got[1].alpha == alpha).all()
    assert got[2].alpha is None
    store.close()


@pytest.mark.parametrize("packed", [b"", b"\x01", pack_alpha(np.full((50, 70), 9, np.uint8))])
def test_bytes_that_are_no_alpha_are_refused(packed: bytes, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="alpha"):
        unpack_alpha(packed, SIZE)
    store = FoundStore(tmp_path / "masks.sqlite", *SIZE)
    store.put(1, 0, [found(square(5))])
    with store._file.transaction():
        store._file.change("update found set alpha=?", (packed,))
    with pytest.raises(OutputError):
        store.get(1, 0)
    store.close()


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
@pytest.mark.parametrize("right", [20, 22, 30, 45])
def test_fused_alpha_agrees_with_the_fused_mask_and_has_no_veil(share: float, right: int) -> None:
    fused = fuse(found(square(20)), found(square(right)), share)

    assert fused.alpha is not None
    assert ((fused.alpha >= 128) == fused.mask).all()
    # An edge of at most three pixels all around; it is of two where both sides agree.
    assert ((fused.alpha > 0) & (fused.alpha < 255)).sum() <= 3 * (4 * 16 + 8)


def test_a_side_without_alpha_leaves_it_to_the_mask() -> None:
    bare = replace(found(square(20)), alpha=None)

    fused = fuse(bare, found(square(20)), 0.5)

    assert fused.alpha is None
    labels = share_out([fused], {}, SIZE)
    assert (joined_alpha([fused], {}, labels) == alpha_of_labels(labels)).all()


def test_objects_that_touch_are_joined_without_a_seam() -> None:
    one, other = square(10), square(26)
    soft = Fused(1, one, 0.9, 0.8, alpha=alpha_of_labels(one.astype(np.uint8)))
    labels = share_out([soft], {2: other}, SIZE)

    alpha = joined_alpha([soft], {2: other}, labels)

    assert ((alpha >= 128) == (labels > 0)).all()
    assert (alpha[12:24, 12:40] == 255).all()


def test_every_frame_of_a_propagated_video_has_alpha_if_it_is_asked_for(tmp_path: Path) -> None:
    frames, truths = film({1: lambda i: 8 + 8 * i, 2: lambda i: 150 - 8 * i}, 8)
    video = propagated(frames, tmp_path)
    video._propagation._soft = True
    video.place([keyframe(truths, 0, 1), keyframe(truths, 7, 1), keyframe(truths, 4, 2)])
    walk_to_end(video.propagate())

    for _, result in video.results(soft=True):
        assert result.alpha is not None
        assert ((result.alpha >= 128) == (result.label_map > 0)).all()
        assert ((result.alpha > 0) & (result.alpha < 255)).any()
    assert video.result(3).alpha is None


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    with prepared(Session(saved_film(tmp_path / "film"), cache=tmp_path / "cache")) as opened:
        opened.add(0, mask=true_labels()[0] == 1)
        yield opened


def test_a_session_exports_a_matte_that_agrees_with_its_masks(session: Session, tmp_path: Path) -> None:
    session.export(tmp_path / "out", ["matte"])

    for index, matte in enumerate(read_all(tmp_path / "out" / "matte.mp4")[1]):
        grey, inside = matte.rgb[..., 1].astype(int), session[index].label_map > 0
        assert (grey[inside] > 110).all()
        assert (grey[~inside] < 145).all()
        assert np.abs(grey - 255 * inside).mean() < 8
