"""States as people write them, nested dicts and lists of arrays and numbers, turned into named arrays and back.

`packed` gives every array a name of its own and puts the rest, the structure, into one more array as JSON: a checkpoint holds
numbers and text, and reading it runs no code. The round trip keeps every type: an int stays an int however large, a tuple a
tuple, an array its dtype.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np

from rl_pbt.arrays import Array, State
from rl_pbt.errors import UserError
from rl_pbt.records import JSON

Arrays: TypeAlias = dict[str, Array]
Node: TypeAlias = JSON  # a leaf as it is, or an object with one entry: kind -> content

STRUCTURE = "structure"  # the name of the array that holds the JSON
DEEPEST_NESTING = 200  # levels: a state that holds itself would never end
ARRAY_KINDS = "biufcMmSU"  # of arrays: all but objects, records and what other libraries added
# What safetensors has a type for; other kinds are stored as bytes.
NATIVE_DTYPES = frozenset({"|b1", "|i1", "<i2", "<i4", "<i8", "|u1", "<u2", "<u4", "<u8", "<f2", "<f4", "<f8"})
LARGEST_INTEGER = 2**63  # integers from here on are written in hexadecimal, which Python reads whatever its length
ALLOWED = "return arrays, numbers, strings, None, and dicts (with keys of text or whole numbers), lists and tuples of these"


def packed(tree: object, name: str = "state()") -> Arrays:
    """A nested state as named arrays, which are copies: later changes to the state do not reach them.

    Raises UserError, which says where in `name` there is something that is not an array, number, string, bool, None, dict, list
    or tuple.
    """
    arrays: Arrays = {}
    text = json.dumps({"format": 1, "tree": _packed(tree, name, arrays, 0)}, allow_nan=False, separators=(",", ":"))
    arrays[STRUCTURE] = json_array(text)
    return arrays


def unpacked(state: State) -> object:
    """The tree that was `packed`, in arrays of its own that may be written to. Raises UserError if the state holds none."""
    try:
        return _unpacked(read_json_array(state[STRUCTURE])["tree"], state)
    except (KeyError, ValueError, TypeError, AttributeError, OverflowError, RecursionError, MemoryError) as error:
        raise UserError(f"this checkpoint is damaged, or of another task ({error!r}): restore it") from None


def json_array(text: str) -> Array:
    """JSON as an array of bytes, uint8 [length]; `read_json_array` reads it."""
    return np.frombuffer(text.encode("ascii"), dtype=np.uint8).copy()


def read_json_array(array: Array) -> Any:
    """What `json_array` was given, parsed. Raises ValueError for bytes that are not JSON."""
    return json.loads(array.tobytes())


def _packed(value: object, path: str, arrays: Arrays, depth: int) -> Node:
    if depth > DEEPEST_NESTING:
        raise UserError(f"{path[:80]}... is nested more than {DEEPEST_NESTING} deep, or holds itself: return a flatter state")
    # By exact type: whatever else a subclass holds would be lost.
    if type(value) is dict:
        return {"dict": [[_key(key, path), _packed(v, f"{path}[{key!r}]", arrays, depth + 1)] for key, v in value.items()]}
    if type(value) is list or type(value) is tuple:
        return {type(value).__name__: [_packed(v, f"{path}[{i}]", arrays, depth + 1) for i, v in enumerate(value)]}
    if type(value) is np.ndarray:
        return {"array": _stored(value, path, arrays)}
    if type(value) is np.str_:
        return {"str_": str(value)}
    if isinstance(value, np.generic) and not isinstance(value, np.bytes_):  # bytes_ would lose zeros at its end
        return {"scalar": _stored(np.asarray(value), path, arrays)}
    if value is None or type(value) is bool or type(value) is str:
        return value
    if type(value) is int or type(value) is float or type(value) is complex:
        return _number(value)
    raise _refused(value, path)


def _key(key: object, path: str) -> str | int:
    if type(key) is str or (type(key) is int and abs(key) < LARGEST_INTEGER):
        return key
    raise UserError(f"{path} has the key {key!r}, {_article(key)}: use text or whole numbers")


def _number(value: int | float | complex) -> Node:
    if isinstance(value, int):
        return value if abs(value) < LARGEST_INTEGER else {"int": hex(value)}
    if isinstance(value, float):
        return value if np.isfinite(value) else {"float": struct.pack(">d", value).hex()}
    return {"complex": [_number(value.real), _number(value.imag)]}


def _stored(array: Array, path: str, arrays: Arrays) -> list[JSON]:
    """Puts an array among the others. Returns its [name, dtype, shape]."""
    if array.dtype.kind not in ARRAY_KINDS:
        raise UserError(f"{path} is an array of {array.dtype}: return arrays of numbers or of text")
    name = f"array/{len(arrays)}"
    whole = np.array(array, order="C")
    arrays[name] = whole if array.dtype.str in NATIVE_DTYPES else np.frombuffer(whole.tobytes(), np.uint8).copy()
    return [name, array.dtype.str, list(array.shape)]


def _refused(value: object, path: str) -> UserError:
    if type(value).__module__.partition(".")[0] == "torch":
        return UserError(f"{path} is {_article(value)} of torch: use rl_pbt.torch_state.state_of, or {ALLOWED}")
    return UserError(f"{path} is {_article(value)}: {ALLOWED}")


def _article(value: object) -> str:
    name = type(value).__qualname__
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"


def _unpacked(node: Node, state: State) -> Any:
    if not isinstance(node, dict):
        return node
    ((kind, content),) = node.items()
    return _READERS[kind](content, state)


def _array(content: Any, state: State) -> Array:
    name, text, shape = content
    dtype = np.dtype(text)
    if text in NATIVE_DTYPES:
        return np.array(state[name], dtype=dtype).reshape(shape)
    if dtype.kind not in ARRAY_KINDS:
        raise ValueError(f"an array of {dtype}")
    whole = np.empty(shape, dtype)
    if whole.nbytes:  # elements of size 0 have no view as bytes
        whole.reshape(-1).view(np.uint8)[:] = state[name]
    return whole


def _dict(content: Any, state: State) -> dict[str | int, object]:
    return {key: _unpacked(entry, state) for key, entry in content}


# How to read the content of a node, by its kind. The content is whatever a file holds; it is known to be right once it has been
# read.
_READERS: Mapping[str, Callable[[Any, State], object]] = {
    "dict": _dict,
    "list": lambda content, state: [_unpacked(entry, state) for entry in content],
    "tuple": lambda content, state: tuple(_unpacked(entry, state) for entry in content),
    "array": _array,
    "scalar": lambda content, state: _array(content, state)[()],
    "str_": lambda content, _: np.str_(content),
    "int": lambda content, _: int(content, 16),
    "float": lambda content, _: struct.unpack(">d", bytes.fromhex(content))[0],
    "complex": lambda content, state: complex(*(_unpacked(part, state) for part in content)),
}
