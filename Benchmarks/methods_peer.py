"""The losses of lightly for methods.py, computed in process. Each function makes a score that a method of the examples takes."""

import torch


def losses():
    """Returns the package lightly.loss.

    It imports torchvision, of which these losses use nothing. Where torchvision was built for another PyTorch than the installed one
    (CUDA and not CPU, for example), its compiled part does not load, and its Python part fails because two operators are not declared.
    They are declared here, without an implementation.
    """
    for operator in ("nms", "qnms"):
        try:
            torch.library.define(f"torchvision::{operator}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        except RuntimeError:
            # It is declared already, since torchvision is loaded.
            pass
    import lightly.loss

    return lightly.loss


def simclr(temperature):
    return losses().NTXentLoss(temperature=temperature)


def moco(temperature, first_negatives):
    """first_negatives [n, d]: the rows of the queue before the first batch. lightly keeps the queue as a bank in the loss."""
    score = losses().NTXentLoss(temperature=temperature, memory_bank_size=tuple(first_negatives.shape))
    score.memory_bank.bank = first_negatives.clone()
    return score


def simsiam():
    return losses().NegativeCosineSimilarity()


def byol():
    """lightly takes −cos for BYOL, too. The paper's loss is 2 − 2 cos, which has the same minimum and twice the gradient."""
    cosine = losses().NegativeCosineSimilarity()
    return lambda predictions, targets: 2 + 2 * cosine(predictions, targets)
