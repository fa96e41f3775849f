"""Calls for contrastive losses, and for the queues of negatives that these read and append to."""

from __future__ import annotations

from typing import Any, List, Mapping, Optional, Union

from .calls import Calls, call
from .results import LossResult, Queue
from .session import read_tensors
from .wire import SAFETENSORS, json_body, loss_body, native, number, segment


class Scoring(Calls):
    @call
    async def loss(
        self,
        queries: Any,
        keys: Any = None,
        negatives: Any = None,
        *,
        objective: str = "infonce",
        temperature: Optional[float] = None,
        labels: Any = None,
        positives: Any = None,
        normalize: Optional[bool] = None,
        in_batch_negatives: Optional[bool] = None,
        bias: Optional[float] = None,
        queue: Union[str, Mapping[str, Any], None] = None,
        per_row: bool = False,
        gradients: bool = False,
        diagnostics: bool = False,
        idempotency_key: Optional[str] = None,
    ) -> LossResult:
        """Returns the loss of a batch.

        queries [N, d], keys [N, d] and negatives ([M, d] shared by all rows, or [N, M, d] per row) are arrays, tensors or lists
        of numbers (sent as f32, or as f16 if they have that type), or texts in the same shapes, which the service embeds first.
        objective: infonce, symmetric, nt_xent, dcl, supcon, sigmoid, simsiam, byol or moco.
        labels [N]: the classes for supcon. positives [N]: the index of each query's key, by default its own row number.
        queue: the name of a queue to read and to append the keys to; {"name": …, "update": False} only reads it.
        per_row, gradients, diagnostics: what to return in addition to the loss.
        idempotency_key: when the call is repeated with the same key, the service repeats its answer and appends nothing. Without
        one, a new key protects the repetitions that the client makes by itself.

        An option that is None is not sent, so that the service's default applies. An option that the objective does not use is
        an error. A batch is sent in a single request; it raises TooLargeError when it exceeds the service's limit.
        """
        wanted = {"per_row": per_row, "gradients": gradients, "diagnostics": diagnostics}
        queue = native(queue)
        options = {
            "objective": objective,
            "temperature": number(temperature),
            "normalize": normalize,
            "in_batch_negatives": in_batch_negatives,
            "bias": number(bias),
            "queue": queue,
            "return": ["loss", *(name for name, on in wanted.items() if on)],
        }
        rows = {"queries": queries, "keys": keys, "negatives": negatives}
        body, content_type = loss_body(rows, {"labels": labels, "positives": positives}, options)
        await self._session.check_size(body, "float16 arrays take half of it, and a smaller batch less")
        headers = {"Content-Type": content_type, "Accept": SAFETENSORS}
        only_reads = queue is None or (isinstance(queue, dict) and queue.get("update") is False)
        key = idempotency_key if only_reads else self._session.key(idempotency_key)
        if key is not None:
            headers["Idempotency-Key"] = key
        name = queue.get("name") if isinstance(queue, dict) else queue
        response = await self._session.send(
            "POST",
            "/loss",
            pure=only_reads or key is not None,
            content=body,
            headers=headers,
            about=[_named(name)] if isinstance(name, str) else (),
            anew=only_reads,
        )
        return read_tensors(response, LossResult.read)

    @call
    async def create_queue(self, name: str, capacity: int, dim: int, *, durable: Optional[bool] = None) -> Queue:
        """Makes a queue of negatives. An existing one with the same capacity and dimension keeps its rows.

        durable: whether it is kept in the database that replicas share, or only in the memory of one service. By default it is
        where there is such a database.
        """
        body = json_body(capacity=capacity, dim=dim, durable=durable)
        return await self._session.json(
            "PUT", f"/queues/{segment(name)}", Queue.read, pure=False, content=body, about=[_named(name)], anew=True
        )

    @call
    async def queue(self, name: str) -> Queue:
        """Returns the description of a queue."""
        return await self._session.json(
            "GET", f"/queues/{segment(name)}", Queue.read, pure=True, about=[_named(name)], anew=True
        )

    @call
    async def queues(self) -> List[Queue]:
        """Returns the descriptions of all queues, in the order of their names."""
        return await self._session.json(
            "GET", "/queues", lambda body: [Queue.read(entry) for entry in body["queues"]], pure=True
        )

    @call
    async def delete_queue(self, name: str) -> None:
        """Deletes a queue and its rows."""
        await self._session.send("DELETE", f"/queues/{segment(name)}", pure=False, about=[_named(name)])


def _named(queue: str) -> str:
    """The name of a queue in version tokens, where collections have names, too."""
    return f"queues/{queue}"
