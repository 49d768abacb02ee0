"""A winner's deterministic policy as a file that does not need this project: ONNX, or an exported program of PyTorch.

`.pt2` is what `torch.export` saves, and `.pt` is the same: TorchScript, which files of that name used to hold, is deprecated.
`torch.export.load` takes the name of a file only if it ends in `.pt2`, but any open file. Observations go in as the environment
gives them, a batch at a time, and actions come out as it takes them: observation statistics, scaling and bounds are part of the
graph. A recurrent policy also takes its state and returns the next one; zeros begin an episode.
"""

from __future__ import annotations

import io
import json
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import final

import gymnasium
import numpy as np
import torch
from torch import Tensor

from rl_pbt import __version__
from rl_pbt.agents.policy import Policy
from rl_pbt.agents.torsos import entries_of
from rl_pbt.arrays import Array
from rl_pbt.envs import EnvSpec
from rl_pbt.errors import UserError
from rl_pbt.tasks.on_environments.words import ONNX, check_ending

METADATA = "rl_pbt.json"  # the extra file of an exported program; in ONNX each entry is "rl_pbt.NAME"
EXAMPLES = 2  # a batch of one would become a constant of the graph
OTHER_LIBRARIES = "torch.onnx._internal.exporter._registration"  # logs which operators of torchvision are missing


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Acting:
    """The policy of one member, and what it acts in."""

    policy: Policy
    observation_space: gymnasium.Space[object]
    env: EnvSpec


class _Graph(torch.nn.Module):
    """A policy as a module: its weights are buffers, and the population axis is hidden."""

    def __init__(self, policy: Policy) -> None:
        super().__init__()
        self._policy = policy.in_float32()
        self._buffers_of = {name: name.replace(".", "_") for name in self._policy.weights if not name.startswith("value")}
        for name, buffer in self._buffers_of.items():
            self.register_buffer(buffer, self._policy.weights[name])

    def _acted(self, observation: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        weights = {name: getattr(self, buffer) for name, buffer in self._buffers_of.items()}
        outputs, state = self._policy.with_weights(weights).outputs(observation[None], state[None])
        head = self._policy.network.head
        return head.as_environment(head.likeliest(outputs))[0], state[0]


@final
class _Forgetful(_Graph):
    def forward(self, observation: Tensor) -> Tensor:
        return self._acted(observation, observation.new_zeros(observation.shape[0], 0, dtype=torch.float32))[0]


@final
class _Recurrent(_Graph):
    def forward(self, observation: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        return self._acted(observation, state)


def exported(acting: Acting, ending: str, told: Mapping[str, str]) -> bytes:
    """The content of a file with that ending. `told` is added to the metadata, which describes the inputs and outputs.

    The same policy gives the same bytes. Raises UserError for another ending, for a package that is not installed, and for
    observations of several parts.
    """
    check_ending(ending)
    if entries_of(acting.observation_space):
        raise UserError(
            f"{acting.env.id} gives observations of several parts, which are flattened first: no such policy is exported"
        )
    with _silence(), torch.no_grad():
        program = _program(acting)
        metadata = {**told, **_described(acting)}
        return _as_onnx(program, metadata) if ending == ONNX else _as_torch(program, metadata)


def _program(acting: Acting) -> torch.export.ExportedProgram:
    width = acting.policy.network.core.width
    inputs: dict[str, Tensor] = {"observation": torch.from_numpy(_blank(acting.observation_space))}
    if width:
        inputs["state"] = torch.zeros(EXAMPLES, width)
    graph = _Recurrent(acting.policy) if width else _Forgetful(acting.policy)
    batch = torch.export.Dim("batch")
    return torch.export.export(graph, tuple(inputs.values()), dynamic_shapes={name: {0: batch} for name in inputs}, strict=False)


def _blank(space: gymnasium.Space[object]) -> Array:
    assert space.shape is not None
    return np.zeros((EXAMPLES, *space.shape), space.dtype)


def _described(acting: Acting) -> dict[str, str]:
    """The metadata: what must be known to use the file."""
    space, env = acting.observation_space, acting.env
    width = acting.policy.network.core.width
    return {
        "made_by": f"rl_pbt {__version__}",
        "environment": env.id,
        "frame_skip": str(env.frame_skip),
        "environment_options": json.dumps(dict(env.options), sort_keys=True),
        "observation": f"[batch, {', '.join(map(str, space.shape or ()))}] {space.dtype}, as this environment gives it with "
        "these options; whatever is scaled or normalised beyond them is scaled inside",
        "action": "[batch, ...], the likeliest, as the environment takes it",
        "state": f"[batch, {width}] float32: zeros at the start of an episode, then the next_state of the step before"
        if width
        else "none",
    }


def _as_torch(program: torch.export.ExportedProgram, metadata: Mapping[str, str]) -> bytes:
    buffer = io.BytesIO()
    torch.export.save(program, buffer, extra_files={METADATA: json.dumps(dict(metadata), sort_keys=True)})
    return buffer.getvalue()


def _as_onnx(program: torch.export.ExportedProgram, metadata: Mapping[str, str]) -> bytes:
    inputs = [node for node in program.graph_signature.user_inputs if isinstance(node, str)]
    names = ["action", "next_state"][: len(inputs)]
    made = torch.onnx.export(program, dynamo=True, verbose=False, input_names=inputs, output_names=names)
    assert made is not None
    made.model.metadata_props.update({f"rl_pbt.{name}": text for name, text in metadata.items()})
    content: bytes = made.model_proto.SerializeToString(deterministic=True)
    return content


@contextmanager
def _silence() -> Iterator[None]:
    """Silences what PyTorch says about its own internals while it exports."""
    log = logging.getLogger(OTHER_LIBRARIES)
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)
