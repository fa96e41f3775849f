"""Training with the service's losses: a differentiable function of PyTorch tensors.

    loss = info_nce(client, model(words), glosses, temperature=0.05)
    loss.backward()

The forward pass makes one request, for the loss and its gradients. The backward pass only scales these.
"""

from __future__ import annotations

from typing import Any, Optional, Union

import torch

from .client import Client
from .wire import number

__all__ = ["contrastive_loss", "info_nce"]

# The inputs for which the service returns gradients, in the order in which _RemoteLoss takes them.
_INPUTS = ("queries", "keys", "negatives", "temperature", "bias")


def info_nce(
    client: Client,
    queries: torch.Tensor,
    keys: torch.Tensor,
    temperature: Union[float, torch.Tensor] = 0.07,
    **options: Any,
) -> torch.Tensor:
    """Returns InfoNCE of queries [N, d] and keys [N, d] as a differentiable scalar; see contrastive_loss."""
    return contrastive_loss(client, queries, keys, temperature=temperature, **options)


def contrastive_loss(
    client: Client,
    queries: torch.Tensor,
    keys: Optional[torch.Tensor] = None,
    negatives: Optional[torch.Tensor] = None,
    *,
    temperature: Union[float, torch.Tensor, None] = None,
    bias: Union[float, torch.Tensor, None] = None,
    **options: Any,
) -> torch.Tensor:
    """Returns a loss of the service as a scalar on the device of the queries, in their dtype (float32 for half precision).

    Queries, keys and negatives get gradients, and so do temperature and bias when they are tensors. The service computes
    these in float32; second derivatives are not available. options: those of Client.loss, such as objective, labels,
    positives and queue (whose rows get no gradient).
    """
    inputs = (queries, keys, negatives, temperature, bias)
    apply: Any = _RemoteLoss.apply  # PyTorch does not state its type.
    loss: torch.Tensor = apply(client, options, *inputs)
    return loss


class _RemoteLoss(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, client: Client, options: Any, *inputs: Any) -> torch.Tensor:
        """inputs: the values in the order of _INPUTS."""
        wanted_inputs = ctx.needs_input_grad[2:]
        *rows, temperature, bias = inputs
        result = client.loss(
            *rows,
            temperature=number(temperature),
            bias=number(bias),
            gradients=any(wanted_inputs),
            **options,
        )
        gradients = []
        for name, value, wanted in zip(_INPUTS, inputs, wanted_inputs):
            # An input that the objective does not depend on, such as keys behind a stop-gradient, gets no gradient.
            known = wanted and name in result.gradients
            gradients.append(torch.as_tensor(result.gradients[name]).to(value.device).reshape(value.shape) if known else None)
        ctx.save_for_backward(*gradients)
        ctx.dtypes = [value.dtype if wanted else None for value, wanted in zip(inputs, wanted_inputs)]
        queries = inputs[0]
        dtype = queries.dtype if queries.dtype in (torch.float32, torch.float64) else torch.float32
        return torch.tensor(result.loss, dtype=dtype, device=queries.device)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        (upstream,) = grad_outputs
        # With create_graph the gradients would count as constants, and so the gradient of a penalty on them would be zero.
        if torch.is_grad_enabled():
            raise RuntimeError("the service gives no second derivatives: create_graph is not possible")
        # Scaled in float32 and converted afterwards, because the factor of a gradient scaler can exceed half precision.
        scaled = (
            None if gradient is None else (gradient * upstream.to(gradient.device)).to(dtype)
            for gradient, dtype in zip(ctx.saved_tensors, ctx.dtypes)
        )
        return (None, None, *scaled)
