#!/usr/bin/env python3
"""Writes the inputs that fuzzing starts from, Fuzz/corpus/TARGET/*, and the dictionaries, Fuzz/TARGET.dict.

Both are checked in, so this script runs only when a target or a format has changed. It gives the same bytes every time.
The form of each target's input is described in Fuzz/Sources.

  seeds.py          write the files
  seeds.py --check  exit 1 when the files are not what this script would write
"""

import base64
import gzip
import itertools
import json
import pathlib
import struct
import sys
import zlib

HERE = pathlib.Path(__file__).resolve().parent
DIVIDER = b"\xff\xfe"


def parts(*values):
    """An input of several parts."""
    return DIVIDER.join(value.encode() if isinstance(value, str) else value for value in values)


def connection():
    host = "Host: h\r\n"
    chunked = "Transfer-Encoding: chunked\r\n"
    get = f"GET /out HTTP/1.1\r\n{host}\r\n"
    raw = [
        get,
        get + get,
        f"GET /a?b=c&d=%20+e HTTP/1.1\r\n{host}Accept: */*\r\n\r\n",
        f"HEAD / HTTP/1.1\r\n{host}\r\n" + get,
        f"OPTIONS * HTTP/1.1\r\n{host}\r\n",
        f"GET http://other:81/x?y HTTP/1.1\r\n{host}\r\n",
        f"GET /caf\u00e9 HTTP/1.1\r\n{host}\r\n",
        "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" + get,
        "GET / HTTP/1.0\r\n\r\n",
        "GET / HTTP/1.9\r\nHost: [::ffff:1.2.3.4]:80\r\n\r\n",
        f"POST /in HTTP/1.1\r\n{host}Content-Length: 5\r\n\r\nhello" + get,
        f"POST /in HTTP/1.1\r\n{host}Content-Length: 0\r\n\r\n" + get,
        f"POST /in HTTP/1.1\r\n{host}Content-Length: 301\r\n\r\n",
        f"PUT /in HTTP/1.1\r\n{host}{chunked}\r\n3;a=b;c=\"d\\\"\"\r\nabc\r\n0\r\nT: u\r\n\r\n" + get,
        f"POST /in HTTP/1.1\r\n{host}{chunked}\r\n0\r\n\r\n" + get,
        f"POST /in HTTP/1.1\r\n{host}{chunked}Content-Length: 3\r\n\r\nabc",
        f"POST /in HTTP/1.1\r\n{host}Transfer-Encoding: gzip, chunked\r\n\r\n",
        f"POST /in HTTP/1.1\r\n{host}Expect: 100-continue\r\nContent-Length: 2\r\n\r\nab",
        f"PUT /no HTTP/1.1\r\n{host}Content-Length: 18\r\n\r\nGET / HTTP/1.1\r\n\r\n" + get,
        f"PUT /no HTTP/1.1\r\n{host}Content-Length: 201\r\n\r\n",
        f"PATCH /in HTTP/1.1\r\n{host}Content-Length: 1\r\nConnection: close\r\n\r\nx" + get,
        f"DELETE /a%2Fb HTTP/1.1\r\n{host}\r\n",
        f"QUERY /in HTTP/1.1\r\n{host}Content-Length: 1\r\n\r\nx",
        f"TRACE / HTTP/1.1\r\n{host}\r\n",
        "CONNECT o:443 HTTP/1.1\r\nHost: o:443\r\n\r\n",
        "GET /\r\n\r\n",
        "\r\n\r\n" + get,
        "GET / HTTP/1.1\nHost: h\n\n",
        f"GET / HTTP/1.1\r\n{host}A: b\r\n c\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "\x16\x03\x01\x00",
        get + "\x16\x03\x01\x00",
        f"GET /{'x' * 900} HTTP/1.1\r\n{host}\r\n",
        f"GET / HTTP/1.1\r\n{host}" + "A: b\r\n" * 8 + "\r\n",
    ]
    sizes = [b"\x00", b"\x06\x1f\x02", bytes(range(8))]
    # Bytes come; an answer comes; the client reads; time passes; the client ends; the server drains.
    events = [
        b"\x00\x00\x00\x02\x03\x00\x02\x03",
        b"\x00\x05\x00\x05",
        b"\x00\x00\x86\x02\x03\x05",
        b"\x00\xc7\x02\xff\x00\x00\x05",
        b"\x00\x24\x00\x24\x00\x24\x00\x02\x0b\x05\x05",
        b"\x00\x00\x00\x00\xf2\x03\xf3\x2c\xfb\x05",
    ]
    for text, size, event in zip(raw, itertools.cycle(sizes), itertools.cycle(events)):
        yield parts(text, size, event)


