"""A codec for safetensors, the format for arrays in requests and answers: 8 bytes with the length of a JSON header, the header,
and the bytes of the tensors.

Reading is as strict as in the reference implementation: tensors must cover the data without gaps or overlaps, their sizes must
fit their shapes, and names must be unique.
"""

from __future__ import annotations

import json
import math
import struct
from typing import Any, Dict, List, Mapping, Tuple

import numpy as np

Tensors = Dict[str, "np.ndarray[Any, Any]"]

MAX_HEADER = 100_000_000
MAX_RANK = 32  # what the oldest supported numpy can hold
_NAMES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "|i1",
    "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "|u1", "BOOL": "|b1",
}  # fmt: skip
_CODES = {np.dtype(code).newbyteorder("="): name for name, code in _NAMES.items()}
# numpy has no bfloat16. Its 16 bits are read as an integer, which becomes the upper half of an f32.
_READ = {**_NAMES, "BF16": "<u2"}


class SafetensorsError(ValueError):
    """Bytes that are not a safetensors file, or an array that the format does not support."""


def encode(tensors: Mapping[str, "np.ndarray[Any, Any]"], metadata: Mapping[str, str] = {}) -> bytes:
    """Encodes tensors as a file. The header is padded so that their bytes begin at a multiple of 8."""
    header: Dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    pieces: List[bytes] = []
    end = 0
    # The widest types come first, as in the reference, so that every tensor begins at a multiple of its item size.
    for name, array in sorted(tensors.items(), key=lambda item: (-item[1].dtype.itemsize, item[0])):
        dtype = _CODES.get(array.dtype.newbyteorder("="))
        if dtype is None or name == "__metadata__":
            raise SafetensorsError(f"the tensor {name!r} of {array.dtype} cannot be written")
        pieces.append(array.astype(_NAMES[dtype], order="C", copy=False).tobytes())
        header[name] = {"dtype": dtype, "shape": list(array.shape), "data_offsets": [end, end + len(pieces[-1])]}
        end += len(pieces[-1])
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
    text += b" " * (-len(text) % 8)
    return b"".join([struct.pack("<Q", len(text)), text, *pieces])


def decode(data: bytes) -> Tuple[Tensors, Dict[str, str]]:
    """Returns the tensors, as writable copies in this machine's byte order (BF16 as float32), and the metadata."""
    if len(data) < 8:
        raise SafetensorsError("shorter than the length of its header")
    (size,) = struct.unpack_from("<Q", data)
    if size > min(MAX_HEADER, len(data) - 8):
        raise SafetensorsError(f"the header's length {size} is over the limit or the end of the file")
    start = 8 + size
    header = _header(data[8:start])
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise SafetensorsError("__metadata__ is not an object of strings")
    tensors: Tensors = {}
    end = 0
    for name, entry in sorted(((name, _entry(name, value)) for name, value in header.items()), key=lambda e: e[1][2:]):
        dtype, shape, begin, stop = entry
        if begin != end:
            raise SafetensorsError(f"the tensor {name!r} begins at {begin}, where {end} is due")
        if stop > len(data) - start:
            raise SafetensorsError(f"the tensor {name!r} ends behind the end of the file")
        array = np.frombuffer(data, _READ[dtype], count=math.prod(shape), offset=start + begin)
        if dtype == "BF16":
            array = (array.astype(np.uint32) << 16).view(np.float32)
        # numpy's bool must be 0 or 1, too.
        if dtype == "BOOL" and (array.view(np.uint8) > 1).any():
            raise SafetensorsError(f"the tensor {name!r} holds a BOOL that is neither 0 nor 1")
        tensors[name] = array.reshape(shape).astype(array.dtype.newbyteorder("="))
        end = stop
    if end != len(data) - start:
        raise SafetensorsError(f"{len(data) - start - end} bytes follow the last tensor")
    return tensors, metadata


def _header(text: bytes) -> Dict[str, Any]:
    def unique(pairs: List[Tuple[str, Any]]) -> Dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise SafetensorsError("a name stands twice in the header")
        return found

    if not text.startswith(b"{"):
        raise SafetensorsError("the header does not begin with {")
    try:
        header = json.loads(text.decode("utf-8"), object_pairs_hook=unique)
    except SafetensorsError:
        raise
    except (ValueError, RecursionError) as error:
        raise SafetensorsError(f"the header is not JSON: {error}") from None
    assert isinstance(header, dict)
    return header


def _entry(name: str, value: Any) -> Tuple[str, Tuple[int, ...], int, int]:
    """Checks the header's entry for a tensor, and returns (dtype, shape, begin, stop)."""

    def sizes(found: Any) -> bool:
        # isinstance would accept a bool, which is an int in Python.
        return isinstance(found, list) and all(type(size) is int and 0 <= size < 2**63 for size in found)

    if not isinstance(value, dict) or value.keys() != {"dtype", "shape", "data_offsets"}:
        raise SafetensorsError(f"the tensor {name!r} is not described by dtype, shape and data_offsets")
    dtype, shape, offsets = value["dtype"], value["shape"], value["data_offsets"]
    if not isinstance(dtype, str) or dtype not in _READ:
        raise SafetensorsError(f"the tensor {name!r} has the unknown dtype {dtype!r}")
    if not sizes(shape) or len(shape) > MAX_RANK or not sizes(offsets) or len(offsets) != 2:
        raise SafetensorsError(f"the tensor {name!r} has a shape or data_offsets that are not sizes")
    if math.prod(shape) * np.dtype(_READ[dtype]).itemsize != offsets[1] - offsets[0]:
        raise SafetensorsError(f"the tensor {name!r} of {dtype} {shape} does not fit its data_offsets {offsets}")
    return dtype, tuple(shape), offsets[0], offsets[1]
