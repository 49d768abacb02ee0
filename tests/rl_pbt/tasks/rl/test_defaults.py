"""Whatever environment of a family is named, its defaults make an agent for it."""

from __future__ import annotations

import re

import gymnasium
import pytest

from rl_pbt.agents import AGENTS
from rl_pbt.agents.actor_critic import ANNEALED, REWARDS
from rl_pbt.agents.cores import CORES
from rl_pbt.agents.optimiser import OPTIMISERS
from rl_pbt.agents.settings import CHOICES
from rl_pbt.envs import BACKENDS, DEFAULT_BACKEND, FAMILIES, EnvironmentUnavailable, resolve
from rl_pbt.envs.families import family_of, register
from rl_pbt.making import configure, make_task
from rl_pbt.options import about, fields_of
from rl_pbt.tasks.rl.defaults import DEFAULTS
from rl_pbt.tasks.rl.options import RLOptions

WHOLE = ("box2d", "classic_control", "minatar", "mujoco", "toy_text")  # of the others, one stands for all
ONE_OF_MANY = ("ALE/Pacman-v5", "MiniGrid-DoorKey-5x5-v0", "VizdoomBasic-v1", "SMAX/3m-v0")


def newest_ids(family: str) -> list[str]:
    """One id, the newest, of each environment of a family; none where its package is absent."""
    try:
        register(family, "")
    except EnvironmentUnavailable:
        return []
    found: dict[str, str] = {}
    for spec in sorted(gymnasium.registry.values(), key=lambda spec: spec.version or 0):
        if family_of(spec) == family and not re.match(r"(phys2d|tabular)/", spec.id):  # those need JAX
            found[f"{spec.namespace}/{spec.name}"] = spec.id
    return sorted(found.values())


IDS = [id_ for family in WHOLE for id_ in newest_ids(family)] + list(ONE_OF_MANY)


def test_the_families_that_are_tried_whole_exist() -> None:
    assert set(WHOLE) <= set(FAMILIES) and set(WHOLE) <= set(DEFAULTS)
    assert "CartPole-v1" in IDS


def test_settings_offer_what_there_is_to_choose_from() -> None:
    known = {"optimiser": OPTIMISERS, "core": CORES, "rewards": REWARDS, "anneal": ANNEALED}
    assert {name: set(choices) for name, choices in CHOICES.items()} == {name: set(table) for name, table in known.items()}
    assert all(entry.hypers is entry.make.HYPERS for entry in AGENTS.values())


def test_the_options_name_every_agent_and_backend() -> None:
    options = fields_of(RLOptions)
    assert f"one of: {', '.join(AGENTS)}, or sb3:" in about(options["agent"]).help
    assert about(options["backend"]).help.endswith(f"one of: {', '.join(BACKENDS)}")
    assert options["agent"].default in AGENTS and options["backend"].default == DEFAULT_BACKEND


@pytest.mark.parametrize("agent", AGENTS)
@pytest.mark.parametrize("id_", IDS)
def test_defaults_make_an_agent(id_: str, agent: str) -> None:
    try:
        resolve(id_)
    except EnvironmentUnavailable as error:
        pytest.skip(str(error))
    config = configure({"env": id_, "agent": agent})
    learner = make_task(config, workers=1)._new_agent([0])
    learner.set_hypers({name: [value] for name, value in config.hypers.items()})
    assert learner.healthy().all()


@pytest.mark.parametrize("native", [False, True])
def test_bfloat16_is_the_default_only_where_the_device_computes_in_it(native: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr("rl_pbt.agents.networks.computes_in_bfloat16", lambda device: asked.append(device) or native)
    assert configure({"env": "Pacman"}).task_options["agent_options"]["autocast"] == native  # type: ignore[index]
    assert configure({"env": "Pacman", "device": "cuda"}).task_options["agent_options"]["autocast"] == native  # type: ignore[index]
    chosen = configure({"env": "Pacman", "agent_options": {"autocast": True}})
    assert chosen.task_options["agent_options"]["autocast"]  # type: ignore[index]
    assert asked == ["cpu", "cuda"]
    recorded = configure({"env": "Pacman", "agent_options": {"autocast": not native}})
    assert configure({}, recorded) == recorded, "a resume elsewhere keeps what the run began with"
