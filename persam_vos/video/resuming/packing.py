"""Records of tensors become plain values, which a file holds without code, and plain values become records again.

What is read is hostile until it is checked: only records that the reader names are made, of the fields that they have.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import torch
from torch import Tensor

_SCALARS = (bool, int, float, str, type(None))


def pack(value: Any) -> Any:
    """Return records, tuples, slices, tensors and arrays as lists of names, numbers and tensors on the CPU.

    A tensor keeps its strides, because the last digits of what is computed with it may depend on them.

    Raises:
        TypeError: If there is anything else.
    """
    if isinstance(value, _SCALARS):
        return value
    if isinstance(value, Tensor):
        return value.detach().cpu().clone(memory_format=torch.preserve_format)
    if isinstance(value, np.ndarray):
        return ["array", torch.from_numpy(np.array(value))]
    if isinstance(value, Fraction):
        return ["fraction", value.numerator, value.denominator]
    if isinstance(value, slice):
        return ["slice", value.start, value.stop]
    if is_dataclass(value) or hasattr(value, "_fields"):
        return ["record", _name(type(value)), {name: pack(getattr(value, name)) for name in _fields(type(value))}]
    if isinstance(value, (tuple, list)):
        return ["tuple", *map(pack, value)]
    raise TypeError(f"{type(value).__name__} cannot be saved")


def unpack(packed: Any, records: Iterable[type], device: torch.device) -> Any:
    """Return what ``pack`` was given; lists come back as tuples.

    Args:
        packed: What was read.
        records: The classes of records that may be made.
        device: Where tensors go; arrays stay on the CPU.

    Raises:
        ValueError: If ``pack`` does not return such a thing, or it holds other records or fields.
    """
    known = {_name(record): record for record in records}

    def made(value: Any) -> Any:
        match value:
            case bool() | int() | float() | str() | None:
                return value
            case Tensor():
                return value.to(device)
            case ["array", Tensor() as array]:
                return array.numpy()
            case ["fraction", int(numerator), int(denominator)] if denominator:
                return Fraction(numerator, denominator)
            case ["slice", int(start), int(stop)]:
                return slice(start, stop)
            case ["tuple", *items]:
                return tuple(map(made, items))
            case ["record", str(name), dict(values)] if name in known and set(values) == set(_fields(known[name])):
                return known[name](**{field: made(each) for field, each in values.items()})
        raise ValueError("this is no record of a run")

    return made(packed)


def _name(record: type) -> str:
    return f"{record.__module__}.{record.__qualname__}"


def _fields(record: Any) -> tuple[str, ...]:
    """Return the names of the fields of a dataclass or a named tuple."""
    return tuple(field.name for field in fields(record)) if is_dataclass(record) else record._fields
