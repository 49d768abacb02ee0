"""What a user's training returns as its state comes back exactly, through a real checkpoint file."""

import json
import math
import string
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hn

from rl_pbt.errors import UserError
from rl_pbt.store.checkpoints import FolderCheckpoints
from rl_pbt.tasks.trees import STRUCTURE, json_array, packed, unpacked
from rl_pbt.torch_state import load_state, set_learning_rate, state_of

DTYPES = st.one_of(
    hn.boolean_dtypes(),
    hn.integer_dtypes(endianness="?"),
    hn.unsigned_integer_dtypes(endianness="?"),
    hn.floating_dtypes(endianness="?"),
    hn.complex_number_dtypes(endianness="?"),
    hn.datetime64_dtypes(endianness="?"),
    hn.timedelta64_dtypes(endianness="?"),
    hn.byte_string_dtypes(max_len=3),
    hn.unicode_string_dtypes(max_len=3),
)
ARRAYS = hn.arrays(DTYPES, hn.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3))
NUMPY_SCALARS = hn.arrays(DTYPES, ()).map(lambda array: array[()]).filter(lambda scalar: not isinstance(scalar, np.bytes_))
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(min_value=-(2**200), max_value=2**200),
    st.floats(),
    st.complex_numbers(),
    st.text(),
    ARRAYS,
    NUMPY_SCALARS,
)
KEYS = st.one_of(st.text(st.sampled_from(string.ascii_letters + "/.\0é"), max_size=4), st.integers(-(2**60), 2**60))
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.dictionaries(KEYS, inner, max_size=4), st.lists(inner, max_size=4), st.lists(inner, max_size=4).map(tuple)
    ),
    max_leaves=12,
)