def chunks():
    bodies = [
        "0\r\n\r\n",
        "1\r\na\r\nA\r\n0123456789\r\n0\r\n\r\n",
        "0003;x=y;z=\"\\\"\t;\"\r\nabc\r\n000\r\nA: b\r\nC:\r\n\r\nGET /",
        "1 ; x = y ; z\r\na\r\n0\r\n\r\n",
        "fffffffffffffff\r\n",
        "10000000000000001\r\na\r\n",
        "1\na\n0\n\n",
        "3\r\nab\r\n0\r\n\r\n",
        "1001\r\n",
        "0\r\n" + "A: b\r\n" * 5 + "\r\n",
        "0\r\nA: " + "z" * 260 + "\r\n\r\n",
    ]
    for body, sizes in zip(bodies, itertools.cycle([b"\x00\x01", b"\x03", b"\x10\x00\x02"])):
        yield parts(body, sizes)
    yield parts(b"\x04abcdef", b"\x01")


def gzip_bodies():
    texts = [b"", b"a", b'{"inputs": "hello"}', bytes(range(256)), b"0" * 100_000, b"0.1, -0.25, " * 300]
    coded = [gzip.compress(text, level, mtime=0) for text, level in zip(texts, itertools.cycle([1, 6, 9]))]
    yield from coded
    yield coded[1] + coded[2]
    yield coded[2][:-4]
    yield coded[2] + b"x"
    yield zlib.compress(texts[2])
    # All optional fields of the header (RFC 1952, 2.3.1), the checksum of the header among them.
    head = b"\x1f\x8b\x08\x1e" + bytes(4) + b"\x00\xff" + b"\x02\x00ab" + b"name\x00" + b"comment\x00"
    raw = zlib.compressobj(6, zlib.DEFLATED, -15)
    yield (
        head
        + struct.pack("<H", zlib.crc32(head) & 0xFFFF)
        + raw.compress(texts[2])
        + raw.flush()
        + struct.pack("<II", zlib.crc32(texts[2]), len(texts[2]))
    )


def header(tensors, metadata=None):
    """A safetensors header and data, as an input that begins with `{`. tensors: name, dtype, shape, bytes."""
    entries = {"__metadata__": metadata} if metadata else {}
    at = 0
    for name, dtype, shape, data in tensors:
        entries[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + len(data)]}
        at += len(data)
    return json.dumps(entries).encode(), b"".join(data for *_, data in tensors)


def floats(*values):
    return struct.pack(f"<{len(values)}f", *values)


def safetensors():
    tables = [
        header([]),
        header([("a", "F32", [2, 2], floats(1, 2, 3, 4))]),
        header([("a", "F16", [2], b"\x00\x3c\x00\xfc"), ("b", "BF16", [1], b"\x80\x3f")], {"format": "pt"}),
        header([("i", "I64", [1], bytes(8)), ("u", "U8", [3], b"abc"), ("t", "BOOL", [], b"\x01")]),
        header([("empty", "F64", [0, 5], b"")], {"k": "v\u00e9\"\\\n"}),
    ]
    for text, data in tables:
        yield parts(text, data)
        yield struct.pack("<Q", len(text)) + text + data
    yield parts('{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[2,6]}}', bytes(6))
    yield parts('{"a":{"dtype":"F64","shape":[2305843009213693952],"data_offsets":[0,0]}}', b"")
    yield b"\x93NUMPY\x01\x00v\x00"
    yield b"PK\x03\x04aaaaaaaa"
    yield b"GGUF\x03\x00\x00\x00"


