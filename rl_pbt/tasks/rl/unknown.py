"""What an environment without defaults is like: its actions and its observations, found out in a separate process.

Only the environment itself can tell, and its constructor may do anything: hang, or end the process that calls it. That must not
be the process that plans a run.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import final

from gymnasium import spaces

from rl_pbt.envs import EnvironmentUnavailable, EnvSpec, UnknownEnvironment, chosen_of, close_quietly, make_vector, resolve
from rl_pbt.envs.aliases import Vector
from rl_pbt.tasks import process_group

PATIENCE_S = 60.0  # for the import of a package and for one constructor
FOUND, NOT_REGISTERED = 70, 71  # exit statuses that no environment has by chance


@final
@dataclass(frozen=True, slots=True)
class Nature:
    """Whether actions are continuous, and whether an observation has more than one axis, as images have."""

    continuous: bool = False
    pictures: bool = False

    @classmethod
    def of(cls, env: Vector) -> Nature:
        """The nature of an environment that could be made."""
        observation = env.single_observation_space.shape or ()
        return cls(continuous=isinstance(env.single_action_space, spaces.Box), pictures=len(observation) > 1)


def nature_of(spec: EnvSpec) -> Nature:
    """The nature of an environment. If it cannot be made, that of most: the run that follows will say what is wrong with it."""
    path = os.pathsep.join(folder for folder in sys.path if folder)
    with tempfile.TemporaryDirectory() as scratch:
        ended = process_group.run(
            [sys.executable, "-m", __name__, spec.id, json.dumps(chosen_of(spec.options))],
            cwd=os.getcwd(),
            env={**os.environ, "PYTHONPATH": path},
            timeout_s=PATIENCE_S,
            scratch=Path(scratch),
        )
    if ended.status == FOUND:
        return Nature(**json.loads(ended.out.splitlines()[-1]))
    return _made_here(spec) if ended.status == NOT_REGISTERED else Nature()


def _made_here(spec: EnvSpec) -> Nature:
    """The nature of an environment that a script has registered, so that no other process can make it."""
    try:
        env = make_vector(spec, 1)
    except Exception:
        return Nature()
    found = Nature.of(env)
    close_quietly(env)
    return found


def main() -> None:
    """What the separate process runs: the last line that it prints is the answer."""
    try:
        spec = resolve(sys.argv[1], options=json.loads(sys.argv[2]))
    except (UnknownEnvironment, EnvironmentUnavailable):
        sys.exit(NOT_REGISTERED)
    print(f"\n{json.dumps(asdict(Nature.of(make_vector(spec, 1))))}", flush=True)
    os._exit(FOUND)  # at once, without what the environment does when it is closed


if __name__ == "__main__":
    main()
