"""The client of the Nearfar service: text embeddings, contrastive losses with gradients, nearest neighbours.

    from nearfar import Client

    with Client("http://127.0.0.1:8080") as client:
        rows = client.embed(["near", "far"])
        result = client.loss(rows, rows, gradients=True)

AsyncClient has the same calls for asyncio and trio. `nearfar.torch` provides the losses for training with PyTorch, which must be
installed for it; everything else needs only httpx and numpy.
"""

from .client import AsyncClient, Client
from .errors import (
    AuthenticationError,
    BadRequestError,
    ConflictError,
    GoneError,
    InvalidError,
    NearfarError,
    NotFoundError,
    TimedOutError,
    TooLargeError,
    UnavailableError,
    UnexpectedAnswerError,
    UnreachableError,
)
from .results import (
    Collection,
    Counted,
    Deleted,
    Exported,
    LossResult,
    Neighbor,
    Neighbors,
    Page,
    Point,
    Queue,
    Updated,
    Upserted,
)
from .safetensors import SafetensorsError
from .version import __version__

__all__ = [
    "AsyncClient",
    "AuthenticationError",
    "BadRequestError",
    "Client",
    "Collection",
    "ConflictError",
    "Counted",
    "Deleted",
    "Exported",
    "GoneError",
    "InvalidError",
    "LossResult",
    "NearfarError",
    "Neighbor",
    "Neighbors",
    "NotFoundError",
    "Page",
    "Point",
    "Queue",
    "SafetensorsError",
    "TimedOutError",
    "TooLargeError",
    "UnavailableError",
    "UnexpectedAnswerError",
    "UnreachableError",
    "Updated",
    "Upserted",
    "__version__",
]