def service():
    def request(line, body="", data=None):
        body = body if isinstance(body, (str, bytes)) else json.dumps(body)
        body = body.encode() if isinstance(body, str) else body
        return line.encode() + b"\n" + body + (DIVIDER + data if data is not None else b"")

    def tensors(line, items, metadata=None):
        text, data = header(items, metadata)
        return request(line, text, data)

    vectors = [[1, 0, 0.5], [0, 1, -1], [1, 1, 0.25]]
    packed = floats(*itertools.chain(*vectors))
    make = request("PUT /collections/c", {"dim": 3, "metric": "euclidean", "recall_target": 0.9})
    points = [
        {"id": "a", "vector": vectors[0], "metadata": {"lang": "en", "year": 1999, "tags": ["x", None]}},
        {"id": "b", "vector": vectors[1], "metadata": {"lang": "de", "nested": {"deep": 1.5}}},
        {"id": "c", "vector": vectors[2]},
    ]
    fill = request("PUT /collections/c/points", {"points": points})
    filtered = {"$or": [{"lang": "en"}, {"year": {"$gte": 2000, "$lt": 2010}}, {"$not": {"tags": {"$in": ["x"]}}}]}

    yield request("GET /")
    yield request("POST /", {"inputs": "hello world"})
    yield request("POST /", {"inputs": {"source_sentence": "a", "sentences": ["b", "hello"]}})
    yield request("POST /embed", {"inputs": ["hello", "the world!"], "normalize": False, "truncate": True})
    yield request("POST /embed a", {"inputs": "D\u00e9j\u00e0 vu", "dimensions": 4, "truncation_direction": "left"})
    yield request("POST /embed", {"inputs": "a b c d e f g h i j k l m n o p q r", "truncate": False})
    yield request("POST /similarity", {"inputs": {"source_sentence": "a cat", "sentences": ["a kitten", "market"]}})
    yield request("POST /tokenize", {"inputs": ["hello \u4e2d\u6587", ""], "add_special_tokens": False})
    yield request("POST /v1/embeddings", {"model": "m", "input": ["a", "b"], "encoding_format": "base64", "dimensions": 3})
    yield request("POST /v1/embeddings", {"model": "m", "input": [[2, 5, 6, 3], [2, 3]], "user": "u"})
    yield request("POST /embeddings", {"input": [2, 5, 3], "encoding_format": "float"})
    yield request("GET /v1/models") + DIVIDER + request("GET /v1/models/x") + DIVIDER + request("GET /info")

    for objective in ["infonce", "clip", "siglip", "supcon", "triplet", "moco", "cosent", "mse"]:
        yield request("POST /loss", {"objective": objective, "queries": vectors, "keys": vectors[::-1]})
    yield request(
        "POST /loss",
        {
            "objective": "infonce", "queries": vectors, "keys": vectors, "negatives": [vectors] * 3, "temperature": 0.1,
            "positives": [0, 1, 2], "return": ["loss", "per_row", "gradients", "diagnostics"], "normalize": False,
        },
    )
    yield request("POST /loss a", {"objective": "supcon", "queries": vectors, "labels": [0, 0, 1], "return": ["gradients"]})
    yield request("POST /loss", {"queries": ["a", "b"], "keys": ["c", "d"], "in_batch_negatives": False})
    yield tensors(
        "POST /loss s", [("queries", "F32", [3, 3], packed), ("keys", "F32", [3, 3], packed)],
        {"objective": "clip", "temperature": "0.5", "return": '["per_row","gradients"]'},
    )
    queue = request("PUT /queues/q", {"capacity": 4, "dim": 3})
    moco = request("POST /loss k", {"objective": "moco", "queries": vectors, "keys": vectors, "queue": "q"})
    once = request(
        "POST /loss", {"objective": "moco", "queries": vectors, "keys": vectors, "queue": {"name": "q", "update": False}}
    )
    yield parts(queue, moco, moco, once, request("GET /queues/q"), request("DELETE /queues/q"))

    yield parts(make, fill, request("GET /collections/c"), request("GET /collections"), request("DELETE /collections/c"))
    search = {"queries": vectors[:1], "collection": "c", "k": 2, "filter": filtered, "include": ["metadata", "vectors"]}
    yield parts(make, fill, request("POST /neighbors", search))
    yield request("POST /neighbors", {"queries": vectors, "keys": vectors, "k": 2})
    yield tensors(
        "POST /neighbors s", [("queries", "F32", [3, 3], packed), ("keys", "F32", [3, 3], packed)], {"k": "1"}
    )
    yield parts(
        make, fill, request("PATCH /collections/c/points", {"points": [{"id": "a", "metadata": {"lang": None, "n": {"m": 2}}}]}),
        request("PATCH /collections/c/points", {"mode": "replace", "points": [{"id": "b", "metadata": None}]}),
        request("GET /collections/c/points/a"),
    )
    yield parts(
        make, fill, request("POST /collections/c/points/list", {"filter": filtered, "limit": 2, "include": ["vectors"]}),
        request("POST /collections/c/points/count", {"filter": {}}),
        request("POST /collections/c/points/delete", {"filter": {"lang": {"$ne": "en"}}}),
        request("POST /collections/c/points/delete k", {"ids": ["a", "zz"]}),
    )
    yield parts(
        make, fill, request("GET /collections/c/points?limit=2&after=a&include=vectors"),
        request("GET /collections/c/export?part=2"), request("GET /collections/c/export"),
    )
    yield parts(
        make,
        tensors(
            "PUT /collections/c/points s", [("vectors", "F32", [3, 3], packed)],
            {"ids": '["a","b","c"]', "metadata": '[{"x":1},null,{"y":"z"}]', "texts": '["t",null,null]', "model": "m"},
        ),
        request("GET /collections/c/export"),
    )
    text = request("PUT /collections/default/points", {"points": [{"id": "t", "text": "hello"}]})
    yield parts(text, request("POST /neighbors", {"inputs": ["world"], "k": 1}), request("GET /collections/default/points/t"))
    yield parts(*[request(f"GET {path}") for path in ["/livez", "/readyz", "/metrics", "/openapi.yaml", "/playground", "/health"]])
    yield request("GET /playground/playground.js") + DIVIDER + request("OPTIONS /embed") + DIVIDER + request("BREW /pot")
    yield request("POST /embed", '{"inputs": "a", "inputs": "b"}')
    yield request("POST /embed", b'\xef\xbb\xbf{"inputs": 1e999}')
    yield request("POST /api/embed", {"model": "m", "input": ["a", "b"], "dimensions": 3, "truncate": False, "options": {}})
    yield parts(
        request("POST /api/embeddings", {"model": "m", "prompt": "a"}), request("POST /api/show", {"name": "m"}), request("GET /api/tags"),
        request("GET /api/ps"), request("GET /api/version"),
    )
    yield request("POST /v1/embed", {"texts": ["a", "b c"], "truncate": "START", "output_dimension": 3})
    yield request(
        "POST /v2/embed",
        {
            "inputs": [{"content": [{"type": "text", "text": "a"}]}], "input_type": "search_query", "max_tokens": 512,
            "embedding_types": ["float", "base64", "binary", "ubinary"],
        },
    )


