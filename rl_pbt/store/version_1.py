"""Runs of version 0.1, whose configuration knew only environments: converted to today's form, so that they can be reported."""

from __future__ import annotations

from rl_pbt.records import Fields

SEARCH_FIELDS = ("methods", "seeds", "population", "interval", "group_size", "search", "hypers", "test_episodes")
TASK_FIELDS = ("env", "agent", "agent_options", "fitness", "eval_episodes", "backend", "device", "env_options", "frame_skip")
METHOD_FIELDS = ("fraction", "factors", "resample_probability", "burn_in", "any_age")


def config_of_version_1(fields: Fields) -> Fields:
    """The same configuration in the form of `RunConfig`. Raises KeyError for a missing field."""
    methods = {name: fields[name] for name in METHOD_FIELDS if name in fields}
    if fields.get("replay"):
        methods["replay"] = _replay(fields["replay"])
    return {
        **{name: fields[name] for name in SEARCH_FIELDS},
        "task": "rl",
        "budget": fields["frames"],
        "task_options": {name: fields[name] for name in TASK_FIELDS if name in fields},
        "method_options": methods,
    }


def _replay(replay: Fields) -> Fields:
    seeds = {
        seed: {method: [_stage(stage) for stage in stages] for method, stages in by_method.items()}
        for seed, by_method in replay["seeds"].items()
    }
    return {**replay, "seeds": seeds}


def _stage(stage: Fields) -> Fields:
    return {"units": stage["frames"], "hypers": stage["hypers"]}
