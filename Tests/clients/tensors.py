"""A small codec for safetensors. The tests use no library here, so that they cannot share a fault with one."""

import json
import struct

import numpy as np

TYPES = {"F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4"}


def pack(tensors: dict[str, np.ndarray], metadata: dict[str, str] | None = None, bf16: tuple[str, ...] = ()) -> bytes:
    header: dict = {"__metadata__": metadata} if metadata else {}
    data = b""
    for name, array in tensors.items():
        kind = next(kind for kind, dtype in TYPES.items() if np.dtype(dtype) == array.dtype)
        raw = array.tobytes()
        if name in bf16:
            kind, raw = "BF16", (array.astype("<f4").view("<u4") >> 16).astype("<u2").tobytes()
        header[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


def unpack(body: bytes) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    (length,) = struct.unpack_from("<Q", body)
    header = json.loads(body[8:8 + length])
    metadata = header.pop("__metadata__", {})
    data = body[8 + length:]
    tensors = {}
    for name, entry in header.items():
        start, stop = entry["data_offsets"]
        tensors[name] = np.frombuffer(data[start:stop], TYPES[entry["dtype"]]).reshape(entry["shape"])
    return tensors, metadata
