"""Compares nearfar.torch with formulas in float64, using PyTorch where it is installed, or else the stand-in in stand_in/."""

import numpy as np
import pytest
import torch
from nearfar import NearfarError
from nearfar.torch import contrastive_loss, info_nce
from reference import assert_close, infonce, sigmoid


class Recorder:
    """Wraps a client and records the losses that are requested from it."""

    def __init__(self, client):
        self.client, self.calls = client, []

    def loss(self, *rows, **options):
        self.calls.append(options)
        return self.client.loss(*rows, **options)


def tensor(*shape, seed=1, dtype="f8", grad=True):
    return torch.tensor(np.random.default_rng(seed).standard_normal(shape).astype(dtype), requires_grad=grad)


def array(value):
    return value.detach().numpy()


@pytest.mark.parametrize("negatives", [None, (4, 8), (6, 3, 8)], ids=str)
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_every_gradient_scaled_by_what_comes_from_above(client, negatives, dtype):
    queries, keys = tensor(6, 8, dtype=dtype), tensor(6, 8, seed=2, dtype=dtype)
    temperature = torch.tensor(np.array(0.1, dtype), requires_grad=True)
    more = {} if negatives is None else {"negatives": tensor(*negatives, seed=3, dtype=dtype)}
    loss = info_nce(client, queries, keys, temperature, **more)
    expected, _, gradients = infonce(array(queries), array(keys), 0.1, None if negatives is None else array(more["negatives"]))
    assert loss.dtype == queries.dtype and tuple(loss.shape) == ()
    assert_close(loss.item(), expected, 0.1)
    loss.backward(torch.tensor(-2.5, dtype=loss.dtype))
    found = {"queries": queries, "keys": keys, "temperature": temperature, **more}
    assert found.keys() == gradients.keys()
    for name, leaf in found.items():
        assert leaf.grad.dtype == leaf.dtype
        assert_close(leaf.grad.numpy(), -2.5 * gradients[name], 0.1)


def test_gradients_only_where_they_are_wanted(client):
    recorder = Recorder(client)
    queries, keys = tensor(4, 8, grad=False), tensor(4, 8, seed=2)
    info_nce(recorder, queries, keys).backward()
    assert queries.grad is None
    assert_close(keys.grad.numpy(), infonce(array(queries), array(keys), 0.07)[2]["keys"], 0.07)
    found = info_nce(recorder, queries, tensor(4, 8, seed=2, grad=False), 0.07)
    assert found.requires_grad is False
    assert [call["gradients"] for call in recorder.calls] == [True, False]


def test_sigmoid_with_a_learned_bias_of_another_shape(client):
    queries, keys = tensor(4, 8), tensor(4, 8, seed=2)
    temperature, bias = (torch.tensor(np.array([value]), requires_grad=True) for value in (0.1, -2.0))
    loss = contrastive_loss(client, queries, keys, objective="sigmoid", temperature=temperature, bias=bias)
    expected, gradients = sigmoid(array(queries), array(keys), 0.1, -2.0)
    assert_close(loss.item(), expected, 0.1)
    loss.backward()
    for name, leaf in {"queries": queries, "keys": keys}.items():
        assert_close(leaf.grad.numpy(), gradients[name], 0.1)
    for name, leaf in {"temperature": temperature, "bias": bias}.items():
        assert_close(leaf.grad.numpy(), [gradients[name]], 0.1)


def test_keys_behind_a_stop_gradient_get_none(client):
    queries, keys = tensor(4, 8), tensor(4, 8, seed=2)
    contrastive_loss(client, queries, keys, objective="byol").backward()
    assert keys.grad is None
    hat = [array(rows) / np.linalg.norm(array(rows), axis=1, keepdims=True) for rows in (queries, keys)]
    cosine = (hat[0] * hat[1]).sum(1, keepdims=True)
    expected = -2 * (hat[1] - cosine * hat[0]) / np.linalg.norm(array(queries), axis=1, keepdims=True) / 4
    assert_close(queries.grad.numpy(), expected)


def test_labels_as_a_tensor_and_no_keys(client):
    queries = tensor(4, 8)
    labels = torch.tensor(np.array([1, 1, 2, 2]))
    contrastive_loss(client, queries, objective="supcon", labels=labels, temperature=0.1).backward()
    # A cosine does not depend on the length of a row, so its gradient is orthogonal to the row.
    assert np.abs((queries.grad.numpy() * array(queries)).sum(1)).max() <= 1e-5
    assert np.abs(queries.grad.numpy()).max() > 1e-3


def test_half_precision(client):
    queries, keys = tensor(4, 8, dtype="f2"), tensor(4, 8, seed=2, dtype="f2")
    loss = info_nce(client, queries, keys, 0.5)
    expected, _, gradients = infonce(array(queries), array(keys), 0.5)
    assert loss.dtype == torch.float32
    assert_close(loss.item(), expected, 0.5)
    # The factor of a gradient scaler may exceed the range of half precision.
    loss.backward(torch.tensor(65536.0))
    assert queries.grad.dtype == torch.float16
    largest = np.abs(gradients["queries"]).max() * 65536
    assert np.abs(queries.grad.numpy() - 65536 * gradients["queries"]).max() <= 1e-3 * largest


def test_a_refusal_of_the_service_reaches_the_caller(client):
    with pytest.raises(NearfarError, match="temperature"):
        info_nce(client, tensor(2, 3), tensor(2, 3, seed=2), 0.0)
