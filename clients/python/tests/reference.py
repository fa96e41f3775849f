"""The losses and their gradients in float64, computed by their formulas."""

import numpy as np


def unit(rows):
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def through_norm(rows, gradient):
    """Converts the gradient with respect to normalised rows to that with respect to the rows."""
    norms = np.linalg.norm(rows, axis=-1, keepdims=True)
    hat = rows / norms
    return (gradient - hat * (hat * gradient).sum(-1, keepdims=True)) / norms


def infonce(queries, keys, temperature, negatives=None):
    """Returns (loss, per row, gradients) with in-batch negatives and further ones, shared [M, d] or per row [N, M, d]."""
    queries, keys = (np.asarray(rows, "f8") for rows in (queries, keys))
    q, k, count = unit(queries), unit(keys), len(queries)
    logits = q @ k.T / temperature
    if negatives is not None:
        negatives = np.asarray(negatives, "f8")
        n = unit(negatives)
        own = np.broadcast_to(n, (count, *n.shape[-2:]))
        logits = np.hstack([logits, np.einsum("id,imd->im", q, own) / temperature])
    top = logits.max(1, keepdims=True)
    sums = np.exp(logits - top).sum(1, keepdims=True)
    per_row = (top + np.log(sums))[:, 0] - logits[:, :count].diagonal()
    slope = np.exp(logits - top) / sums
    slope[np.arange(count), np.arange(count)] -= 1
    slope /= count
    by_keys = slope[:, :count]
    by_q = by_keys @ k
    gradients = {}
    if negatives is not None:
        by_own = slope[:, count:]
        by_q = by_q + np.einsum("im,imd->id", by_own, own)
        pairs = by_own[:, :, None] * q[:, None, :]
        gradients["negatives"] = through_norm(negatives, (pairs if n.ndim == 3 else pairs.sum(0)) / temperature)
    gradients["queries"] = through_norm(queries, by_q / temperature)
    gradients["keys"] = through_norm(keys, by_keys.T @ q / temperature)
    gradients["temperature"] = -(slope * logits).sum() / temperature
    return per_row.mean(), per_row, gradients


def sigmoid(queries, keys, temperature, bias):
    """Returns (loss, gradients) of SigLIP."""
    queries, keys = (np.asarray(rows, "f8") for rows in (queries, keys))
    q, k, count = unit(queries), unit(keys), len(queries)
    signs = 2 * np.eye(count) - 1
    similar = q @ k.T / temperature
    margins = signs * (similar + bias)
    loss = np.logaddexp(0, -margins).sum() / count
    slope = -signs / (1 + np.exp(margins)) / count
    return loss, {
        "queries": through_norm(queries, slope @ k / temperature),
        "keys": through_norm(keys, slope.T @ q / temperature),
        "temperature": -(slope * similar).sum() / temperature,
        "bias": slope.sum(),
    }


def assert_close(found, expected, temperature=1.0):
    """Checks that values are within 1e-5 + 1e-6/τ of float64, relative above 1 and absolute below, as the service promises."""
    found, expected = np.asarray(found, "f8"), np.asarray(expected, "f8")
    assert found.shape == expected.shape
    error = np.abs(found - expected) / np.maximum(np.abs(expected), 1)
    assert np.isfinite(found).all() and error.max() <= 1e-5 + 1e-6 / temperature, f"off by {error.max()}"