def same(one: Any, other: Any) -> bool:
    """Equal in types and in every bit."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, str):
        return str(one) == str(other)
    if isinstance(one, np.ndarray | np.generic):
        return (one.dtype, one.shape) == (other.dtype, other.shape) and one.tobytes() == other.tobytes()
    if isinstance(one, complex):
        return same(one.real, other.real) and same(one.imag, other.imag)
    if isinstance(one, float):
        return np.float64(one).tobytes() == np.float64(other).tobytes()
    return bool(one == other)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(TREES)
def test_a_tree_comes_back_exactly(tree: Any) -> None:
    assert same(unpacked(packed(tree)), tree)


def test_a_tree_comes_back_from_a_checkpoint_file(tmp_path: Path) -> None:
    generator = np.random.default_rng(3)
    tree = {
        "a/b.c": [np.arange(12.0).reshape(3, 4)[:, ::2], np.zeros((0, 3)), np.array(7), (1, 2.5, "x")],
        5: {"big": 10**5000, "nan": [math.nan, -math.inf, -0.0], "flags": (True, None)},
        "fortran": np.asfortranarray(np.arange(6).reshape(2, 3)),
        "generator": generator.bit_generator.state,
        "old generator": np.random.MT19937(4).state,
        "scalars": [np.float32(0.1), np.int8(-3), np.bool_(True), np.str_("x\0"), np.complex128(1j)],
    }
    checkpoints = FolderCheckpoints(tmp_path)
    checkpoints.save(3, packed(tree))
    checkpoints.save_together({4: packed(tree), 5: packed([])})
    tree["fortran"] = np.ascontiguousarray(tree["fortran"])
    tree["a/b.c"][0] = np.ascontiguousarray(tree["a/b.c"][0])  # type: ignore[index]
    for proposal in (3, 4):
        again = unpacked(FolderCheckpoints(tmp_path).load(proposal))
        assert same(again, tree)
        other = np.random.default_rng(0)
        other.bit_generator.state = again["generator"]
        assert other.random() == np.random.default_rng(3).random()


def test_the_widest_floats_come_back() -> None:
    third = np.longdouble(1) / 3  # compared by value: some of its bytes mean nothing
    again = unpacked(packed([third, np.array([third])]))
    assert type(again[0]) is np.longdouble
    assert again == [third, np.array([third])]


def test_what_happens_later_reaches_neither_side(tmp_path: Path) -> None:
    weights = np.zeros(2)
    state = packed({"weights": weights})
    weights += 1
    first, second = unpacked(state), unpacked(state)
    first["weights"] += 5
    assert second["weights"].tolist() == [0, 0]
    checkpoints = FolderCheckpoints(tmp_path)
    checkpoints.save(1, state)
    unpacked(checkpoints.load(1))["weights"][0] = 3  # arrays of a file may be written to
    assert unpacked(checkpoints.load(1))["weights"].tolist() == [0, 0]


class Named(dict):  # type: ignore[type-arg]
    pass


@pytest.mark.parametrize(
    ("tree", "complaint"),
    [
        ({"optimiser": {"x": {1, 2}}}, """state()["optimiser"]["x"] is a set: return arrays, numbers, strings, None"""),
        ([1, (object(),)], "state()[1][0] is an object: return"),
        ({"a": np.array([None])}, 'state()["a"] is an array of object'),
        ({"a": np.zeros(2, dtype=[("x", "f4")])}, 'state()["a"] is an array of [('),
        ({"a": b"raw"}, 'state()["a"] is a bytes'),
        ({"a": np.ma.masked_array([1, 2], mask=[0, 1])}, 'state()["a"] is a MaskedArray'),
        ({"net": torch.zeros(2)}, 'state()["net"] is a Tensor of torch: use rl_pbt.torch_state.state_of'),
        (OrderedDict(a=1), "state() is an OrderedDict"),
        (Named(a=1), "state() is a Named"),
        ({(1, 2): 3}, "state() has the key (1, 2), a tuple"),
        ({True: 3}, "state() has the key True, a bool"),
    ],
)
def test_what_is_no_state_is_refused_where_it_lies(tree: Any, complaint: str) -> None:
    with pytest.raises(UserError) as raised:
        packed(tree)
    assert str(raised.value).replace("'", '"').startswith(complaint.replace("'", '"'))
    assert "\n" not in str(raised.value)


def test_a_tree_that_holds_itself_is_refused() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(UserError, match="holds itself"):
        packed(loop)


@pytest.mark.parametrize(
    "state",
    [
        {},
        {STRUCTURE: json_array("not JSON")},
        {STRUCTURE: json_array('{"tree": {"array": ["array/0", "<f8", [2]]}}')},
        {STRUCTURE: json_array('{"tree": {"call": []}}')},
        {STRUCTURE: json_array('{"tree": {"array": ["array/0", "|O", [1]]}}'), "array/0": np.zeros(8, np.uint8)},
        {STRUCTURE: json_array('{"tree": {"array": ["array/0", "<f8", [3]]}}'), "array/0": np.zeros(2)},
    ],
)
def test_arrays_of_something_else_are_refused(state: Any) -> None:
    with pytest.raises(UserError, match="is damaged, or of another task"):
        unpacked(state)


def test_the_structure_is_json() -> None:
    text = packed({"lr": 0.1, "layers": [np.zeros(2)]})[STRUCTURE].tobytes()
    assert json.loads(text)["tree"] == {"dict": [["lr", 0.1], ["layers", {"list": [{"array": ["array/0", "<f8", [2]]}]}]]}


def through_a_file(tree: Any, folder: Path) -> Any:
    checkpoints = FolderCheckpoints(folder)
    checkpoints.save(0, packed(tree))
    return unpacked(checkpoints.load(0))


def mlp(dtype: torch.dtype = torch.float32) -> torch.nn.Module:
    layers = [torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.Tanh(), torch.nn.Linear(4, 1)]
    return torch.nn.Sequential(*layers).to(dtype)


OPTIMISERS = {
    "adam": lambda parameters: torch.optim.Adam(parameters, lr=1e-2),
    "amsgrad": lambda parameters: torch.optim.AdamW(parameters, lr=torch.tensor(1e-2), amsgrad=True),
    "momentum": lambda parameters: torch.optim.SGD(parameters, lr=1e-2, momentum=0.9, nesterov=True),
    "no momentum yet": lambda parameters: torch.optim.SGD(parameters, lr=1e-2),
}


def train(net: torch.nn.Module, optimiser: torch.optim.Optimizer, scheduler: Any, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    dtype = next(net.parameters()).dtype
    for _ in range(5):
        inputs = torch.randn(16, 3, generator=generator).to(dtype)
        optimiser.zero_grad()
        (net(inputs) - inputs.sum(1, keepdim=True)).square().mean().backward()
        optimiser.step()
        scheduler.step()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("name", OPTIMISERS)
def test_torch_goes_on_with_the_same_bits(name: str, dtype: torch.dtype, tmp_path: Path) -> None:
    net = mlp(dtype)
    optimiser = OPTIMISERS[name](net.parameters())
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimiser, milestones=[3, 7], gamma=0.5)
    train(net, optimiser, scheduler, seed=1)
    things = (net, optimiser, scheduler)
    states = through_a_file([state_of(thing) for thing in things], tmp_path)

    again = mlp(dtype)
    optimiser_again = OPTIMISERS[name](again.parameters())
    scheduler_again = torch.optim.lr_scheduler.MultiStepLR(optimiser_again, milestones=[3, 7], gamma=0.5)
    others = (again, optimiser_again, scheduler_again)
    for thing, state in zip(others, states, strict=True):
        load_state(thing, state)
    assert same([state_of(thing) for thing in others], [state_of(thing) for thing in things])
    train(net, optimiser, scheduler, seed=2)
    train(again, optimiser_again, scheduler_again, seed=2)
    assert same([state_of(thing) for thing in others], [state_of(thing) for thing in things])
    kept = through_a_file([state_of(thing) for thing in others], tmp_path / "later")
    assert not same(kept, states), "training goes on, and writes to no state that was loaded"


def test_a_loaded_module_keeps_its_own_type_and_the_new_rate_its_moments() -> None:
    wide, narrow = mlp(torch.float64), mlp(torch.float32)
    load_state(narrow, state_of(wide))
    assert {parameter.dtype for parameter in narrow.parameters()} == {torch.float32}
    optimiser = torch.optim.Adam([{"params": narrow[0].parameters()}, {"params": narrow[3].parameters(), "lr": 1.0}])  # type: ignore[index]
    narrow(torch.ones(2, 3)).sum().backward()
    optimiser.step()
    moments = state_of(optimiser)["state"]
    set_learning_rate(optimiser, 0.25)
    assert [group["lr"] for group in optimiser.param_groups] == [0.25, 0.25]
    assert same(state_of(optimiser)["state"], moments)


def test_a_sparse_tensor_is_refused() -> None:
    module = torch.nn.Module()
    module.register_buffer("mask", torch.eye(3).to_sparse())
    with pytest.raises(UserError, match=r"Module\['mask'\] is a sparse or quantised tensor"):
        state_of(module)
