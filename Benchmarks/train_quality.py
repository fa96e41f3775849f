"""How well vectors of queries find the vectors that belong to them."""

import numpy as np


def recalls(queries: np.ndarray, positives: np.ndarray) -> dict[str, float]:
    """The shares of queries whose own positive is among the 1 and the 10 nearest of all positives; ties count against it."""
    scores = queries.astype("f4") @ positives.astype("f4").T
    own = np.diagonal(scores)
    # At least 1, for the positive itself.
    places = (scores >= own[:, None]).sum(axis=1)
    return {f"recall@{count}": float((places <= count).mean()) for count in (1, 10)}
