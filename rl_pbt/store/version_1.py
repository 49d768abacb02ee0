"""Runs of version 0.1, whose configuration knew environments alone: read in today's words, so that they can be reported."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

OF_SEARCH = ("methods", "seeds", "population", "interval", "group_size", "search", "hypers", "test_episodes")
OF_TASK = ("env", "agent", "agent_options", "fitness", "eval_episodes", "backend", "device", "env_options", "frame_skip")
OF_METHODS = ("fraction", "factors", "resample_probability", "burn_in", "any_age")


def config_of_version_1(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The same configuration as `RunConfig` has it. Raises KeyError for a field that is missing."""
    methods = {name: fields[name] for name in OF_METHODS if name in fields}
    if fields.get("replay"):
        methods["replay"] = _replay(fields["replay"])
    return {
        **{name: fields[name] for name in OF_SEARCH},
        "task": "rl",
        "budget": fields["frames"],
        "task_options": {name: fields[name] for name in OF_TASK if name in fields},
        "method_options": methods,
    }


def _replay(replay: Mapping[str, Any]) -> dict[str, Any]:
    seeds = {
        seed: {method: [_stage(stage) for stage in stages] for method, stages in by_method.items()}
        for seed, by_method in replay["seeds"].items()
    }
    return {**replay, "seeds": seeds}


def _stage(stage: Mapping[str, Any]) -> dict[str, Any]:
    return {"units": stage["frames"], "hypers": stage["hypers"]}