def tokenizer():
    fixture = json.loads((HERE.parent / "Tests/TokenizationTests/Fixtures/cases.json").read_text(encoding="utf-8"))
    text = "The quick\u00e9 \u4e2d\u6587 embedding's [MASK] xx a b!"
    full = json.loads(fixture["variants"][-1]["tokenizer"])
    # A tenth of the vocabulary: a small file is changed where it matters.
    kept = dict(list(full["model"]["vocab"].items())[:30])
    full["model"]["vocab"] = kept
    full["added_tokens"] = [token for token in full["added_tokens"] if token["content"] in kept]
    full["added_tokens"].append({"id": len(kept), "content": "xx", "normalized": True, "single_word": True})
    yield parts(json.dumps(full, ensure_ascii=False), "", "", text)
    full["normalizer"].update({"strip_accents": True, "lowercase": False, "handle_chinese_chars": False, "clean_text": False})
    full["model"]["max_input_chars_per_word"] = 3
    yield parts(json.dumps(full), "", "", text)
    vocabulary = "[UNK]\n[CLS]\n[SEP]\nA\na\n##a\n\u00e9\n<x>\n##\n\u4e2d\n"
    settings = {"do_lower_case": False, "added_tokens_decoder": {"7": {"content": "<x>", "special": True, "lstrip": True}}}
    yield parts("", json.dumps(settings), vocabulary, "A aa \u00e9 <x> \u4e2d")
    yield parts("", '{"strip_accents": true, "unk_token": {"content": "[UNK]"}}', vocabulary, "A\u0301a <x>")
    for kind in ["t5", "roberta", "llama3", "clip", "gemma", "word-level", "looks", "pieces", "bytes-normalizer"]:
        yield parts(small_kind(kind), '{"truncation_side": "left"}', "", text)


def small_kind(name):
    """A tokenizer of a kind, with little of its vocabulary."""
    fixture = json.loads((HERE.parent / "Tests/TokenizationTests/Fixtures/kinds.json").read_text(encoding="utf-8"))
    file = json.loads(next(kind["tokenizer"] for kind in fixture["kinds"] if kind["name"] == name))
    model = file["model"]
    # Every second lead byte is replaced: a double array of one level.
    units = [1 << 10] + [0] * 255
    units[1 ^ 0xC3] = (1 ^ 0xC3 ^ 128) << 10 | 1 << 8 | 0xC3
    units[128] = 1 << 31
    charsmap = base64.b64encode(struct.pack(f"<I{len(units)}I", 4 * len(units), *units) + b"e\0").decode()
    if isinstance(model["vocab"], list):
        model["vocab"] = model["vocab"][:60]
    else:
        kept = [token for token in model["vocab"] if len(token) == 1][:40] + [token for token in model["vocab"] if len(token) > 1][:20]
        kept += [token["content"] for token in file["added_tokens"]] + [model.get("unk_token") or "a"]
        model["vocab"] = {token: index for index, token in enumerate(dict.fromkeys(kept))}
    merges = [pair if isinstance(pair, list) else pair.split(" ") for pair in model.get("merges", [])]
    if merges:
        known = model["vocab"]
        model["merges"] = [pair for pair in merges if pair[0] in known and pair[1] in known and "".join(pair) in known]
    for token in file["added_tokens"]:
        if isinstance(model["vocab"], dict):
            token["id"] = model["vocab"][token["content"]]
    for section in walk(file):
        if section.get("type") == "Precompiled":
            section["precompiled_charsmap"] = charsmap
    file["added_tokens"] = [token for token in file["added_tokens"] if token["id"] < 60 or isinstance(model["vocab"], dict)]
    return json.dumps(file, ensure_ascii=False)


