"""Training through the service: the losses as a differentiable function of PyTorch tensors.

    loss = info_nce(client, model(words), glosses, temperature=0.05)
    loss.backward()

The service computes the loss and its gradients in one request of the forward pass; the backward pass scales them.
"""

from __future__ import annotations

from typing import Any, Optional, Union

import torch

from .client import Client
from .wire import number

__all__ = ["contrastive_loss", "info_nce"]

# What the service differentiates by, in the order in which _RemoteLoss takes them.
_INPUTS = ("queries", "keys", "negatives", "temperature", "bias")


def info_nce(
    client: Client,
    queries: torch.Tensor,
    keys: torch.Tensor,
    temperature: Union[float, torch.Tensor] = 0.07,
    **options: Any,
) -> torch.Tensor:
    """InfoNCE of queries [N, d] and keys [N, d] as a scalar to differentiate; see contrastive_loss."""
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
    """A loss of the service as a scalar on the device of the queries, in their dtype (half precision: float32).

    Gradients reach queries, keys and negatives, and temperature and bias where they are tensors. Computed in float32 on
    the service's side, once: there are no second derivatives. options are those of Client.loss: objective, labels,
    positives, queue (its rows get no gradient), and so on.
    """
    inputs = (queries, keys, negatives, temperature, bias)
    apply: Any = _RemoteLoss.apply  # PyTorch does not state its type.
    loss: torch.Tensor = apply(client, options, *inputs)
    return loss


class _RemoteLoss(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, client: Client, options: Any, *inputs: Any) -> torch.Tensor:
        """inputs: as named by _INPUTS."""
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
        # Under create_graph the gradients would pass for constants, and a penalty on them for zero.
        if torch.is_grad_enabled():
            raise RuntimeError("the service gives no second derivatives: create_graph is not possible")
        # Scaled in float32 and narrowed afterwards: the factor of a gradient scaler can be beyond half precision.
        scaled = (
            None if gradient is None else (gradient * upstream.to(gradient.device)).to(dtype)
            for gradient, dtype in zip(ctx.saved_tensors, ctx.dtypes)
        )
        return (None, None, *scaled)
