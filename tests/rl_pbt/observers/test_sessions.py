"""What stands on the screen of a terminal while a run goes on: real runs, in a terminal that is emulated."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyte
import pytest

DRAWN_IN_S = 0.03
COMMAND = Path(__file__).parents[1] / "undrawn.py"
TRAINING = """
import time


class Slow:
    def __init__(self, hypers, seed):
        self.age, self.rate = 0.0, hypers["rate"]

    def set_hypers(self, hypers):
        self.rate = hypers["rate"]

    def train(self, budget):
        time.sleep(PAUSE)
        self.age += budget * self.rate

    def evaluate(self, seed):
        return SCALE * (self.age + seed % 7)

    def state(self):
        return {"age": self.age}

    def load(self, state):
        self.age = state["age"]
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """What a person saw: every screen that differed from the one before, and what was left at the end."""

    screens: list[list[str]]
    end: list[str]
    status: int
    raw: bytes


def session(
    folder: Path,
    *,
    columns: int,
    lines: int,
    members: int,
    pause_s: float,
    scale: float = 1.0,
    seeds: int = 1,
    term: str = "xterm-256color",
    **variables: str,
) -> Session:
    """A run of the tune command in a terminal of that size, watched to its end."""
    (folder / "slowly.py").write_text(TRAINING.replace("PAUSE", str(pause_s)).replace("SCALE", str(scale)))
    words = ["tune", "--task", "slowly:Slow", "--search", "rate=log:1e-3:1", "momentum=linear:0:1", "--population", str(members)]
    words += ["--budget", "40", "--interval", "10", "--out", "results/run", "--executor", "inline", "--methods", "pbt", "random"]
    words += ["--seeds", *map(str, range(seeds))]
    main, side = pty.openpty()
    fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    environment = {
        name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "NO_COLOR", "CI")
    } | variables
    command = [sys.executable, str(COMMAND), *words]
    process = subprocess.Popen(command, cwd=folder, stdin=side, stdout=side, stderr=side, env={**environment, "TERM": term})
    os.close(side)
    screen = pyte.Screen(columns, lines)
    emulator = pyte.ByteStream(screen)
    screens: list[list[str]] = []
    raw = b""
    for piece in _pieces(main):
        raw += piece
        emulator.feed(piece)
        now = [line.rstrip() for line in screen.display]
        if not screens or now != screens[-1]:
            screens.append(now)
    os.close(main)
    return Session(screens=screens, end=screens[-1], status=process.wait(timeout=60), raw=raw)


def _pieces(terminal: int) -> Iterator[bytes]:
    """What is written between two pauses: whole pictures of the screen, and not the halves of one."""
    while True:
        piece = b""
        try:
            while not piece or select.select([terminal], [], [], DRAWN_IN_S)[0]:
                piece += os.read(terminal, 1 << 16)
        except OSError:  # nobody writes to it any more
            if piece:
                yield piece
            return
        yield piece


def of_members(screens: list[list[str]]) -> list[list[str]]:
    """Those of a search underway."""
    return [screen for screen in screens if any(re.search("# .* fitness", line) for line in screen)]


def member_rows(screen: list[str]) -> list[str]:
    return [line for line in screen if re.match(r"[ ▸>]*\d+ [★* ]? ", line)]


@pytest.mark.parametrize(("columns", "lines", "members"), [(80, 24, 24), (200, 50, 16), (80, 24, 64), (44, 16, 8)])
def test_progress_is_always_seen_and_every_member_has_a_fitness(tmp_path: Path, columns: int, lines: int, members: int) -> None:
    seen = session(tmp_path, columns=columns, lines=lines, members=members, pause_s=0.8 / members)
    assert seen.status == 0
    screens = of_members(seen.screens)
    assert len(screens) >= 5
    for screen in screens:
        assert any(line.startswith("rl_pbt · Slow") for line in screen), screen
        assert sum(line.startswith(("pbt ", "random ")) for line in screen) >= 2, screen
        assert len(member_rows(screen)) >= min(members, 5), screen
    later = [screen for screen in screens if re.search(r"generation [34]/4", "\n".join(screen))]
    assert later, "the generation is told"
    for screen in later:
        assert all(re.search(r"\d [★ ] .*\d", line) for line in member_rows(screen)), screen
        assert not any("–" in line for line in member_rows(screen)), screen
        assert sum("★" in line for line in screen) >= 1, screen
    if members == 16:
        assert all(len(member_rows(screen)) == members for screen in later)
    text = "\n".join(line for screen in screens for line in screen)
    assert re.search(r"random +\S* +waiting", text) and re.search(r"pbt +━+ +test score", text)


@pytest.mark.parametrize("columns", [80, pytest.param(100, marks=pytest.mark.nightly)])
def test_of_several_seeds_and_large_scores_no_name_and_no_number_is_cut(tmp_path: Path, columns: int) -> None:
    seen = session(tmp_path, columns=columns, lines=24, members=2, pause_s=0.2, scale=54_321.0, seeds=2)
    assert seen.status == 0
    rows = [line for screen in of_members(seen.screens) for line in screen if line.startswith(("pbt ", "random "))]
    assert len(rows) >= 10
    for row in rows:
        assert re.match(r"(pbt   |random)  [━╸╺ ]*(waiting|seed \d/2|test score)", row), row
        assert "…" not in row and not re.search(r"(best|median|copies|score)$", row), row
    text = "\n".join(rows)
    assert re.search(r"seed 2/2 +generation \d/4 +best \d{3},\d{3} ", text)
    assert re.search(r"test score \d{3},\d{3}", text)


def test_the_end_is_a_table_and_nothing_of_the_screen_is_left(tmp_path: Path) -> None:
    seen = session(tmp_path, columns=100, lines=40, members=4, pause_s=0.12)
    end = "\n".join(seen.end)
    assert "total" not in end and "momentum" in end and "test score" in end
    assert "report  results/run/" in end and "curves  tensorboard --logdir results/run/tensorboard" in end
    assert end.count("rl_pbt ·") == 0


def test_a_dumb_terminal_gets_plain_lines(tmp_path: Path) -> None:
    seen = session(tmp_path, columns=100, lines=40, members=4, pause_s=0.05, term="dumb")
    assert b"\x1b" not in seen.raw and b"pbt, seed 0 generation 2/4: best " in seen.raw


@pytest.mark.parametrize("encoding", ["ascii", pytest.param("latin-1", marks=pytest.mark.nightly)])
def test_a_terminal_without_our_characters_gets_others(tmp_path: Path, encoding: str) -> None:
    seen = session(tmp_path, columns=80, lines=24, members=4, pause_s=0.12, PYTHONIOENCODING=encoding)
    assert seen.status == 0
    text = seen.raw.decode(encoding)
    assert "Traceback" not in text and "test score" in text
    assert any("*" in line for screen in of_members(seen.screens) for line in member_rows(screen)), "the best has a star"


def test_no_color_is_heeded(tmp_path: Path) -> None:
    """As https://no-color.org asks: no colours; bold and the like may stay, and so does the screen."""
    colour = re.compile(rb"\x1b\[(?:\d+;)*(?:3[0-8]|4[0-8]|9[0-7]|10[0-7])(?:;\d+)*m")
    plain = session(tmp_path, columns=80, lines=24, members=4, pause_s=0.12, NO_COLOR="1")
    assert plain.status == 0 and not colour.search(plain.raw) and of_members(plain.screens)
