"""Writes numpy f32 arrays as safetensors, for the requests and files of the benchmarks."""

import json
import struct


def head(tensors: dict, metadata: dict | None = None) -> bytes:
    """The length and the header, which the arrays' bytes follow in the same order."""
    header = {} if metadata is None else {"__metadata__": metadata}
    offset = 0
    for name, array in tensors.items():
        header[name] = {"dtype": "F32", "shape": list(array.shape), "data_offsets": [offset, offset + array.nbytes]}
        offset += array.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text


def pack(metadata: dict, tensors: dict) -> bytes:
    return head(tensors, metadata) + b"".join(array.tobytes() for array in tensors.values())
