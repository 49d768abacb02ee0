"""What is recorded of where something was made is never somebody else's."""

import shutil
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

import rl_pbt
from rl_pbt import provenance
from rl_pbt.envs.families import FAMILIES

ROOT = Path(rl_pbt.__file__).resolve().parent.parent


def git(folder: Path, *words: str) -> str:
    command = ["git", "-c", "user.name=n", "-c", "user.email=e@example.org", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A repository of somebody's that has the suite's modules among its packages."""
    installed = tmp_path / "theirs" / "lib"
    installed.mkdir(parents=True)
    shutil.copytree(ROOT / "rl_pbt", installed / "rl_pbt", ignore=shutil.ignore_patterns("agents", "envs", "__pycache__"))
    git(tmp_path / "theirs", "init", "--quiet")
    git(tmp_path / "theirs", "add", ".")
    git(tmp_path / "theirs", "commit", "--quiet", "--message", "theirs")
    return installed


def commit_seen_in(folder: Path) -> str:
    script = "from rl_pbt import provenance; print(provenance.commit())"
    return subprocess.run([sys.executable, "-c", script], cwd=folder, capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_the_commit_of_a_repository_it_is_installed_inside_is_not_its_own(package: Path) -> None:
    assert commit_seen_in(package) == "None"


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_a_checkout_has_its_commit_and_changed_results_do_not_make_it_dirty(package: Path) -> None:
    (package / "pyproject.toml").touch()
    (package / "results").mkdir()
    (package / "results" / "one").write_text("1")
    git(package, "init", "--quiet")
    git(package, "add", ".")
    git(package, "commit", "--quiet", "--message", "ours")
    head = git(package, "rev-parse", "--short=12", "HEAD")
    assert commit_seen_in(package) == head
    (package / "results" / "one").write_text("2")
    assert commit_seen_in(package) == head
    (package / "pyproject.toml").write_text("changed")
    assert commit_seen_in(package) == f"{head}-dirty"


def test_versions_are_said_without_an_installed_distribution() -> None:
    assert provenance.versions()["rl_pbt"] == rl_pbt.__version__ and "numpy" in provenance.versions()


def test_versions_are_those_of_every_engine_that_is_installed() -> None:
    known, recorded = packages_distributions(), {name.lower() for name in provenance.PACKAGES}
    modules = {*(module for family in FAMILIES.values() for module in family.needs), "envpool", "optuna", "jax", "sentencepiece"}
    installed = {module: known[module] for module in modules if module in known}
    assert installed, "none of them is"
    assert [module for module, names in installed.items() if not recorded & {name.lower() for name in names}] == []
