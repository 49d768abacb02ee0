"""Helpers for your own training in torch: they turn modules, optimisers and schedulers into checkpoint states and back.

def state(self):
    return {"net": state_of(self.net), "optimiser": state_of(self.optimiser), "updates": self.updates}

def load(self, state):
    load_state(self.net, state["net"])
    load_state(self.optimiser, state["optimiser"])
    self.updates = state["updates"]

def set_hypers(self, hypers):  # called after load, which restores the parent's learning rate
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

KIND_KEY = "torch_state"  # key that marks a dict as standing for a type that checkpoints lack
# Element size in bytes -> the type that holds the bits of torch types that NumPy lacks.
BIT_DTYPES = {1: torch.uint8, 2: torch.int16, 4: torch.int32}


class Stateful(Protocol):
    """A module, an optimiser, a learning-rate scheduler, a gradient scaler."""

    def state_dict(self) -> Mapping[str, object]:
        """Its tensors and numbers, by name."""
        ...

    def load_state_dict(self, state_dict: dict[str, Any]) -> object:
        """Restore what `state_dict` returned."""
        ...


def state_of(thing: Stateful) -> dict[str, object]:
    """The object's `state_dict` as nested dicts, lists and tuples of arrays and plain values, for `state()` of your own training.

    Every tensor is copied to an array in CPU memory; bfloat16 and other types that NumPy lacks keep their bits. Raises UserError
    for sparse and quantised tensors, and for values of any other type.
    """
    name = type(thing).__name__
    return {key: _plain(value, f"{name}[{key!r}]") for key, value in thing.state_dict().items()}


def load_state(thing: Stateful, state: Mapping[str, object]) -> None:
    """Load into an object what `state_of` returned for one like it; its tensors keep their types and devices.

    Training continues bit for bit. An optimiser's learning rate becomes the saved one: set a new one afterwards. `state` is never
    modified, now or later. Raises what `load_state_dict` raises if the state does not fit.
    """
    restored = {key: _restored(value) for key, value in state.items()}
    if isinstance(thing, torch.nn.Module):
        restored = OrderedDict(restored)
        # The versions of its layers, which torch keeps apart from the entries.
        restored._metadata = getattr(thing.state_dict(), "_metadata", {})  # type: ignore[attr-defined]
    thing.load_state_dict(restored)


def set_learning_rate(optimiser: torch.optim.Optimizer, value: float) -> None:
    """Set the learning rate of all parameter groups from the next step on; the optimiser's moments are kept.

    A learning-rate scheduler would overwrite it at its next step, since it computes from rates of its own.
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
