"""Cross-entropy against smoothed labels (Szegedy 2016; Vaswani 2017, sec. 5.4), with its gradient straight from the logits."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from rl_pbt.tasks.translation.sub_words import PAD


def smoothed_loss(logits: Tensor, labels: Tensor, smoothing: float) -> Tensor:
    """The loss of each member, [P]: the mean over its labels [P, N] that are not PAD, from logits [P, N, vocabulary].

    The label has probability 1 - smoothing, and all sub-words, including the label, share the rest, as in torch's cross_entropy.
    """
    loss: Tensor = _SmoothedLoss.apply(logits, labels, smoothing)  # type: ignore[no-untyped-call]
    return loss


class _SmoothedLoss(torch.autograd.Function):
    """Torch's own takes several passes over all logits, which are most of a batch's numbers."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, labels: Tensor, smoothing: float) -> Tensor:
        log_probs = logits.log_softmax(-1)
        real = labels != PAD
        weights = real.to(logits.dtype) / real.sum(1, keepdim=True).clamp(min=1)
        of_label = log_probs.gather(-1, labels[..., None]).squeeze(-1)
        losses = -(1.0 - smoothing) * of_label - smoothing * log_probs.mean(-1)
        ctx.save_for_backward(log_probs, labels, weights)
        ctx.smoothing = smoothing
        # Member by member: a sum over all would be taken in another order if there were more of them.
        return torch.stack([torch.dot(*both) for both in zip(losses, weights, strict=True)])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        log_probs, labels, weights = ctx.saved_tensors
        of_logits = log_probs.exp().sub_(ctx.smoothing / log_probs.shape[-1])
        of_logits.scatter_add_(-1, labels[..., None], of_logits.new_full(labels.shape, ctx.smoothing - 1.0)[..., None])
        return of_logits.mul_((weights * gradient[:, None])[..., None]), None, None
