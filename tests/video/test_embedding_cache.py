from __future__ import annotations

import errno
import os
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import torch
from fakes import FakeEngine

from persam_vos.sam import Geometry, ImageEmbedding
from persam_vos.settings.video import Settings
from persam_vos.video.propagation import embedding_cache
from persam_vos.video.propagation.embedding_cache import EmbeddingCache, cache_identity, encoder_facts

ONE, OTHER, THIRD = (digit * 64 for digit in "abc")


def embedding(seed: int, *, height: int = 36, width: int = 64) -> ImageEmbedding:
    """Return a small embedding with a margin below the picture, as the encoder makes it, channels last in memory."""
    generator = torch.Generator().manual_seed(seed)
    geometry = Geometry(height, width)
    rows, columns = geometry.valid(64)
    features = torch.zeros(64, 64, 8)
    features[: rows + 2, :columns] = torch.randn(rows + 2, columns, 8, generator=generator)
    stages = tuple(torch.randn(rows, columns, c, generator=generator).permute(2, 0, 1) for c in (4, 6))
    return ImageEmbedding(features.permute(2, 0, 1), geometry, stages)


def assert_identical(left: ImageEmbedding, right: ImageEmbedding) -> None:
    assert left.geometry == right.geometry
    for a, b in zip((left.features, *left.stages), (right.features, *right.stages), strict=True):
        assert torch.equal(a, b)
        assert (a.dtype, a.stride()) == (b.dtype, b.stride())


def bytes_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_what_comes_back_is_what_was_returned_and_nearly_what_was_given(tmp_path):
    given = embedding(1)
    kept = EmbeddingCache(tmp_path / "cache", ONE).put(7, given)
    read = EmbeddingCache(tmp_path / "cache", ONE).get(7)
    assert read is not None
    assert_identical(read, kept)
    assert read.features.stride() == given.features.stride()
    assert {field.name for field in fields(ImageEmbedding)} == {"features", "geometry", "stages"}
    for a, b in zip((read.features, *read.stages), (given.features, *given.stages), strict=True):
        assert a.dtype == torch.float32
        assert torch.equal(a == 0, b == 0)
        assert torch.allclose(a, b, rtol=2**-11, atol=1e-7)


def test_what_is_too_large_for_half_precision_stays_finite(tmp_path):
    given = embedding(1)
    given.features[0, 0, 0] = 1e6
    assert EmbeddingCache(tmp_path, ONE).put(0, given).features[0, 0, 0] == 65504


def test_what_is_not_finite_is_not_kept(tmp_path):
    given, cache = embedding(1), EmbeddingCache(tmp_path, ONE)
    given.features[0, 0, 0] = float("nan")
    assert cache.put(0, given) is given
    assert 0 not in cache


def test_an_embedding_of_nothing_but_zeros(tmp_path):
    given, cache = ImageEmbedding(torch.zeros(8, 64, 64), Geometry(36, 64)), EmbeddingCache(tmp_path, ONE)
    assert_identical(cache.put(0, given), cache.get(0))
    assert not cache.get(0).features.any()


def test_the_first_embedding_of_a_frame_stays(tmp_path):
    cache = EmbeddingCache(tmp_path, ONE)
    first = cache.put(0, embedding(1))
    assert_identical(cache.put(0, embedding(2)), first)


def test_another_identity_shares_nothing(tmp_path):
    EmbeddingCache(tmp_path, ONE).put(0, embedding(1))
    other = EmbeddingCache(tmp_path, OTHER)
    assert 0 not in other
    assert other.get(0) is None
    assert other.size_bytes == bytes_of(tmp_path) > 0


def test_a_full_cache_keeps_what_it_has_and_says_so_once(tmp_path):
    cache = EmbeddingCache(tmp_path, ONE, max_bytes=400_000)
    kept = [cache.put(index, embedding(index)) for index in range(6)]
    held = [index for index in range(6) if index in cache]
    assert held == list(range(len(held)))
    assert 0 < len(held) < 6
    assert cache.size_bytes == bytes_of(tmp_path) <= cache.limit_bytes
    assert len(cache.warnings) == 1
    assert "is full: 0.0 of at most 0.0 GB" in cache.warnings[0]
    assert_identical(kept[5], EmbeddingCache(tmp_path / "more", ONE).put(5, embedding(5)))


