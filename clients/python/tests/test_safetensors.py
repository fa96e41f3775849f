"""The codec reads back what it writes, and refuses malformed files."""

import json
import random
import struct

import numpy as np
import pytest
from nearfar.safetensors import SafetensorsError, decode, encode


def file(header, data=b"", size=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if size is None else size) + text + data


def tensor(dtype="F32", shape=(1,), begin=0, stop=4):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, stop]}


@pytest.mark.parametrize("code", "f8 f4 f2 i8 i4 i2 i1 u8 u4 u2 u1 ?".split())
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 3), (2, 0, 3), (2, 3, 4)], ids=str)
def test_round_trip(code, shape):
    array = np.random.default_rng(1).integers(0, 2, shape).astype(code)
    tensors, metadata = decode(encode({"a": array}, {"objective": "infonce"}))
    assert list(tensors) == ["a"] and metadata == {"objective": "infonce"}
    assert tensors["a"].dtype == array.dtype and tensors["a"].shape == shape
    assert np.array_equal(tensors["a"], array)
    assert tensors["a"].flags.writeable


def test_the_bytes():
    text = b'{"__metadata__":{"k":"v"},"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}'
    text += b" " * (-len(text) % 8)
    assert encode({"x": np.array([1, -2], "f4")}, {"k": "v"}) == file(text, bytes.fromhex("0000803f000000c0"))


def test_several_of_different_widths_are_aligned():
    arrays = {"b": np.ones(3, "u1"), "l": np.arange(3), "h": np.ones((1, 3), "f2"), "f": np.ones((2, 3), "f4")}
    data = encode(arrays)
    found, metadata = decode(data)
    assert metadata == {} and {name: array.tolist() for name, array in found.items()} == {
        name: array.tolist() for name, array in arrays.items()
    }
    size = struct.unpack_from("<Q", data)[0]
    assert size % 8 == 0
    for name, entry in json.loads(data[8 : 8 + size]).items():
        assert entry["data_offsets"][0] % arrays[name].dtype.itemsize == 0


def test_any_layout_and_byte_order_is_written_alike():
    array = np.arange(6, dtype="f4").reshape(2, 3)
    for same in (np.asfortranarray(array), array.astype(">f4"), np.repeat(array, 2, axis=1)[:, ::2]):
        assert encode({"a": same}) == encode({"a": array})


def test_bfloat16_is_read_as_float32():
    data = file({"a": tensor("BF16", (3,), 0, 6)}, struct.pack("<3H", 0x3F80, 0xC040, 0x0001))
    found = decode(data)[0]["a"]
    assert found.dtype == np.float32 and found.tolist() == [1.0, -3.0, 2.0**-133]


def test_an_empty_file():
    assert decode(file({})) == ({}, {})
    assert decode(file(b"{}      ")) == ({}, {})


@pytest.mark.parametrize("array", [np.array(["a"]), np.array([1j]), np.array([None])], ids=lambda array: array.dtype.str)
def test_what_cannot_be_written(array):
    with pytest.raises(SafetensorsError, match="'a'"):
        encode({"a": array})
    with pytest.raises(SafetensorsError):
        encode({"__metadata__": np.ones(1)})


HOSTILE = {
    "nothing": b"",
    "seven bytes": b"\0" * 7,
    "header behind the end": file({}, size=3),
    "header of 2**64 - 1": file({}, size=2**64 - 1),
    "header over the limit": file({}, size=100_000_001),
    "no header": file(b""),
    "a list": file([]),
    "space before the header": file(b" {}"),
    "no JSON": file(b"{x}"),
    "no UTF-8": file(b'{"\xff":1}'),
    "deep nesting": file(b'{"a":' + b"[" * 200_000),
    "a number of 5,000 digits": file(b'{"a":' + b"9" * 5000 + b"}"),
    "a name twice": file(
        b'{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}'
    ),
    "shape twice": file(b'{"a":{"dtype":"U8","shape":[0],"shape":[0],"data_offsets":[0,0]}}'),
    "metadata of numbers": file({"__metadata__": {"a": 1}}),
    "metadata that is a list": file({"__metadata__": []}),
    "an entry that is null": file({"a": None}),
    "an entry without shape": file({"a": {"dtype": "U8", "data_offsets": [0, 0]}}),
    "an entry with more": file({"a": {**tensor("U8", (0,), 0, 0), "x": 1}}),
    "unknown dtype": file({"a": tensor("F31")}, bytes(4)),
    "dtype of another type": file({"a": tensor(["F32"])}, bytes(4)),
    "negative shape": file({"a": tensor(shape=(-1, -1))}, bytes(4)),
    "shape of bools": file({"a": tensor(shape=(True,))}, bytes(4)),
    "shape of floats": file({"a": tensor(shape=(1.0,))}, bytes(4)),
    "shape whose product wraps": file({"a": tensor(shape=(2**62, 4, 1), stop=0)}),
    "a rank of 33": file({"a": tensor(shape=(1,) * 33)}, bytes(4)),
    "one offset": file({"a": {**tensor(), "data_offsets": [4]}}, bytes(4)),
    "offsets the wrong way round": file({"a": tensor(shape=(0,), begin=4, stop=0)}, bytes(4)),
    "fewer bytes than the shape": file({"a": tensor(stop=3)}, bytes(3)),
    "more bytes than the shape": file({"a": tensor(stop=8)}, bytes(8)),
    "the end missing": file({"a": tensor()}, bytes(3)),
    "bytes behind the last": file({"a": tensor()}, bytes(5)),
    "a gap in front": file({"a": tensor(begin=4, stop=8)}, bytes(8)),
    "a gap between": file({"a": tensor(), "b": tensor(begin=8, stop=12)}, bytes(12)),
    "an overlap": file({"a": tensor(), "b": tensor(begin=2, stop=6)}, bytes(6)),
    "the same bytes twice": file({"a": tensor(), "b": tensor()}, bytes(4)),
    "a BOOL of 2": file({"a": tensor("BOOL", (1,), 0, 1)}, b"\2"),
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile(data):
    with pytest.raises(SafetensorsError):
        decode(data)


def test_every_prefix_is_refused_and_any_flip_is_an_error_or_a_file():
    data = encode({"a": np.arange(6.0).reshape(2, 3), "b": np.ones(2, "?")}, {"k": "v"})
    for stop in range(len(data)):
        with pytest.raises(SafetensorsError):
            decode(data[:stop])
    generator = random.Random(1)
    for _ in range(5000):
        changed = bytearray(data)
        for _ in range(generator.randint(1, 3)):
            changed[generator.randrange(len(data))] = generator.randrange(256)
        try:
            decode(bytes(changed))
        except SafetensorsError:
            pass
