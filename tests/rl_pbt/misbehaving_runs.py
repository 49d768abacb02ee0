"""Runs the command on environments that misbehave, one after another in this process: JSON in, a line of JSON for each run out.

`{"ways": ["raise", ...], "words": ["--executor", "inline", ...], "out": "/folder/for/runs", "draw": true}` is the only argument;
plots and the page for a browser are drawn only where that is asked for.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SMALL = [
    *("--methods", "pbt", "random", "--population", "4", "--seeds", "0", "--frames", "800", "--interval", "400"),
    *("--eval-episodes", "2", "--test-episodes", "4", "--search", "learning_rate=log:1e-4:1e-2"),
    *("--agent-options", "envs_per_member=2", "unroll_length=8", "hidden=8"),
]
# Seconds without a sign of life; where somebody is to be given up anyway, a busy machine cannot make a difference.
TIMEOUT_S, TIMEOUT_OF_A_HANG_S = 2.0, 0.5


@contextmanager
def printed() -> Iterator[dict[str, str]]:
    """What this process and its children print within, in a mapping that is filled afterwards."""
    found: dict[str, str] = {}
    files = {number: tempfile.TemporaryFile() for number in (1, 2)}  # noqa: SIM115 - closed below
    before = {number: os.dup(number) for number in files}
    for number, file in files.items():
        os.dup2(file.fileno(), number)
    try:
        yield found
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, file in files.items():
            os.dup2(before[number], number)
            os.close(before[number])
            file.seek(0)
            found["out" if number == 1 else "err"] = file.read().decode(errors="replace")
            file.close()


def one_run(way: str, words: list[str], out: Path) -> dict[str, Any]:
    """The command's exit status, what it printed, and the seconds that it took."""
    from rl_pbt.cli import command

    started = time.monotonic()
    limit = ["--timeout", str(TIMEOUT_OF_A_HANG_S if way == "hang" else TIMEOUT_S)]
    with printed() as found:
        try:
            status: object = command.main(
                ["--env", f"misbehaving_envs:Bad/{way}-v0", *SMALL, *limit, *words, "--out", str(out / way)], "bench"
            )
        except SystemExit as error:
            status = error.code
    return {"way": way, "status": status, "seconds": time.monotonic() - started, **found}


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).with_name("trainings")))
    asked = json.loads(sys.argv[1])
    if not asked["draw"]:
        from rl_pbt.report import writing

        writing._draw = lambda run, evidence, sheets: []
        writing.document_of = lambda evidence, summary, sheets: ""
    for each in asked["ways"]:
        print(json.dumps(one_run(each, asked["words"], Path(asked["out"]))), flush=True)
