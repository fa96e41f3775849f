"""Splits calls with many rows into several requests, each within the limits of the service.

The size of every row is measured in its encoded form, so that no request is sent that would be refused with 413.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, List, Mapping, Optional, Sequence, Tuple, Union

import numpy as np
from numpy.typing import ArrayLike

from .errors import TooLargeError
from .safetensors import MAX_HEADER, encode
from .wire import JSON, SAFETENSORS, json_text

# The most bytes by which the header of a single tensor can grow: digits of its shape and offsets, and padding.
HEADER_SLACK = 128


@dataclass(frozen=True)
class Limits:
    """The limits of a request, as `/info` states them. The defaults are those of the service."""

    max_body_bytes: int = 128 << 20
    max_inputs: int = 100_000

    @classmethod
    def read(cls, info: Any) -> "Limits":
        """Reads the answer of `/info`. A limit that it does not state keeps its default."""
        stated = info.get("limits") if isinstance(info, dict) else None
        stated = stated if isinstance(stated, dict) else {}
        known = {name: stated.get(name) for name in ("max_body_bytes", "max_inputs")}
        return cls(**{name: value for name, value in known.items() if isinstance(value, int) and value > 0})


@dataclass(frozen=True)
class Cost:
    """The bytes that count towards a limit: `sums[i]` for the first i rows, and `fixed` for a request without rows."""

    sums: "np.ndarray[Any, Any]"
    fixed: int

    @classmethod
    def of(cls, sizes: ArrayLike, fixed: int) -> "Cost":
        return cls(np.concatenate([[0], np.cumsum(np.asarray(sizes, np.int64))]), fixed)

    @property
    def total(self) -> int:
        return int(self.sums[-1]) + self.fixed

    def stop(self, first: int, limit: int) -> int:
        """The end of the longest range of rows from `first` on that is within the limit."""
        return int(np.searchsorted(self.sums, self.sums[first] + limit - self.fixed, side="right")) - 1


class Batch(ABC):
    """The rows of a call, of which any range can be sent as a request.

    fields: the field names with which the service's errors refer to a row, as in `inputs[3]`.
    body: the cost of the rows in bytes of the body. header: their cost in bytes of a safetensors header, which has its own limit.
    """

    media_type: str

    def __init__(self, fields: Sequence[str], body: Cost, header: Optional[Cost] = None) -> None:
        self.fields: Sequence[str] = fields
        self.body: Cost = body
        self.header: Optional[Cost] = header

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def request(self, rows: slice) -> bytes:
        """The body of a request with these rows."""


class ListBatch(Batch):
    """Rows in a list of a JSON body; the other fields are the same in every request."""

    media_type: str = JSON

    def __init__(self, path: Union[str, Tuple[str, ...]], rows: Sequence[Any], **fields: Any) -> None:
        """path: the field of the list, or the nested fields that lead to it. fields: the other fields; None is not sent."""
        path = (path,) if isinstance(path, str) else path
        self._rows = [json_text(row).encode() for row in rows]
        others = json_text({name: value for name, value in fields.items() if value is not None}).encode()[1:-1]
        self._head = b"".join(b"{" + json_text(name).encode() + b":" for name in path) + b"["
        self._tail = b"]" + (b"," + others if others else b"") + b"}" * len(path)
        # A comma precedes each row but the first.
        body = Cost.of([len(row) + 1 for row in self._rows], len(self._head) + len(self._tail))
        super().__init__((path[-1],), body)

    def __len__(self) -> int:
        return len(self._rows)

    def request(self, rows: slice) -> bytes:
        return self._head + b",".join(self._rows[rows]) + self._tail


class VectorBatch(Batch):
    """Rows of the tensor `vectors` in a safetensors body, with lists in the metadata that have one entry per row."""

    media_type: str = SAFETENSORS

    def __init__(
        self, vectors: "np.ndarray[Any, Any]", lists: Mapping[str, Sequence[Any]], options: Mapping[str, str] = {}
    ) -> None:
        """vectors: [n, dim]. lists: each becomes a JSON array in the metadata, with one entry per row. options: metadata that
        is the same in every request.
        """
        self._vectors, self._options = vectors, options
        self._lists = {name: [json_text(entry) for entry in entries] for name, entries in lists.items()}
        # The lists are JSON text in a string of the header's JSON, where their quotes are escaped once more.
        in_header = np.zeros(len(vectors), np.int64)
        for entries in self._lists.values():
            in_header += np.array([len(json_text(entry).encode()) - 1 for entry in entries], np.int64)
        fixed = len(self.request(slice(0, 0))) + HEADER_SLACK
        row = vectors.dtype.itemsize * vectors.shape[1]
        super().__init__(("vectors", *lists), Cost.of(in_header + row, fixed), Cost.of(in_header, fixed))

    def __len__(self) -> int:
        return len(self._vectors)

    def request(self, rows: slice) -> bytes:
        lists = {name: f"[{','.join(entries[rows])}]" for name, entries in self._lists.items()}
        return encode({"vectors": self._vectors[rows]}, {**self._options, **lists})


def cut(batch: Batch, limits: Limits, batch_size: Optional[int] = None) -> List[slice]:
    """Returns the range of rows of each request, with as many rows as the limits and `batch_size` allow.

    A call without rows is one request, so that the service can say what is wrong with it.

    Raises TooLargeError, before anything is sent, when a single row exceeds a limit.
    """
    if batch_size is not None and batch_size < 1:
        raise ValueError(f"batch_size is {batch_size}, which is less than one")
    most = min(limits.max_inputs, batch_size or limits.max_inputs)
    pieces = []
    first = 0
    while first < len(batch):
        stop = min(first + most, len(batch), batch.body.stop(first, limits.max_body_bytes))
        if batch.header is not None:
            stop = min(stop, batch.header.stop(first, MAX_HEADER))
        if stop <= first:
            raise _row_too_large(batch, first, limits)
        pieces.append(slice(first, stop))
        first = stop
    return pieces or [slice(0, 0)]


def check_size(body: bytes, limits: Limits, advice: str) -> None:
    """Raises TooLargeError when the body of a request that cannot be split exceeds the limit. advice: what the caller can do."""
    if len(body) > limits.max_body_bytes:
        raise _too_large(f"the request has {len(body):,} bytes", limits, advice)


def _row_too_large(batch: Batch, row: int, limits: Limits) -> TooLargeError:
    size = int(batch.body.sums[row + 1] - batch.body.sums[row]) + batch.body.fixed
    place = f"{batch.fields[0]}[{row}]"
    if size <= limits.max_body_bytes:
        detail = f"{place} alone needs more than the {MAX_HEADER:,} bytes that the header of safetensors may have"
        return TooLargeError(413, "Content Too Large", detail, place)
    return _too_large(f"{place} alone makes a request of {size:,} bytes", limits, "", place)


def _too_large(what: str, limits: Limits, advice: str, param: Optional[str] = None) -> TooLargeError:
    detail = f"{what}, and the service takes {limits.max_body_bytes:,} (nearfar serve --max-body-bytes)"
    return TooLargeError(413, "Content Too Large", detail + (f"; {advice}" if advice else ""), param)
