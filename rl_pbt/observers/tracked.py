"""The id under which a service keeps the curves of one method and seed, so that a resumed run is continued there, too."""

from __future__ import annotations

import re

from rl_pbt.errors import UserError
from rl_pbt.store.files import check_inside, read_json, write_json
from rl_pbt.store.run import RunFolder

FILE = "tracked.json"
NUMBER = re.compile(r"[0-9A-Za-z_-]{1,128}\Z")  # the folder may come from somebody else


def known_number(run: RunFolder, method: str, seed: int, tracker: str) -> str | None:
    """The id that `keep_number` saved; None if there is none. Raises UserError for a damaged file."""
    path = check_inside(run.folder, *run.method_folder(method, seed).relative_to(run.folder).parts, FILE)
    if not path.exists():
        return None
    number = read_json(path).get(tracker)
    if number is not None and not (isinstance(number, str) and NUMBER.match(number)):
        raise UserError(f"{path} is damaged: delete it, and {tracker} gets a new run")
    return number


def keep_number(run: RunFolder, method: str, seed: int, tracker: str, number: str) -> None:
    """Save the id; durable when this returns."""
    path = run.method_folder(method, seed) / FILE
    before = read_json(path) if path.exists() else {}
    if before.get(tracker) != number:
        write_json(path, {**before, tracker: number})
