"""Compares nearfar.torch with PyTorch's own automatic differentiation in float64."""

import pytest
import torch
from torch.nn import functional
from nearfar.torch import contrastive_loss, info_nce
from reference import assert_close

TEMPERATURE = 0.07


def leaf(*shape, seed):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)).requires_grad_()


def local(queries, keys, temperature, negatives=None):
    q, k = functional.normalize(queries, dim=-1), functional.normalize(keys, dim=-1)
    logits = q @ k.T
    if negatives is not None:
        n = functional.normalize(negatives, dim=-1)
        logits = torch.cat([logits, q @ n.T if n.ndim == 2 else torch.einsum("id,imd->im", q, n)], dim=1)
    return functional.cross_entropy(logits / temperature, torch.arange(len(queries)))


@pytest.mark.parametrize("negatives", [None, (5, 16), (8, 3, 16)], ids=str)
def test_gradients_through_a_model(client, negatives):
    words, glosses = leaf(8, 12, seed=1), leaf(8, 12, seed=2)
    weights, logarithm = leaf(12, 16, seed=3), torch.tensor(TEMPERATURE, dtype=torch.float64).log().requires_grad_()
    leaves = [words, glosses, weights, logarithm]
    more = {}
    if negatives is not None:
        more["negatives"] = leaf(*negatives, seed=4)
        leaves.append(more["negatives"])
    found, expected = (
        3 * loss(torch.tanh(words @ weights), glosses @ weights, logarithm.exp(), **more) + weights.square().sum()
        for loss in (lambda *rows, **options: info_nce(client, *rows, **options), local)
    )
    assert_close(found.item(), expected.item(), TEMPERATURE)
    for mine, peer in zip(torch.autograd.grad(found, leaves), torch.autograd.grad(expected, leaves)):
        assert mine.dtype == torch.float64
        # The tolerance is relative to the largest gradient, because sums over rows add up the errors of the rows.
        assert_close(mine / peer.abs().max(), peer / peer.abs().max(), TEMPERATURE)


def test_symmetric(client):
    queries, keys = leaf(8, 16, seed=1), leaf(8, 16, seed=2)
    mine = contrastive_loss(client, queries, keys, objective="symmetric", temperature=TEMPERATURE)
    peer = (local(queries, keys, TEMPERATURE) + local(keys, queries, TEMPERATURE)) / 2
    for found, expected in zip(torch.autograd.grad(mine, [queries, keys]), torch.autograd.grad(peer, [queries, keys])):
        assert_close(found, expected, TEMPERATURE)


def test_there_are_no_second_derivatives(client):
    queries = leaf(4, 8, seed=1)
    with pytest.raises(RuntimeError, match="no second derivatives"):
        torch.autograd.grad(info_nce(client, queries, leaf(4, 8, seed=2)), queries, create_graph=True)


def test_bfloat16(client):
    queries, keys = (leaf(4, 8, seed=seed).detach().bfloat16().requires_grad_() for seed in (1, 2))
    loss = info_nce(client, queries, keys, 0.5)
    assert loss.dtype == torch.float32
    loss.backward()
    assert queries.grad.dtype == torch.bfloat16
    peer = leaf(4, 8, seed=1).detach().bfloat16().double().requires_grad_()
    local(peer, keys.detach().double(), 0.5).backward()
    assert torch.allclose(queries.grad.double(), peer.grad, rtol=2**-8, atol=1e-4)


def test_two_lines_train(client):
    generator = torch.Generator().manual_seed(5)
    queries = torch.randn(64, 16, generator=generator)
    keys = queries @ torch.randn(16, 16, generator=generator)
    model = torch.nn.Linear(16, 16, bias=False)
    with torch.no_grad():
        model.weight.copy_(torch.eye(16))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    losses = []
    for _ in range(150):
        loss = info_nce(client, model(queries), keys)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] > 3 and losses[-1] < 0.1
