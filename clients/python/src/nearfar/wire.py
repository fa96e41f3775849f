"""Converts values to what the service accepts: JSON and arrays."""

from __future__ import annotations

import json
from typing import Any, Dict, Literal, Mapping, Optional, Tuple
from urllib.parse import quote

import numpy as np

from .safetensors import encode

JSON = "application/json"
SAFETENSORS = "application/x-safetensors"

# How new the version is that a read is answered from: "strong" asks the replicas' database first.
Consistency = Literal["eventual", "strong"]

# Marks a field that is sent as null, since a field that is None is not sent.
NULL = object()


def json_body(**fields: Any) -> bytes:
    """Encodes the fields that are not None as a JSON object. Raises ValueError for NaN and infinity, which JSON does not have."""
    sent = {name: value for name, value in fields.items() if value is not None}
    return json_text({name: None if value is NULL else value for name, value in sent.items()}).encode()


def json_text(value: Any) -> str:
    """Encodes a value as JSON text. It may contain scalars, arrays and tensors at any depth."""
    try:
        return _dumps(value)
    except TypeError:
        return _dumps(native(value))


def _dumps(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def native(value: Any) -> Any:
    """Converts values of numpy and PyTorch to Python's numbers, strings and lists, at any depth and in keys."""
    if isinstance(value, Mapping):
        return {native(name): native(entry) for name, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [native(entry) for entry in value]
    if isinstance(value, np.ndarray):
        return native(value.tolist())
    if isinstance(value, np.generic):
        return value.item()
    return native(host(value)) if is_tensor(value) else value


def is_tensor(value: Any) -> bool:
    """Whether a value is a PyTorch tensor. PyTorch need not be installed."""
    return not isinstance(value, np.ndarray) and all(hasattr(value, name) for name in ("detach", "cpu", "numpy"))


def host(value: Any) -> Any:
    """Converts a PyTorch tensor on any device to an array. Returns any other value unchanged."""
    if not is_tensor(value):
        return value
    tensor = value.detach().cpu()
    try:
        return tensor.numpy()
    except TypeError:
        # The tensor is of bfloat16, which numpy does not have.
        return tensor.float().numpy()


def is_text(value: Any) -> bool:
    """Whether the values in possibly nested lists are texts."""
    while isinstance(value, (list, tuple)) and value:
        value = value[0]
    return isinstance(value, (str, np.str_)) or (isinstance(value, np.ndarray) and value.dtype.kind == "U")


def numbers(value: Any) -> "np.ndarray[Any, Any]":
    """Converts to an array of f16 if the value has that type, and of f32 otherwise. Raises TypeError for other than numbers."""
    value = host(value)
    if isinstance(value, (list, tuple)) and any(map(is_tensor, value)):
        value = [host(entry) for entry in value]
    array = np.asarray(value)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"numbers are expected, not {array.dtype}")
    return array if array.dtype == np.float16 else array.astype(np.float32, copy=False)


def matrix(name: str, value: Any) -> "np.ndarray[Any, Any]":
    """Converts numbers to rows [n, dim]. Raises ValueError for another shape."""
    array = numbers(value)
    # An empty list has only one axis, but is accepted as no rows.
    if array.shape == (0,):
        array = array.reshape(0, 0)
    if array.ndim != 2:
        raise ValueError(f"{name} have the shape {array.shape}, where [n, dim] is expected")
    return array


def number(value: Any) -> Any:
    """Converts a scalar, array or tensor of one value to a Python number. Returns anything else unchanged."""
    value = host(value)
    if isinstance(value, (np.ndarray, np.generic)) and value.size == 1:
        return value.item()
    return value


def indices(name: str, value: Any) -> "np.ndarray[Any, Any]":
    """Converts to an array of integers, such as labels. Raises TypeError for other types."""
    array = np.asarray(host(value))
    if array.dtype.kind not in "iu":
        raise TypeError(f"{name} are integers, not {array.dtype}")
    return array.astype(np.int64, copy=False)


def loss_body(
    rows: Mapping[str, Any], integers: Mapping[str, Any], options: Mapping[str, Any]
) -> Tuple[bytes, str]:
    """Returns the body of a loss and its media type: safetensors, or JSON when there are texts, which need JSON."""
    rows = {name: value for name, value in rows.items() if value is not None}
    arrays = {name: indices(name, value) for name, value in integers.items() if value is not None}
    if any(map(is_text, rows.values())):
        lists = {name: plain(value) if is_text(value) else numbers(value).tolist() for name, value in rows.items()}
        return json_body(**lists, **{name: array.tolist() for name, array in arrays.items()}, **options), JSON
    arrays.update((name, numbers(value)) for name, value in rows.items())
    return encode(arrays, option_texts(options)), SAFETENSORS


def query(**parameters: Any) -> Optional[Dict[str, Any]]:
    """Returns the parameters of a query that are not None; None when there are none."""
    return {name: value for name, value in parameters.items() if value is not None} or None


def option_texts(options: Mapping[str, Any]) -> Mapping[str, str]:
    """Encodes the options that are not None as JSON text, for the metadata of a safetensors body."""
    return {name: json_text(value) for name, value in options.items() if value is not None}


def plain(value: Any) -> Any:
    """Converts texts in lists, tuples or an array to lists of str."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    return [plain(entry) for entry in value] if isinstance(value, (list, tuple)) else str(value)


def segment(name: str) -> str:
    """Encodes a name as one segment of a path."""
    # A segment of dots only would be resolved as a relative path before the request is sent.
    return quote(name, safe="") if name.strip(".") else name.replace(".", "%2E")