def test_the_caches_that_were_not_used_for_longest_make_room(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_bytes(b"x" * 10**6)
    for age, identity in enumerate((THIRD, ONE)):
        EmbeddingCache(tmp_path, identity).put(0, embedding(1))
        os.utime(tmp_path / identity, (1000 + age, 1000 + age))
    size = EmbeddingCache(tmp_path, ONE).size_bytes // 2
    os.utime(tmp_path / ONE, (1001, 1001))
    cache = EmbeddingCache(tmp_path, OTHER, max_bytes=int(2.5 * size))
    cache.put(0, embedding(1))
    assert sorted(path.name for path in tmp_path.iterdir()) == [ONE, OTHER, "photos"]
    cache.put(1, embedding(1))
    cache.put(2, embedding(1))
    assert sorted(path.name for path in tmp_path.iterdir()) == [OTHER, "photos"]
    assert [index in cache for index in range(3)] == [True, True, False]


@pytest.mark.parametrize("spoil", ["cut", "flip", "empty", "text"])
def test_a_damaged_file_is_a_miss_and_removed(tmp_path, spoil):
    cache = EmbeddingCache(tmp_path, ONE)
    cache.put(0, embedding(1))
    path = tmp_path / ONE / "000000.npz"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes({"cut": data[:3000], "flip": data, "empty": b"", "text": b"no archive"}[spoil])
    cache = EmbeddingCache(tmp_path, ONE)
    assert cache.get(0) is None
    assert not path.exists()
    assert cache.size_bytes == 0
    cache.put(0, embedding(1))
    assert cache.get(0) is not None


@pytest.mark.parametrize(
    "change",
    [{"features": np.zeros((3, 3), np.float16)}, {"stage0": np.full((36, 64, 4), np.inf, np.float16)}, {"sizes": [1]}],
)
def test_a_file_of_another_shape_is_a_miss(tmp_path, change):
    cache = EmbeddingCache(tmp_path, ONE)
    cache.put(0, embedding(1))
    path = tmp_path / ONE / "000000.npz"
    with np.load(path) as stored:
        values = {**stored, **change}
    np.savez(path, **values)
    assert cache.get(0) is None
    assert not path.exists()


def test_code_in_a_file_is_not_run(tmp_path):
    cache = EmbeddingCache(tmp_path, ONE)
    cache.put(0, embedding(1))
    np.savez(tmp_path / ONE / "000000.npz", sizes=np.array([print], object))
    assert cache.get(0) is None


def test_a_full_disk_is_no_error(tmp_path, monkeypatch):
    def fail(*_given, **_named):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    cache = EmbeddingCache(tmp_path, ONE)
    cache.put(0, embedding(1))
    with monkeypatch.context() as patch:
        patch.setattr(embedding_cache.np, "savez", fail)
        kept = cache.put(1, embedding(2))
    (warning,) = cache.warnings
    assert "the cache of embeddings takes no more: " in warning
    assert "000001.npz: cannot be written (No space left on device); other frames are encoded" in warning
    assert [path.name for path in (tmp_path / ONE).iterdir()] == ["000000.npz"]
    cache.put(2, embedding(3))
    assert 2 not in cache
    assert_identical(kept, EmbeddingCache(tmp_path / "more", ONE).put(1, embedding(2)))


def test_a_limit_of_0_keeps_nothing_and_makes_no_folder(tmp_path):
    cache = EmbeddingCache(tmp_path / "cache", ONE, max_bytes=0)
    cache.put(0, embedding(1))
    assert not (tmp_path / "cache").exists()


def test_the_identity_follows_the_files_and_the_facts(tmp_path):
    paths = [tmp_path / name for name in ("a.png", "b.png")]
    for path in paths:
        path.write_bytes(b"one")
    known = cache_identity(paths, "weights", 64)
    assert cache_identity(paths, "weights", 64) == known
    assert len(known) == 64
    others = [cache_identity(paths[:1], "weights", 64), cache_identity(paths, "weights", 65)]
    paths[1].write_bytes(b"more")
    others.append(cache_identity(paths, "weights", 64))
    os.utime(paths[0], (5, 5))
    others.append(cache_identity(paths, "weights", 64))
    assert len({known, *others}) == 5


def test_videos_without_files_are_never_the_same():
    assert cache_identity([], "weights") != cache_identity([], "weights")


def test_methods_that_encode_the_padding_have_embeddings_of_their_own():
    memory, persam = (encoder_facts(FakeEngine(settings=Settings(method=name))) for name in ("memory", "persam"))
    assert memory != persam