def walk(value):
    """All objects in a JSON value."""
    if isinstance(value, dict):
        yield value
    for child in value.values() if isinstance(value, dict) else value if isinstance(value, list) else []:
        yield from walk(child)


def texts():
    known = [
        "The quick\u00e9 \u4e2d\u6587 embedding's [MASK] xx a b!", "hello world, the end.", "ABC\u00c9\u0130\u1e9e\ufb01", "e\u0301\u0302 \u00a0\u3000\u200b\u200d", "\u4e2d\u6587abc\u65e5",
        "\x00\ufffd\ufeff\x7f\t\n", "a" * 120, "[CLS][SEP] [MASK] [PAD]", "\U0001f600\U0001f468\u200d\U0001f469 \ud55c\uae00",
        "\u0391\u03a3 \u03c2 \u01c4 \u1fb3",
    ]
    yield from (text.encode() for text in known)
    yield b"\xc3\x28 \xe2\x82 \xf0\x9f \xed\xa0\x80"


def filters():
    metadata = ['{"lang":"en","year":1999,"a":{"b":[1,{"c":null}]}}', '{"lang":["de","fr"],"a.b":1.5,"x":true}', "", "[]",
                '{"year":18446744073709551615,"n":-9223372036854775808,"e":{},"f":[]}']
    examples = [
        {}, {"lang": "en"}, {"lang": {"$in": ["en", 1, None, True]}}, {"year": {"$gte": 1999, "$lt": 2000.5}},
        {"a.b": {"$exists": True}}, {"a.b.c": None}, {"$and": [{"lang": "de"}, {"x": {"$ne": False}}]},
        {"$or": [{"lang": {"$nin": ["en"]}}, {"$not": {"year": {"$gt": 0}}}]}, {"year": {"$not": {"$lte": 5, "$eq": 5}}},
        {"year": 18446744073709551615}, {"n": {"$lte": -9223372036854775808}}, {"lang": {"$gt": "d", "$lte": "en"}},
        {"$nor": []}, {"lang": {"$regex": "e"}}, {"lang": []}, {"$and": []},
    ]
    for example in examples:
        yield parts(json.dumps(example), *metadata)
    yield parts('{"$not":' * 18 + "{}" + "}" * 18, *metadata)


def graph():
    yield parts("", b"")
    yield parts("1:1:1:20;2:40:40", b"\x01\x00\x05\x64")
    yield parts("", b"\x01\x00\x00\x66\x01\x00\x01\x8c\x01\x00\x02\x00")
    yield parts("nan:inf:-1:1e999;0:0:0", b"\x00\x00\x00\x01")
    keys = struct.pack("<2q", 1, -1)
    lists = struct.pack("<6i", 1, 1, 0, 2, 0, 0)
    metadata = {"format": "4", "collection": "c", "dim": "4", "metric": "cosine", "version": "3", "recall": "0:0:0"}
    yield parts(*header([("keys", "I64", [2], keys), ("lists", "I32", [2, 3], lists)], metadata))
    yield parts(*header([("keys", "I64", [2], keys), ("lists", "I32", [2, 1], bytes(8))], metadata))
    yield parts(*header([("keys", "I64", [0], b""), ("lists", "I32", [0, 3], b"")], metadata))
    yield parts(*header([], {"format": "3"}))


def texts_of_json():
    return [
        value.encode() if isinstance(value, str) else value
        for value in [
            "{}", "[]", "null", '"a"', "-0.0", "1e308", "1e309", "18446744073709551615", "-9223372036854775808", "[1,2.5,-3e-7]",
            "[[1,2],[3,4]]", "[[1,2],[3]]", "[[[1]],[[2]]]", '["a","\\u00e9\\ud83d\\ude00\\n"]', '{"a":1,"a":2}', '{"a":{"b":[true,false,null]}}',
            '"\\ud800"', b'"\xc3\x28"', b"\xef\xbb\xbf[1]", "[" * 33 + "]" * 33, "[1,]", "01", "[1] x", '{"a" 1}', "[1e400]", "3.4028236e38",
            "123456789012345678901234567890", " \t\r\n[ 1 ] ",
        ]
    ]


