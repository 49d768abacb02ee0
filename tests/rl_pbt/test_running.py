"""Which runs can begin, go on, or be extended."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rl_pbt.errors import UserError
from rl_pbt.making import configure
from rl_pbt.opening import open_run
from rl_pbt.report import summarise
from rl_pbt.running import execute, prepare
from rl_pbt.store.compacting import compact
from rl_pbt.store.events import Finished, Header
from rl_pbt.store.ledger import Ledger
from rl_pbt.store.manifest import Manifest
from rl_pbt.store.run import RunFolder
from tests.rl_pbt.faults.spoiling import fit


def run_of(folder: Path, **settings: Any) -> Path:
    folder.mkdir()
    RunFolder(folder).write_manifest(Manifest(command="made by a test", config=configure(settings)))
    return folder


@pytest.mark.parametrize("settings", [{"task": "quadratic"}, {"env": "CartPole-v1", "methods": ["pbt", "random", "pbt-async"]}])
def test_a_larger_budget_extends_a_run(settings: dict[str, Any], tmp_path: Path) -> None:
    folder = run_of(tmp_path / "run", **settings)
    recorded = open_run({}, resume=folder)
    assert not recorded.is_extended and recorded.earlier_budgets == ()
    longer = open_run({"budget": 2 * recorded.config.budget}, resume=folder)
    assert longer.is_extended and longer.earlier_budgets == (recorded.config.budget,)


def test_an_option_of_a_method_that_a_run_did_not_know_of_has_its_default(tmp_path: Path) -> None:
    config = configure({"task": "quadratic", "methods": ["pbt", "random"], "fraction": 0.3})
    older = {name: value for name, value in config.method_options.items() if name != "copy_margin"}
    (tmp_path / "run").mkdir()
    RunFolder(tmp_path / "run").write_manifest(Manifest(command="of before", config=replace(config, method_options=older)))
    assert open_run({}, resume=tmp_path / "run").config == config
    with pytest.raises(UserError, match=r"another configuration \(method_options.copy_margin: 1.0, not 0.0\)"):
        open_run({"copy_margin": 1.0}, resume=tmp_path / "run")


@pytest.mark.parametrize(
    ("settings", "given", "says"),
    [
        ({"task": "quadratic"}, {"budget": 2}, r"it can be extended, and not shortened"),
        (
            {"env": "CartPole-v1", "methods": ["pbt", "asha"]},
            {"budget": 10**6},
            r"cannot be extended for asha, which chose",
        ),
        (
            {"env": "CartPole-v1", "agent": "ppo", "agent_options": {"anneal": "linear"}},
            {"budget": 10**6},
            r"cannot be extended, since the learning rate is annealed over all of it: start a new run",
        ),
        ({"env": "CartPole-v1", "agent": "sb3:dqn"}, {"budget": 10**6}, r"since its exploration falls over all of it"),
        ({"task": "quadratic"}, {"population": 77}, r"holds a run of another configuration \(population: 77, not 8\)"),
        ({"task": "quadratic"}, {"budget": 10**6, "population": 77}, r"holds a run of another configuration"),
    ],
)
def test_what_cannot_be_extended_or_is_another_run_is_refused(
    settings: dict[str, Any], given: dict[str, Any], says: str, tmp_path: Path
) -> None:
    folder = run_of(tmp_path / "run", **settings)
    with pytest.raises(UserError, match=says):
        open_run(given, resume=folder)


@pytest.fixture
def ended(tmp_path: Path) -> RunFolder:
    settings = {"task": "quadratic", "methods": ["pbt"], "population": 2, "budget": 20, "interval": 10}
    execute(prepare(open_run(settings, out=tmp_path / "run"), workers=1, executor="inline"), command="made by a test")
    return RunFolder(tmp_path / "run")


@pytest.mark.parametrize("compressed", [False, True])
def test_a_ledger_of_another_run_than_the_manifest_is_not_reported(ended: RunFolder, compressed: bool) -> None:
    assert summarise(ended).status == "finished"
    manifest = ended.manifest()
    if compressed:
        compact(ended)
    ended.write_manifest(replace(manifest, config=replace(manifest.config, budget=40)))
    assert summarise(ended).status == "finished", "a budget can be extended"
    ended.write_manifest(replace(manifest, config=replace(manifest.config, hypers={"h0": 1.0, "h1": 0.5})))
    with pytest.raises(UserError, match=r"ledger\.jsonl belongs to a run of another configuration: restore the folder") as told:
        summarise(ended)
    assert "\n" not in str(told.value)


def test_a_ledger_without_a_digest_is_reported(ended: RunFolder) -> None:
    ledger = ended.ledger("pbt", 0)
    events = ledger.read()
    ledger.path.unlink()
    Ledger(ledger.path, Header()).append(events)
    assert summarise(ended).status == "finished"


def scores(run: RunFolder) -> list[float | None]:
    return [event.result.score for event in run.ledger("pbt", 0).read() if isinstance(event, Finished)]


def begun_before(place: str, option: str, run: RunFolder) -> None:
    """Make the run one of an earlier version, which did not have this option, and which was stopped in its first generation."""
    fields = json.loads(run.manifest_path.read_text())
    del (fields["config"][place] if place else fields["config"])[option]
    fields["status"] = "interrupted"
    run.manifest_path.write_text(json.dumps(fields))
    fit(run.folder)
    lines = run.ledger("pbt", 0).path.read_bytes().splitlines(keepends=True)
    run.ledger("pbt", 0).path.write_bytes(b"".join(lines[:5]))


@pytest.mark.parametrize(("place", "option"), [("method_options", "copy_margin"), ("task_options", "step_size"), ("", "against")])
def test_a_run_from_before_an_option_was_added_is_resumed_reported_and_resumed_once_more(
    place: str, option: str, ended: RunFolder
) -> None:
    results, whole = scores(ended), ended.manifest().config
    begun_before(place, option, ended)
    assert scores(ended) == results[: len(scores(ended))] != results
    execute(prepare(open_run({}, resume=ended.folder), workers=1, executor="inline"), command="made by a test")
    assert summarise(ended).status == "finished" and scores(ended) == results
    execute(prepare(open_run({"budget": 40}, resume=ended.folder), workers=1, executor="inline"), command="made by a test")
    assert summarise(ended).status == "finished"
    assert ended.manifest().config == replace(whole, budget=40), "a later version, with another default, would do the same"


def test_a_configuration_that_is_not_that_of_the_runs_beginning_is_damage(ended: RunFolder) -> None:
    begun_before("method_options", "copy_margin", ended)
    execute(prepare(open_run({}, resume=ended.folder), workers=1, executor="inline"), command="made by a test")
    fields = json.loads(ended.manifest_path.read_text())
    fields["config"]["method_options"]["fraction"] = 0.5
    ended.manifest_path.write_text(json.dumps(fields))
    with pytest.raises(UserError, match=r"manifest\.json is damaged or of another version: begun_with is"):
        summarise(ended)


def test_a_resume_that_is_refused_leaves_the_manifest_as_it_was(ended: RunFolder) -> None:
    manifest = ended.manifest()
    other = replace(manifest.config, method_options={**manifest.config.method_options, "copy_margin": 1.0})
    ended.write_manifest(replace(manifest, status="interrupted", config=other))
    before = ended.manifest_path.read_bytes()
    with pytest.raises(UserError, match="belongs to a run of another configuration"):
        execute(prepare(open_run({}, resume=ended.folder), workers=1, executor="inline"), command="made by a test")
    assert ended.manifest_path.read_bytes() == before and ended.manifest().status == "interrupted"


def test_workers_train_before_what_writes_reports_is_loaded(tmp_path: Path) -> None:
    """And it is loaded before the first result, so that a run of hours ends with the code that it began with."""
    script = (
        "import sys\n"
        "from rl_pbt.executors.processes import ProcessExecutor\n"
        "from rl_pbt.cli.main import main\n"
        "submit, loaded = ProcessExecutor.submit, []\n"
        "def watched(self, job):\n"
        "    loaded.append('rl_pbt.report' in sys.modules)\n"
        "    return submit(self, job)\n"
        "ProcessExecutor.submit = watched\n"
        "if __name__ == '__main__':\n"
        "    words = ['tune', '--task', 'quadratic', '--methods', 'pbt', '--group-size', '100', '--executor', 'processes']\n"
        f"    try: main([*words, '--out', {str(tmp_path / 'run')!r}])\n"
        "    finally: print('loaded', *loaded)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("loaded ")]
    first, *others = line.split()[1:]
    assert first == "False" and others and set(others) == {"True"}
