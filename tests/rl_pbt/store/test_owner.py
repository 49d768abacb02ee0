"""One owner of a folder at a time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from rl_pbt.errors import UserError
from rl_pbt.store.owner import RUN_LOCK, Holder, holder, owned

HOLDS = """
import os, sys, time
from pathlib import Path
from rl_pbt.store.owner import owned
with owned(Path(sys.argv[1])):
    if sys.argv[2] == "fork" and os.fork() == 0:
        time.sleep(60)
        os._exit(0)
    print("held", flush=True)
    time.sleep(60)
"""


def holding(folder: Path, how: str = "alone") -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(folder), how], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    return process


def test_a_second_process_is_told_who_owns_it(tmp_path: Path) -> None:
    with holding(tmp_path) as other:
        assert holder(tmp_path) == Holder(pid=other.pid, host=os.uname().nodename)
        with pytest.raises(UserError, match=f"in use by process {other.pid} on "), owned(tmp_path):
            raise AssertionError("owned twice")
        other.kill()
        other.wait()
        assert holder(tmp_path) is None
        with owned(tmp_path):
            assert holder(tmp_path) == Holder(pid=os.getpid(), host=os.uname().nodename)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_what_its_owner_forked_does_not_own_it(tmp_path: Path) -> None:
    with holding(tmp_path, "fork") as other:
        other.kill()  # and not its child
        other.wait()
        with owned(tmp_path):
            pass
        os.killpg(other.pid, signal.SIGKILL)


def test_threads_of_one_process_are_kept_apart_and_asking_does_not_free_it(tmp_path: Path) -> None:
    said: list[str] = []

    def second() -> None:
        try:
            with owned(tmp_path):
                said.append("owned")
        except UserError as error:
            said.append(str(error))

    with owned(tmp_path):
        for _ in range(2):
            thread = threading.Thread(target=second)
            thread.start()
            thread.join()
        assert len(said) == 2 and all(f"in use by process {os.getpid()}" in line for line in said)
        probe = f"from pathlib import Path; from rl_pbt.store.owner import holder; print(holder(Path({str(tmp_path)!r})))"
        seen = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
        assert f"process {os.getpid()} on " in seen.stdout
    second()
    assert said[-1] == "owned"


def test_a_lock_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("mine")
    run = tmp_path / "run"
    run.mkdir()
    (run / RUN_LOCK).symlink_to(precious)
    with pytest.raises(UserError, match="cannot write"), owned(run):
        pass
    assert precious.read_text() == "mine"
    assert holder(run) is None


@pytest.mark.parametrize("note", [b"", b"{", b"[]", b'{"pid": "x", "host": 1}', b"\xff" * 2000])
def test_a_damaged_note_names_nobody(tmp_path: Path, note: bytes) -> None:
    with holding(tmp_path) as other:
        (tmp_path / RUN_LOCK).write_bytes(note)
        assert holder(tmp_path) == Holder()
        other.kill()
