"""`rl-pbt play RUN`: shows the winner of a run playing, in a window or as a video."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rl_pbt.cli.parser import Parser, in_flags
from rl_pbt.cli.starting import raise_again
from rl_pbt.errors import BadSetting, UserError, exit_status
from rl_pbt.recorded import check_kept, chosen_winner, manifest_of
from rl_pbt.store.run import RunFolder
from rl_pbt.tasks.registry import task_type
from rl_pbt.text import listed

if TYPE_CHECKING:
    from rl_pbt.play.episodes import Episode, Stage
    from rl_pbt.play.pictures import Shot


def main(words: Sequence[str], program: str) -> int:
    """Run the command, and return its exit status."""
    parser = build_parser(program)
    return exit_status(lambda: _watch(parser.parse_args(words)), lambda error: in_flags(error, parser, words))


def build_parser(program: str) -> Parser:
    """The parser of this command."""
    parser = Parser(
        program,
        "Watch the winner of a run play whole test episodes, in a window or as a video.",
        usage=[f"{program} RUN [options]"],
        examples=[
            f"{program} results/ALE-Pacman-v5/RUN",
            f"{program} results/ALE-Pacman-v5/RUN --video winner.mp4",
            f"{program} results/ALE-Pacman-v5/RUN --video winner.gif --method random --seed 1",
            f"{program} results/ALE-Pacman-v5/RUN --video best.mp4 --best-of 30",
        ],
    )
    add = parser.add_argument
    add("run", type=Path, metavar="RUN", help="the run's folder, which holds manifest.json")
    add("--video", type=Path, metavar="FILE", help="write a video, .mp4 or .gif, instead of opening a window")
    add("--episodes", type=int, metavar="N", help="how many episodes (default: 1)")
    add("--best-of", type=int, metavar="N", help="play N episodes, and show only the best one, which is not typical")
    add("--method", metavar="NAME", help="whose winner (default: the best tested of all)")
    add("--seed", type=int, metavar="N", help="which seed's (default: the best tested of all)")
    add(
        "--env",
        metavar="NAME",
        help="the environment again, if it is from a module (module:Id): a run imports no code by itself",
    )
    return parser


def _watch(args: argparse.Namespace) -> None:
    _check(args)
    os.environ.setdefault("SDL_VIDEODRIVER", "dummy")  # otherwise pygame looks for a display, and complains
    from rl_pbt.api import load
    from rl_pbt.play.episodes import staged, tested

    run = load(args.run, env=args.env)
    method, seed, _ = run.chosen(args.method, args.seed)
    whose = f"the winner of {method}, seed {seed}"
    with staged(run, method, seed) as stage:
        raise_again()
        print(whose, flush=True)
        best = _best(stage, args.best_of) if args.best_of else None
        numbers = [best.number] if best else range(1, (args.episodes or 1) + 1)
        saved = _shown(_told(stage, numbers), args.video)
        if best and stage.played and stage.played[0].earned != best.earned:
            print(f"episode {best.number} returned {best.earned:g} at first: this environment does not repeat its episodes")
        if saved and stage.played:
            which = _shown_in_words(stage.played, args.best_of)
            returns = listed([f"{episode.earned:g}" for episode in stage.played])
            noun = "return" if len(stage.played) == 1 else "returns"
            print(f"saved {saved}: {which} of {whose}, {noun} {returns}{_typical(tested(run, method, seed))}")


def _check(args: argparse.Namespace) -> None:
    """Raises UserError for impossible arguments, before anything large is loaded."""
    for name in ("episodes", "best_of"):
        if (number := getattr(args, name)) is not None and number < 1:
            raise BadSetting(name, f"must be 1 or more, but is {number}")
    if args.episodes and args.best_of:
        raise BadSetting("best_of", "shows one episode: leave the number of episodes out")
    folder = RunFolder(args.run.absolute())
    config = manifest_of(folder).config
    if "env" not in config.task_options:  # said before anything about displays and files, which would not help
        instead = task_type(config.task).not_exported(config.task_options)
        raise UserError(f"there is nothing to watch, since this run trained no agent on an environment: {instead}")
    check_kept(folder, *chosen_winner(folder, config, args.method, args.seed))
    if args.video is not None:
        from rl_pbt.play.film import check_name

        check_name(args.video)
    else:
        from rl_pbt.play.window import check_display

        check_display()


def _shown(shots: Iterator[Shot], video: Path | None) -> str | None:
    """Show the pictures, or write them to `video`; a description of the file, if one was saved."""
    if video is None:
        from rl_pbt.play.window import show

        show(shots)
        return None
    from rl_pbt.play.film import write_film

    film = write_film(shots, video)
    return f"{video} ({film.pictures} frames, {film.seconds:.0f} s)"


def _best(stage: Stage, episodes: int) -> Episode:
    """Play that many episodes without drawing, print each, and return the best one (the first, in a tie)."""
    played = []
    for episode in stage.unseen(range(1, episodes + 1)):
        print(_in_words(episode), flush=True)
        played.append(episode)
    return max(played, key=lambda episode: episode.earned)


def _told(stage: Stage, numbers: Sequence[int]) -> Iterator[Shot]:
    """The pictures of these episodes; a line about each episode is printed when it has ended."""
    for number in numbers:
        yield from stage.shots([number])
        print(_in_words(stage.played[-1]), flush=True)


def _in_words(episode: Episode) -> str:
    return f"episode {episode.number}: return {episode.earned:g} in {episode.steps} steps"


def _shown_in_words(played: Sequence[Episode], best_of: int | None) -> str:
    """`episode 1`, `episodes 1 to 3`, `episode 4, the best of 30 and so not typical,`."""
    if best_of:
        return f"episode {played[0].number}, the best of {best_of} and so not typical,"
    return f"episode {played[0].number}" if len(played) == 1 else f"episodes {played[0].number} to {played[-1].number}"


def _typical(tested: tuple[float, int] | None) -> str:
    return f"; its mean over the {tested[1]} test episodes is {tested[0]:.4g}" if tested else ""
