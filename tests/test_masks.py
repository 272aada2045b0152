"""Masks as people have them in memory: any integer or bool dtype, and those that must be refused."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from persam_vos.errors import EmptyMaskError, MaskError, MaskSizeError
from persam_vos.masks import as_label_map

INTEGERS = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64")


def numbers(dtype: np.dtype) -> st.SearchStrategy[npt.NDArray]:
    return hnp.arrays(dtype, (3, 5), elements=st.integers(0, min(np.iinfo(dtype).max, 255)))


@given(st.sampled_from(INTEGERS).map(np.dtype).flatmap(numbers))
def test_every_integer_dtype_gives_the_same_label_map(values: npt.NDArray) -> None:
    ids = set(np.unique(values).tolist()) - {0}
    if not ids:
        with pytest.raises(EmptyMaskError, match="mask is empty"):
            as_label_map(values, 3, 5)
        return
    found = as_label_map(values, 3, 5)

    assert found.dtype == np.uint8
    assert found.flags.owndata
    expected = values != 0 if ids == {255} else np.where(values == 255, 0, values)
    assert np.array_equal(found, expected)


@given(hnp.arrays(bool, (3, 5)).filter(np.any))
def test_a_bool_mask_is_object_1(mask: npt.NDArray) -> None:
    for form in (mask, np.asfortranarray(mask), mask.tolist(), mask * np.uint8(255)):
        assert np.array_equal(as_label_map(form, 3, 5), mask.astype(np.uint8))


@given(st.sampled_from(["int16", "int32", "int64", "uint16", "uint64"]), st.data())
def test_ids_out_of_range_are_refused(dtype: str, data: st.DataObject) -> None:
    limits = np.iinfo(dtype)
    wrong = data.draw(st.integers(limits.min, limits.max).filter(lambda value: not 0 <= value <= 255))
    values = np.array([[0, 1], [2, wrong]], dtype)

    with pytest.raises(MaskError, match=rf"mask holds {wrong}; allowed: 0 background, 1\.\.254 objects, 255 void"):
        as_label_map(values, 2, 2)


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "U1", "object", "datetime64[s]"])
def test_other_dtypes_are_refused_by_name(dtype: str) -> None:
    with pytest.raises(MaskError, match=r"mask is .+; allowed: bool, or integers with n for object n"):
        as_label_map(np.zeros((2, 2)).astype(dtype), 2, 2)


@pytest.mark.parametrize("shape", [(), (6,), (2, 3, 3), (1, 2, 3), (3, 2), (0, 0)])
def test_other_shapes_are_refused_by_name(shape: tuple[int, ...]) -> None:
    with pytest.raises(MaskSizeError, match=r"mask is .*, video is 2 x 3 \(height x width\)"):
        as_label_map(np.ones(shape, np.uint8), 2, 3, of="video")


def test_what_is_no_array_is_refused() -> None:
    with pytest.raises(MaskError, match="mask is of type list, and no array"):
        as_label_map([[1, 2], [3]], 2, 2)
    with pytest.raises(MaskError, match="mask is object"):
        as_label_map(None, 2, 2)  # type: ignore[arg-type]