def responses():
    raw = [
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabHTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x\r\nab\r\n0\r\nT: u\r\n\r\n",
        "HTTP/1.0 200 OK\r\n\r\nuntil the end",
        "HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775807\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7fffffffffffffff\r\n",
        "HTTP/1.1 200\nA:b\nContent-Length: 1\n\nx",
    ]
    for text, sizes in zip(raw, itertools.cycle([b"\x00\x05", b"\x11", b"\x02\x3f\x01"])):
        yield parts(text, sizes)


PROXY_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def proxy():
    def crc32c(data):
        value = 0xFFFFFFFF
        for byte in data:
            value ^= byte
            for _ in range(8):
                value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        return value ^ 0xFFFFFFFF

    def binary(command, family, block, length=None):
        return PROXY_SIGNATURE + bytes([command, family]) + struct.pack(">H", len(block) if length is None else length) + block

    four = bytes([192, 0, 2, 7, 10, 0, 0, 1]) + struct.pack(">HH", 56324, 443)
    six = bytes.fromhex("20010db8000000000000000000000001") * 2 + struct.pack(">HH", 1, 65535)
    plain = binary(0x21, 0x11, four + b"\x03\0\x04" + bytes(4))
    for line in [
        "PROXY TCP4 192.0.2.7 10.0.0.1 56324 443\r\nGET / HTTP/1.1\r\n", "PROXY TCP6 2001:db8::1 ::ffff:1.2.3.4 0 65535\r\n", "PROXY UNKNOWN\r\n",
        "PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", "PROXY TCP4 192.0.2.7 10.0.0.1 56324\r\n", "PROXY UNKNOWN " + "x" * 100, "GET / HTTP/1.1\r\n",
    ]:
        yield line.encode()
    yield binary(0x21, 0x11, four) + b"\x16\x03\x01"
    yield binary(0x21, 0x21, six + b"\x02\0\x01h\x04\0\0")
    yield binary(0x21, 0x31, bytes(216))
    yield binary(0x20, 0x00, b"")
    yield binary(0x21, 0x00, b"\x04\0\x02")
    yield binary(0x21, 0x11, four + b"\x03\0\x04" + struct.pack(">I", crc32c(plain)))
    yield binary(0x21, 0x12, b"", 2049)
    for text in ["10.0.0.0/8", "2001:db8::/32", "::ffff:1.2.3.4", "1:0:0:2:0:0:0:3", "::1/128", "0.0.0.0/0", "1:2:3:4:5:6:7::"]:
        yield text.encode()


def keys():
    for text in [
        "# keys\n\nlong-enough-0123456789\nshop:another-0123456789 read\nloader:third-0123456789\tread,write # both\r\n", "a:b", "a:b admin", "a: b", ":b", "none:b",
        "a:b\nc:b\n", "a:b rwx\n", "#\n", "a/b:c\n", "a:\x7f\n", "a:b:c read write admin", "k\n" * 3,
        "https://page.example,http://localhost:3000", "*", "http://[::1]:8080", "https://a:443", "null", "moz-extension://0a-b", "http://a:0",
    ]:
        yield text.encode()


def changes():
    def value(data):
        return struct.pack("<I", 0xFFFFFFFF) if data is None else struct.pack("<I", len(data)) + data

    def batch(upserts, deletes, dim):
        points = [value(id) + value(text) + value(metadata) + struct.pack(f"<{dim}f", *range(dim)) for id, text, metadata in upserts]
        return bytes([dim - 1, 1]) + struct.pack("<I", len(points)) + b"".join(points) + struct.pack("<I", len(deletes)) + b"".join(map(value, deletes))

    yield batch([], [], 1)
    yield batch([(b"a", None, None)], [], 2)
    yield batch([(b"a", b"text", b'{"n":1}'), (b"b", b"", None), (b"\0", None, b"{}")], [b"c", b"", b"\0"], 3)
    yield batch([], [b"%d" % number for number in range(40)], 8)
    yield batch([("\u732b".encode(), "\u00fc".encode(), None)], [b"\xe7\x8c"], 4)
    yield b"\x00\x02"
    yield b"\x00\x01" + b"\xff" * 8
    yield b"\x00\x01" + struct.pack("<IIII", 1, 0xFFFFFFFE, 0, 0)


