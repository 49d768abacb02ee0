"""Population-native networks: every weight carries a leading [P], and one agent is P = 1.

A network is a pure function of a flat dictionary of weights. Each layer handles the population axis in its own way: dense
layers are one batched matrix product; convolutions loop over the members on a CPU, where that is several times faster than a
grouped convolution for 84x84 images.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional as F

Weights: TypeAlias = dict[str, Tensor]
HIDDEN_GAIN = math.sqrt(2.0)  # orthogonal gains as in Stable-Baselines3
POLICY_GAIN = 0.01
VALUE_GAIN = 1.0
VECTORS = 64  # the most numbers that torch computes at a time


def orthogonal(shape: Sequence[int], gain: float, generator: torch.Generator) -> Tensor:
    """`gain` times an orthogonal matrix, as [out, in, ...] (Saxe 2014), drawn from `generator` alone."""
    rows, columns = shape[0], math.prod(shape[1:])
    normal = torch.randn(max(rows, columns), min(rows, columns), generator=generator)
    q, r = torch.linalg.qr(normal)
    q = q * torch.sign(torch.diagonal(r))
    matrix: Tensor = q if rows >= columns else q.T
    return matrix.reshape(*shape) * gain


def product(inputs: Tensor, weight: Tensor) -> Tensor:
    """[P, N, in] @ [P, in, out] -> [P, N, out]; a single member gets the same result, to the last digit, as in a population."""
    if _is_one_row(inputs):
        return torch.bmm(inputs.expand(2, -1, -1), weight.expand(2, -1, -1))[:1]
    return torch.bmm(inputs, weight)


def affine(addend: Tensor, inputs: Tensor, weight: Tensor, scale: int = 1) -> Tensor:
    """scale * (addend + product(inputs, weight)), [P, N, out]; `addend` is [P, N or 1, out]."""
    if _is_one_row(inputs):
        twice = [one.expand(2, -1, -1) for one in (addend, inputs, weight)]
        return torch.baddbmm(*twice, beta=scale, alpha=scale)[:1]
    return torch.baddbmm(addend, inputs, weight, beta=scale, alpha=scale)


def _is_one_row(inputs: Tensor) -> bool:
    """Whether there is one row of one member, which some processors multiply in another way than several rows."""
    return inputs.shape[0] == inputs.shape[1] == 1


def dense(weights: Weights, name: str, inputs: Tensor) -> Tensor:
    """[P, N, in] -> [P, N, out]."""
    return affine(weights[f"{name}.bias"][:, None], inputs, weights[f"{name}.weight"])


def tanh_dense(weights: Weights, name: str, inputs: Tensor) -> Tensor:
    """tanh of `dense`, [P, N, in] -> [P, N, out]."""
    arguments = inputs, weights[f"{name}.weight"], weights[f"{name}.bias"]
    if not torch.is_grad_enabled():
        return _tanh_of_dense(*arguments)
    output: Tensor = _TanhDense.apply(*arguments)  # type: ignore[no-untyped-call]
    return output


def _tanh_of_dense(inputs: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Computed in place as 2 sigmoid(2 x) - 1, in less than half the time of torch's tanh on a CPU, and within 2e-7 of it."""
    return sigmoid(affine(bias[:, None], inputs, weight, scale=2)).mul_(2).sub_(1)


def sigmoid(arguments: Tensor) -> Tensor:
    """Sigmoid of contiguous numbers, which may be overwritten; a result is the same, to the last digit, at any position.

    torch computes the remainder after the last whole vector in another way, which would affect the last member's last numbers.
    """
    if torch.compiler.is_exporting():  # one member alone, and the numbers of a batch whose size is not known yet
        return arguments.sigmoid()
    if not (over := arguments.numel() % VECTORS):
        return arguments.sigmoid_()
    padded = F.pad(arguments.flatten(), (0, VECTORS - over)).sigmoid_()
    return padded[: arguments.numel()].view_as(arguments)


class _TanhDense(torch.autograd.Function):
    """tanh of a dense layer; the gradient of tanh is computed from its value alone."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        output = _tanh_of_dense(inputs, weight, bias)
        ctx.save_for_backward(inputs, weight, output)
        return output

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor, Tensor]:
        inputs, weight, output = ctx.saved_tensors
        before = torch.ops.aten.tanh_backward(gradient, output)
        of_inputs = product(before, weight.mT) if ctx.needs_input_grad[0] else None
        return of_inputs, product(inputs.mT, before), before.sum(1)


def conv(weights: Weights, name: str, inputs: Tensor, stride: int, padding: int = 0) -> Tensor:
    """Convolution, [P, N, C, H, W] -> [P, N, C', H', W']."""
    layer = _looped_conv if inputs.device.type == "cpu" else _grouped_conv
    return layer(weights[f"{name}.weight"], weights[f"{name}.bias"], inputs, stride, padding)


def _looped_conv(kernels: Tensor, biases: Tensor, inputs: Tensor, stride: int, padding: int) -> Tensor:
    # Channels lie last in memory, from the first layer to the last: a processor's gradients take half the time so.
    # Unbound, not indexed: the gradient of each index would allocate a zero tensor for the whole population.
    members = zip(_channels_last(inputs).unbind(), _channels_last(kernels).unbind(), biases.unbind(), strict=True)
    outputs = [F.conv2d(images, kernel, bias, stride, padding).movedim(1, -1) for images, kernel, bias in members]
    return torch.stack(outputs).movedim(-1, 2)


def _channels_last(tensor: Tensor) -> Tensor:
    """The same [P, N, C, H, W], with the numbers of its channels side by side in memory."""
    return tensor.movedim(2, -1).contiguous().movedim(-1, 2)


def _grouped_conv(kernels: Tensor, biases: Tensor, inputs: Tensor, stride: int, padding: int) -> Tensor:
    members = len(kernels)
    grouped = inputs.transpose(0, 1).flatten(1, 2)
    outputs = F.conv2d(grouped, kernels.flatten(0, 1), biases.flatten(), stride, padding, groups=members)
    return outputs.view(len(outputs), members, -1, *outputs.shape[2:]).transpose(0, 1)


def dense_weights(name: str, rows: int, columns: int, gain: float, generator: torch.Generator) -> Weights:
    """Weight [in, out] and zero bias [out] of one member."""
    return {
        f"{name}.weight": orthogonal((columns, rows), gain, generator).T.contiguous(),
        f"{name}.bias": torch.zeros(columns),
    }


def computes_in_bfloat16(device: str) -> bool:
    """Whether a device multiplies bfloat16 in hardware; a processor that does not is far slower than in float32."""
    if device != "cpu":
        return torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


class UnsupportedSpace(ValueError):
    """A space that no torso or head can handle; the message is one line that names it."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))  # gymnasium prints the bounds of a Box on several lines
