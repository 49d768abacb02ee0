"""How files of a run folder are spoiled, for the tests beside it: every field in turn, whole lines, and what is read then."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import json
import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias
from zlib import crc32

from rl_pbt.store.files import parsed
from rl_pbt.store.manifest import digest

Place: TypeAlias = tuple[str | int, ...]  # keys from the root of a JSON value down

# Text that a JSON library of Python would not write, or not so. It goes into a file as it is.
LITERALS = {
    "1e300": "1e300",
    "10^400": "1" + "0" * 400,
    "10^5000": "1" + "0" * 5000,
    "2^63": str(2**63),
    "-2^63": str(-(2**63)),
    "1e999": "1e999",
    "NaN": "NaN",
    "infinity": "Infinity",
    "minus infinity": "-Infinity",
    "rather deep lists": "[" * 400 + "]" * 400,
    "deep lists": "[" * 10_000 + "]" * 10_000,
    "deep objects": '{"a":' * 10_000 + "1" + "}" * 10_000,
    "half a surrogate": '"\\ud800"',
    "a name twice": '{"a": 1, "a": 2}',
    "not JSON": "}",
}
VALUES: Mapping[str, object] = {
    "null": None,
    "true": True,
    "a number": 7,
    "a fraction": 0.5,
    "negative": -1,
    "a negative fraction": -0.5,
    "zero": 0,
    "a word": "word",
    "a list": [],
    "a list of a word": ["word"],
    "an object": {},
    "an object with a word": {"word": 1},
    "an empty text": "",
    "a long text": "x" * 1_000_000,
    "control characters": "a\n\r\t\x00\x07\x1b[2J\x1b]0;title\x07\x9b31m\u202e",
    "HTML": "<img src=x onerror=alert(1)>",
    "Markdown": "a|b](javascript:alert(1)) ![x](http://x/y.png)\n# heading\n[z]: http://z",
    "ticks": "`a``b```c",
    "a formula": "$\\frac$ and $x",
    "a path upwards": "../../x",
    "a path": "/etc/passwd",
    "a module": "this:Zen",
}
MISSING = "missing"
SPOILS = (MISSING, *LITERALS, *VALUES)


def places(value: object, here: Place = ()) -> Iterator[Place]:
    """Of every value inside another, itself counted."""
    yield here
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, entry in inner:
        yield from places(entry, (*here, key))


def spoiled(value: object, place: Place, spoil: str) -> str:
    """JSON text of a value with something else at one place."""
    mark = "@spoiled@"
    changed: Any = json.loads(json.dumps(value))
    if not place:
        changed = None if spoil == MISSING else VALUES.get(spoil, mark)
    else:
        scope = changed
        for key in place[:-1]:
            scope = scope[key]
        if spoil == MISSING:
            del scope[place[-1]]
        else:
            scope[place[-1]] = VALUES.get(spoil, mark)
    return json.dumps(changed, sort_keys=True, separators=(",", ":")).replace(f'"{mark}"', LITERALS.get(spoil, ""))


def sealed(lines: list[str], last_of_batch: list[bool]) -> bytes:
    """A ledger of these lines, with checksums that fit at the end of each batch."""
    content = b""
    for line, last in zip(lines, last_of_batch, strict=True):
        content += line.encode(errors="surrogatepass")
        if last:
            content = content.removesuffix(b"}")
            content += b',"crc":"%08x"}' % crc32(content)
        content += b"\n"
    return content


def unsealed(content: bytes) -> tuple[list[str], list[bool]]:
    """The lines of a ledger without checksums, and which of them end a batch."""
    lines = [json.loads(line) for line in content.splitlines()]
    last = [line.pop("crc", None) is not None for line in lines]
    return [json.dumps(line, sort_keys=True, separators=(",", ":")) for line in lines], last


def ledgers_of(folder: Path) -> list[Path]:
    """Of a run, also those that were compressed."""
    return sorted(folder.rglob("ledger.jsonl*"))


def content_of(ledger: Path) -> bytes:
    content = ledger.read_bytes()
    return gzip.decompress(content) if ledger.suffix == ".gz" else content


def put(ledger: Path, content: bytes) -> None:
    ledger.write_bytes(gzip.compress(content, mtime=0) if ledger.suffix == ".gz" else content)


def fit(sent: Path) -> None:
    """Let the ledgers of a folder say that they are of the configuration that its manifest has now, if it has one."""
    with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError):
        fields: Any = parsed((sent / "manifest.json").read_bytes())
        config = digest(fields.get("begun_with", fields["config"]))
        for path in ledgers_of(sent):
            lines, last = unsealed(content_of(path))
            lines[0] = json.dumps({**json.loads(lines[0]), "config": config}, sort_keys=True, separators=(",", ":"))
            put(path, sealed(lines, last))


def spoiled_ledger(content: bytes, chance: random.Random, spoil: str) -> tuple[bytes, str]:
    """A ledger with one field of one line spoiled, its checksums made to fit; and what was done."""
    lines, last = unsealed(content)
    number = chance.randrange(len(lines))
    fields = json.loads(lines[number])
    place = chance.choice(list(places(fields)))
    lines[number] = spoiled(fields, place, spoil)
    return sealed(lines, last), f"line {number + 1}, {'.'.join(map(str, place)) or 'all of it'}: {spoil}"


def changed_ledger(content: bytes, chance: random.Random, event: str, change: dict[str, Any]) -> tuple[bytes, str]:
    """A ledger of which one event of a kind, or each of them, has other values; a value for `hypers` is that of each of them."""
    lines, last = unsealed(content)
    numbers = [number for number, line in enumerate(lines) if json.loads(line)["event"] == event]
    chosen = numbers if chance.random() < 0.5 else numbers[:1]
    for number in chosen:
        fields = json.loads(lines[number])
        inner = next(entry for entry in fields.values() if isinstance(entry, dict))
        inner |= {"hypers": dict.fromkeys(inner["hypers"], change["hypers"])} if "hypers" in change else change
        lines[number] = json.dumps(fields, sort_keys=True, separators=(",", ":"))
    return sealed(lines, last), f"{len(chosen)} lines: {event} {change!s:.80}"


WHOLE_LINES = ("swapped", "dropped", "doubled", "of another ledger", "of the end first", "cut short", "merged")


def rearranged(content: bytes, other: bytes, chance: random.Random, how: str) -> tuple[bytes, str]:
    """A ledger whose lines are each as somebody wrote it, but not where; its checksums fit."""
    (lines, last), (others, _) = unsealed(content), unsealed(other)
    one, two = sorted(chance.sample(range(1, len(lines)), 2))
    match how:
        case "swapped":
            lines[one], lines[two] = lines[two], lines[one]
        case "dropped":
            del lines[one], last[one]
        case "doubled":
            lines.insert(two, lines[one])
            last.insert(two, True)
        case "of another ledger":
            lines[one] = others[min(one, len(others) - 1)]
        case "of the end first":
            lines.insert(1, lines[-1])
            last.insert(1, True)
        case "cut short":
            del lines[one:], last[one:]
            last[-1] = True
        case _:
            last[:-1] = [False] * (len(last) - 1)
    return sealed(lines, last), f"lines {one + 1} and {two + 1} {how}"


def snapshot(folder: Path) -> dict[str, str]:
    """A fingerprint of every file, folder and link in a folder."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = f"link to {path.readlink()}"
        else:
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder"
    return found
