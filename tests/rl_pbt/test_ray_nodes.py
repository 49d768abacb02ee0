"""Ray with several nodes, all on this machine: one is killed whenever it may be, and the run is the same."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

from rl_pbt.errors import BadSetting
from rl_pbt.executors import InlineExecutor, RayExecutor, RayOptions, ray_cluster
from rl_pbt.tasks.quadratic import QuadraticTask
from tests.rl_pbt.test_controller import contents
from tests.rl_pbt.test_ray import Sluggish, search

pytestmark = pytest.mark.skipif(find_spec("ray") is None, reason="needs Ray, of the extra ray")


class Nodes:
    """A cluster that another process has made."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdin is not None and process.stdout is not None
        self.address = next(line for line in process.stdout if ":" in line).strip()
        self._orders = process.stdin

    def kill(self, place: int) -> None:
        """With all that runs on it; a new one begins."""
        self._orders.write(f"{place}\n")
        self._orders.flush()


@pytest.fixture(scope="module", autouse=True)
def one_token() -> Iterator[None]:
    """As people set it on all nodes. Ray asks once whether there is one, and other tests of this process have theirs."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ray_cluster._token().items():
            patch.setenv(name, value)
        yield


@contextmanager
def several(count: int) -> Iterator[Nodes]:
    line = [sys.executable, str(Path(__file__).with_name("ray_nodes.py")), str(count)]
    with subprocess.Popen(
        line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True
    ) as process:
        yield Nodes(process)


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    with several(2) as made:
        yield made


def run(folder: Path, nodes: Nodes, workers: int, kills: Sequence[tuple[float, int]] = (), method: str = "pbt") -> None:
    """A run during which nodes are killed, each so many seconds after the last."""

    def kill() -> None:
        for seconds, place in kills:
            time.sleep(seconds)
            nodes.kill(place)

    killer = threading.Thread(target=kill)
    with closing(RayExecutor(Sluggish(seconds=0.4), workers, RayOptions(ray_address=nodes.address))) as executor:
        killer.start()
        search(folder, method, executor)
    killer.join()


def test_two_nodes_do_the_run_of_one_machine(nodes: Nodes, tmp_path: Path) -> None:
    search(tmp_path / "inline", "pbt-async", InlineExecutor(QuadraticTask()))
    run(tmp_path / "ray", nodes, 2, method="pbt-async")
    assert contents(tmp_path / "ray") == contents(tmp_path / "inline")


def test_nodes_that_are_killed_change_nothing_and_say_nothing(
    nodes: Nodes, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    search(tmp_path / "inline", "pbt", InlineExecutor(QuadraticTask()))
    run(tmp_path / "ray", nodes, 2, [(3.0, 0), (1.0, 1)])
    assert contents(tmp_path / "ray") == contents(tmp_path / "inline")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("address", ["127.0.0.1:1", "127.0.0.1", "ray://127.0.0.1:1"])
def test_a_cluster_that_is_not_there_is_told_in_a_line(address: str) -> None:
    with pytest.raises(BadSetting, match=rf"ray_address names {address}, which cannot be joined: "):
        RayExecutor(QuadraticTask(), 1, RayOptions(ray_address=address))


@pytest.mark.nightly
def test_three_nodes_one_of_them_killed_in_each_of_ten_runs(tmp_path: Path) -> None:
    search(tmp_path / "inline", "pbt", InlineExecutor(QuadraticTask()))
    rng = random.Random(0)
    with several(3) as nodes:
        for number in range(10):
            run(tmp_path / str(number), nodes, 3, [(rng.uniform(0, 6), rng.randrange(3))])
            assert contents(tmp_path / str(number)) == contents(tmp_path / "inline")
