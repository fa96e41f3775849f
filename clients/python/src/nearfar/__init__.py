"""The client of the Nearfar service: text embeddings, contrastive losses with gradients, nearest neighbours.

    from nearfar import Client

    with Client("http://127.0.0.1:8080") as client:
        rows = client.embed(["near", "far"])
        result = client.loss(rows, rows, gradients=True)

`nearfar.torch` trains through the service; it needs PyTorch, the rest needs only httpx and numpy.
"""

from .client import Client
from .errors import NearfarError, UnreachableError
from .results import Collection, Deleted, Exported, LossResult, Neighbor, Neighbors, Point, Queue, Upserted
from .safetensors import SafetensorsError

__all__ = [
    "Client",
    "Collection",
    "Deleted",
    "Exported",
    "LossResult",
    "NearfarError",
    "Neighbor",
    "Neighbors",
    "Point",
    "Queue",
    "SafetensorsError",
    "UnreachableError",
    "Upserted",
]
__version__ = "0.1.0"
