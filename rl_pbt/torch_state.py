"""Helpers for a training of your own in torch: modules, optimisers and schedulers as states that a checkpoint can hold, and back.

def state(self):
    return {"net": state_of(self.net), "optimiser": state_of(self.optimiser), "updates": self.updates}

def load(self, state):
    load_state(self.net, state["net"])
    load_state(self.optimiser, state["optimiser"])
    self.updates = state["updates"]

def set_hypers(self, hypers):  # after load, which brings the parent's learning rate back
    set_learning_rate(self.optimiser, hypers["lr"])
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import torch

from rl_pbt.errors import UserError
from rl_pbt.records import Fields

KIND_KEY = "torch_state"  # the key of a dict that stands for what NumPy and plain Python have no type for
# Types of torch that NumPy lacks, and those that hold their bits.
BIT_DTYPES = {1: torch.uint8, 2: torch.int16, 4: torch.int32}


class Stateful(Protocol):
    """A module, an optimiser, a learning-rate scheduler, a gradient scaler."""

    def state_dict(self) -> Mapping[str, object]:
        """Its tensors and numbers by name."""
        ...

    def load_state_dict(self, state_dict: dict[str, Any]) -> object:
        """Take them over."""
        ...


def state_of(thing: Stateful) -> dict[str, object]:
    """Its `state_dict` as nested dicts, lists and tuples of arrays and numbers, for `state()` of a training of your own.

    Every tensor becomes an array that is a copy, in memory of the CPU; bfloat16 and other types that NumPy lacks keep their bits.
    Raises UserError for what is neither, and for sparse and quantised tensors.
    """
    name = type(thing).__name__
    return {key: _plain(value, f"{name}[{key!r}]") for key, value in thing.state_dict().items()}


def load_state(thing: Stateful, state: Mapping[str, object]) -> None:
    """Give it back what `state_of` took from one like it; types and devices of its tensors stay its own.

    Training continues with the same bits. An optimiser's learning rate becomes the one it had then: set a new one afterwards.
    `state` is not written to, then or later. Raises what `load_state_dict` raises for a state of something else.
    """
    restored = {key: _restored(value) for key, value in state.items()}
    if isinstance(thing, torch.nn.Module):
        restored = OrderedDict(restored)
        # The versions of its layers, which torch keeps beside the entries.
        restored._metadata = getattr(thing.state_dict(), "_metadata", {})  # type: ignore[attr-defined]
    thing.load_state_dict(restored)


def set_learning_rate(optimiser: torch.optim.Optimizer, value: float) -> None:
    """The learning rate of all parameter groups from the next step on; moments stay.

    A learning-rate scheduler would overwrite it at its next step: it computes from rates that it keeps.
    """
    for group in optimiser.param_groups:
        if isinstance(group["lr"], torch.Tensor):
            group["lr"].fill_(value)
        else:
            group["lr"] = float(value)


def _plain(value: object, path: str) -> object:
    if isinstance(value, torch.Tensor):
        return _array(value, path)
    if isinstance(value, np.ndarray):
        return {KIND_KEY: "ndarray", "array": value.copy()}
    if isinstance(value, Counter):
        return {KIND_KEY: "Counter", "counts": dict(value)}
    if isinstance(value, dict):
        return {key: _plain(entry, f"{path}[{key!r}]") for key, entry in value.items()}
    if isinstance(value, list | tuple):
        entries = [_plain(entry, f"{path}[{index}]") for index, entry in enumerate(value)]
        return tuple(entries) if isinstance(value, tuple) else entries
    if value is None or isinstance(value, bool | int | float | complex | str | np.generic):
        return value
    raise UserError(f"{path} is a {type(value).__name__}, which no checkpoint holds: save what it is made from yourself")


def _array(tensor: torch.Tensor, path: str) -> object:
    if tensor.layout != torch.strided or tensor.is_quantized:
        raise UserError(f"{path} is a sparse or quantised tensor: save its dense values yourself")
    whole = tensor.detach().cpu().resolve_conj().resolve_neg().contiguous()
    try:
        return whole.numpy().copy()
    except TypeError:  # NumPy has no such type
        name = str(whole.dtype).removeprefix("torch.")
        return {KIND_KEY: name, "bits": whole.view(BIT_DTYPES[whole.element_size()]).numpy().copy()}


def _restored(value: object) -> object:
    if isinstance(value, np.ndarray):
        return torch.tensor(value)
    if isinstance(value, Mapping):
        return _marked(value) if KIND_KEY in value else {key: _restored(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        entries = [_restored(entry) for entry in value]
        return tuple(entries) if isinstance(value, tuple) else entries
    return value


def _marked(value: Fields) -> object:
    if value[KIND_KEY] == "ndarray":
        return value["array"].copy()
    if value[KIND_KEY] == "Counter":
        return Counter(value["counts"])
    return torch.tensor(value["bits"]).view(getattr(torch, value[KIND_KEY]))
