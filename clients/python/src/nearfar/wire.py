"""Request bodies."""

from __future__ import annotations

import json
from typing import Any, Mapping, Tuple

import numpy as np

from .safetensors import encode

JSON = "application/json"
SAFETENSORS = "application/x-safetensors"


# A field that is sent as null, where None is one that is not sent.
NULL = object()


def json_body(**fields: Any) -> bytes:
    """The fields that are not None as a JSON object. ValueError for NaN and infinities, which JSON does not have."""
    sent = {name: value for name, value in fields.items() if value is not None}
    return json_text({name: None if value is NULL else value for name, value in sent.items()}).encode()


def json_text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def is_text(value: Any) -> bool:
    """Whether rows are texts, in whatever nesting."""
    while isinstance(value, (list, tuple)) and value:
        value = value[0]
    return isinstance(value, (str, np.str_)) or (isinstance(value, np.ndarray) and value.dtype.kind == "U")


def numbers(value: Any) -> "np.ndarray[Any, Any]":
    """An array as the service takes it: f16 as it is, every other number as f32."""
    array = np.asarray(value)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"numbers are due, not {array.dtype}")
    return array if array.dtype == np.float16 else array.astype(np.float32, copy=False)


def indices(name: str, value: Any) -> "np.ndarray[Any, Any]":
    """An array of integers, such as labels."""
    array = np.asarray(value)
    if array.dtype.kind not in "iu":
        raise TypeError(f"{name} are integers, not {array.dtype}")
    return array.astype(np.int64, copy=False)


def loss_body(rows: Mapping[str, Any], integers: Mapping[str, Any], options: Mapping[str, Any]) -> Tuple[bytes, str]:
    """The body of a loss and its media type: safetensors, or JSON where there are texts, which only JSON holds."""
    rows = {name: value for name, value in rows.items() if value is not None}
    arrays = {name: indices(name, value) for name, value in integers.items() if value is not None}
    if any(map(is_text, rows.values())):
        lists = {name: plain(value) if is_text(value) else numbers(value).tolist() for name, value in rows.items()}
        return json_body(**lists, **{name: array.tolist() for name, array in arrays.items()}, **options), JSON
    arrays.update((name, numbers(value)) for name, value in rows.items())
    metadata = {name: json_text(value) for name, value in options.items() if value is not None}
    return encode(arrays, metadata), SAFETENSORS


def plain(value: Any) -> Any:
    """Texts as lists of str, whether they came in lists, tuples or an array."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    return [plain(entry) for entry in value] if isinstance(value, (list, tuple)) else str(value)