def copies():
    def field(data):
        return struct.pack(">i", -1) if data is None else struct.pack(">i", len(data)) + data

    def row(*fields):
        return struct.pack(">h", len(fields)) + b"".join(map(field, fields))

    head = b"PGCOPY\n\xff\r\n\0" + bytes(8)
    vector, number = struct.pack("<2f", 1, 2), struct.pack(">q", 1)
    whole = row(b"a", vector, b"text", b"{}", number, number)
    yield parts(head + whole, whole, struct.pack(">h", -1))
    yield parts(head, row(b"a", vector, None, None, number, number))
    yield parts(head[:-4] + struct.pack(">i", 3) + b"ext" + whole)
    yield parts(head, row(b"", vector, None, None, number, number))
    yield parts(head, row(b"a", b"", None, None, number, number))
    yield parts(head, row(None, vector, None, None, None, None))
    yield parts(head, row(b"a", vector), whole[:-3])
    yield head[:12]
    yield parts(head[:-4] + struct.pack(">i", -5), whole)


TARGETS = {
    "connection": connection, "chunks": chunks, "gzip": gzip_bodies, "service": service, "safetensors": safetensors,
    "tokenizer": tokenizer, "text": texts, "filter": filters, "graph": graph, "json": texts_of_json, "response": responses,
    "proxy": proxy, "keys": keys, "change": changes, "copy": copies,
}

JSON_WORDS = ["{", "}", "[", "]", ":", ",", "null", "true", "false", "1e308", "-0.0", "18446744073709551615", "9007199254740993", "\\ud800", "\\u0000"]
HTTP_WORDS = [
    "\r\n", "\r\n\r\n", " HTTP/1.1\r\n", " HTTP/1.0\r\n", "Host: h\r\n", "Content-Length: ", "Transfer-Encoding: chunked\r\n", "Connection: close\r\n",
    "Connection: keep-alive\r\n", "Expect: 100-continue\r\n", "0\r\n\r\n", "GET /", "POST /in", "HEAD /", "PUT /no", "OPTIONS *", "http://o", "%2F", ": ", "\t",
]
FILTER_WORDS = ["$and", "$or", "$not", "$in", "$nin", "$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$exists", "lang", "year", "a.b"]
TENSOR_WORDS = [
    "__metadata__", "dtype", "shape", "data_offsets", "F64", "F32", "F16", "BF16", "I64", "I32", "I16", "I8", "U64", "U32", "U16", "U8", "BOOL", "[0,0]",
]
SERVICE_WORDS = [
    "GET ", "POST ", "PUT ", "PATCH ", "DELETE ", " s\n", " a\n", " k\n", "/embed", "/similarity", "/tokenize", "/v1/embeddings", "/embeddings", "/v1/models",
    "/api/embed", "/api/embeddings", "/api/show", "/v1/embed", "/v2/embed", "\"prompt\"", "\"input_type\"", "\"search_query\"", "\"embedding_types\"",
    "\"ubinary\"", "\"output_dimension\"", "\"content\"",
    "/loss", "/queues", "/queues/q", "/neighbors", "/collections", "/collections/c", "/collections/c/points", "/points/list", "/points/count", "/points/delete",
    "/export", "/collections/default/points", "/metrics", "/info", "?limit=", "&after=", "?part=", "&snapshot=", "&include=", "\"inputs\"", "\"input\"",
    "\"queries\"", "\"keys\"", "\"negatives\"", "\"positives\"", "\"labels\"", "\"objective\"", "\"temperature\"", "\"bias\"", "\"return\"", "\"gradients\"",
    "\"diagnostics\"", "\"per_row\"", "\"queue\"", "\"update\"", "\"capacity\"", "\"dim\"", "\"metric\"", "\"cosine\"", "\"dot\"", "\"euclidean\"",
    "\"recall_target\"", "\"points\"", "\"id\"", "\"ids\"", "\"vector\"", "\"vectors\"", "\"text\"", "\"texts\"", "\"metadata\"", "\"mode\"", "\"replace\"",
    "\"filter\"", "\"k\"", "\"include\"", "\"exact\"", "\"ef\"", "\"collection\"", "\"normalize\"", "\"truncate\"", "\"dimensions\"", "\"encoding_format\"",
    "\"base64\"", "\"prompt_name\"", "\"in_batch_negatives\"", "\"add_special_tokens\"", "\"sentences\"", "\"source_sentence\"",
]
TOKENIZER_WORDS = [
    "normalizer", "pre_tokenizer", "model", "post_processor", "added_tokens", "type", "vocab", "unk_token", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "##",
    "continuing_subword_prefix", "max_input_chars_per_word", "special_tokens", "single", "SpecialToken", "Sequence", "ids", "tokens", "id", "content",
    "normalized", "single_word", "lstrip", "rstrip", "strip_accents", "lowercase", "clean_text", "handle_chinese_chars", "do_lower_case",
    "added_tokens_decoder", "truncation_side", "left", "Unigram", "unk_id", "byte_fallback", "<0x41>", "BPE", "merges", "fuse_unk", "ignore_merges",
    "end_of_word_suffix", "WordLevel", "ByteLevel", "add_prefix_space", "use_regex", "trim_offsets", "Metaspace", "replacement", "prepend_scheme",
    "Split", "pattern", "Regex", "String", "behavior", "invert", "Isolated", "MergedWithNext", "Precompiled", "precompiled_charsmap", "Replace",
    "Prepend", "Strip", "NFC", "NFKD", "\\\\p{L}+", "\\\\s+(?!\\\\S)", "(?i:", "[^", "{1,3}", "RobertaProcessing", "cls", "pair", "\u2581", "\u0301", "\u4e2d", "\u00c9", "\u200d", "\u3000",
]
DICTIONARIES = {
    "connection": HTTP_WORDS, "chunks": ["\r\n", "0\r\n\r\n", ";", "=", "\"", "\\", ": ", "ffffffff"], "response": HTTP_WORDS + ["HTTP/1.1 200 OK\r\n", "\n"],
    "service": SERVICE_WORDS + JSON_WORDS + FILTER_WORDS + TENSOR_WORDS, "safetensors": TENSOR_WORDS + JSON_WORDS, "tokenizer": TOKENIZER_WORDS + JSON_WORDS,
    "text": ["[UNK]", "[CLS]", "[MASK]", "##", "the", "hello", "\u0301", "\u4e2d", "\u00c9", "\u0130", "\u200d", "\u3000", "\ud55c"],
    "filter": FILTER_WORDS + JSON_WORDS, "json": JSON_WORDS, "graph": ["keys", "lists", "recall", "version", "format", ":", ";", "nan", "inf"] + TENSOR_WORDS,
    "gzip": [], "proxy": [PROXY_SIGNATURE, "PROXY TCP4 ", "PROXY TCP6 ", "PROXY UNKNOWN", "\r\n", "::", "::ffff:", "1.2.3.4", " 65535", "/8", "/128"],
    "change": [b"\xff\xff\xff\xff", b"\x00\x00\x00\x00", b"\x01\x00\x00\x00", b"\xff\xff\xff\x7f"],
    "copy": [b"PGCOPY\n\xff\r\n\0", bytes(8), b"\x00\x06", b"\xff\xff", b"\xff\xff\xff\xff", b"\x00\x00\x00\x08"],
    "keys": ["read", "write", "admin", "none:", "invalid:", ":", "#", "\n", "\r\n", "\t", ",", "://", "https://", ":443", "[::1]", "*"],
}


