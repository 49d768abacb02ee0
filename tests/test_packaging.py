"""What is installed claims one import name, and works beside a user's own packages `envs` and `agents`."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

OWN_ENVS = '''
"""A user's own package `envs`, the commonest layout of a reinforcement-learning project."""
import gymnasium
gymnasium.register("Corridor-v0", "envs.corridor:Corridor", max_episode_steps=50)
'''
CORRIDOR = """
import gymnasium
import numpy as np

class Corridor(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(0, 1, (1,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.cell = 0
        return np.zeros(1, np.float32), {}

    def step(self, action):
        self.cell = max(0, self.cell + (1 if action else -1))
        return np.array([self.cell / 10], np.float32), -0.1, self.cell >= 10, False, {}
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of this checkout, unpacked as pip would."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in ("rl_pbt", "agents", "envs", "pyproject.toml", "README.md", "LICENSE"):
        (source / name).symlink_to(ROOT / name)
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--wheel-dir",
        folder,
        source,
    ]
    subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A user's project with packages of these names."""
    for name, source in (("agents/__init__.py", ""), ("envs/__init__.py", OWN_ENVS), ("envs/corridor.py", CORRIDOR)):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(source)
    return tmp_path


def run(installed: Path, project: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(installed), "PYTHONSAFEPATH": ""}
    command = [sys.executable, "-W", "ignore", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=project, env=environment)


def test_one_import_name_is_installed(installed: Path) -> None:
    assert sorted(path.name for path in installed.iterdir() if not path.name.endswith(".dist-info")) == ["rl_pbt"]
    for module in ("agents/a2c.py", "envs/catalogue.py", "tasks/rl/interval.py", "cli/main.py"):
        assert (installed / "rl_pbt" / module).is_file()
    (entry,) = installed.glob("*.dist-info/entry_points.txt")
    assert "rl-pbt = rl_pbt.cli.main:main" in entry.read_text()


def test_it_runs_beside_packages_of_these_names(installed: Path, project: Path) -> None:
    """In worker processes and, when it is resumed, in one."""
    small = ["--population", "2", "--frames", "800", "--interval", "400", "--group-size", "1", "--test-episodes", "2"]
    small += ["--eval-episodes", "1", "--agent-options", "envs_per_member=4", "--workers", "2", "--out", "run"]
    where = run(installed, project, "-c", "import rl_pbt, envs, agents; print(rl_pbt.__file__, envs.__file__)")
    assert str(installed) in where.stdout and str(project) in where.stdout, where.stderr
    done = run(installed, project, "-m", "rl_pbt.bench", "--env", "envs:Corridor-v0", *small)
    assert done.returncode == 0, done.stderr
    named = ["--env", "envs:Corridor-v0"]  # a run imports no code that only its folder names
    refused = run(installed, project, "-m", "rl_pbt", "bench", "--resume", "run")
    assert refused.returncode == 2 and "name it too if you trust it" in refused.stderr
    for ledger in project.glob("run/random/*/ledger.jsonl"):
        ledger.unlink()
    manifest = project / "run" / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"finished"', '"interrupted"'))
    for command in (["bench", "--resume", "run", *named, "--executor", "inline"], ["report", "run"]):
        done = run(installed, project, "-m", "rl_pbt", *command)
        assert done.returncode == 0, done.stderr
    script = "import rl_pbt; print(rl_pbt.load('run', env='envs:Corridor-v0').winner().act([0.0]) in (0, 1), rl_pbt.bench)"
    done = run(installed, project, "-c", script)
    assert done.stdout.startswith("True <function bench"), done.stderr