def entry(value):
    """A line of a dictionary; only printable ASCII stands for itself."""
    data = value if isinstance(value, bytes) else value.encode()
    return '"' + "".join(chr(b) if 0x20 <= b < 0x7F and b not in b'"\\' else f"\\x{b:02X}" for b in data) + '"'


def files():
    """Yields the path below Fuzz/ and the content of every file."""
    for name, make in TARGETS.items():
        for number, data in enumerate(make()):
            yield f"corpus/{name}/{number:02}", data
        words = [entry(word) for word in [DIVIDER, *DICTIONARIES[name]]]
        yield f"dictionaries/{name}.dict", "".join(f"{word}\n" for word in words).encode()


def main():
    wanted = dict(files())
    found = {str(path.relative_to(HERE)) for folder in ("corpus", "dictionaries") for path in (HERE / folder).rglob("*") if path.is_file()}
    # Inputs under regressions/ came from findings and are kept as they are.
    if sys.argv[1:] == ["--check"]:
        wrong = sorted(found.symmetric_difference(wanted)) + [
            name for name in sorted(found & set(wanted)) if (HERE / name).read_bytes() != wanted[name]
        ]
        for name in wrong:
            print(f"Fuzz/{name} is not what Fuzz/seeds.py writes")
        return 1 if wrong else 0
    for name in found - set(wanted):
        (HERE / name).unlink()
    for name, data in wanted.items():
        (HERE / name).parent.mkdir(parents=True, exist_ok=True)
        (HERE / name).write_bytes(data)
    print(f"{len(wanted)} files, {sum(map(len, wanted.values()))} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
