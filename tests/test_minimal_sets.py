"""The search for minimal sets, against all subsets, for predicates of every kind."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.reason.minimal_sets import minimal_sets


def by_force(size: int, too_little: Callable[[int], bool]) -> set[int]:
    enough = [mask for mask in range(1 << size) if not too_little(mask)]
    return {mask for mask in enough if not any(one != mask and one & mask == one for one in enough)}


_WEIGHTS = st.lists(st.integers(1, 60), min_size=1, max_size=8)
_MASKS = st.lists(st.integers(1, 255), max_size=8)


@given(_WEIGHTS, _MASKS)
def test_sets_that_must_be_hit(weights: list[int], masks: list[int]) -> None:
    size = len(weights)
    wanted = [mask & ((1 << size) - 1) for mask in masks]

    def too_little(mask: int) -> bool:
        return any(one & mask == 0 for one in wanted)

    found = minimal_sets(weights, too_little, most=1000, budget=10_000)
    assert found.complete
    assert set(found.sets) == by_force(size, too_little)
    costs = [sum(weights[i] for i in range(size) if mask >> i & 1) for mask in found.sets]
    assert costs == sorted(costs)
    assert found.turning == 0


_PAIRS = st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=2)


def excluding(masks: list[int], pairs: list[tuple[int, int]], size: int) -> tuple[Callable[[int], bool], int]:
    wanted = [mask & ((1 << size) - 1) for mask in masks]
    apart = [(a, b) for a, b in pairs if a != b and max(a, b) < size]

    def too_little(mask: int) -> bool:
        return any(one & mask == 0 for one in wanted) or any(mask >> a & 1 and mask >> b & 1 for a, b in apart)

    turning = 0
    for a, b in apart:
        turning |= 1 << a | 1 << b
    return too_little, turning


@given(_WEIGHTS, _MASKS, _PAIRS)
@settings(max_examples=200)
def test_changes_that_exclude_each_other(weights: list[int], masks: list[int], pairs: list[tuple[int, int]]) -> None:
    too_little, turning = excluding(masks, pairs, len(weights))
    found = minimal_sets(weights, too_little, turning=turning, most=1000, budget=10_000)
    assert set(found.sets) == by_force(len(weights), too_little)


@given(_WEIGHTS, _MASKS, _PAIRS)
def test_nothing_wrong_comes_out_where_nobody_named_what_turns(
    weights: list[int], masks: list[int], pairs: list[tuple[int, int]]
) -> None:
    too_little, _ = excluding(masks, pairs, len(weights))
    for mask in minimal_sets(weights, too_little, most=1000, budget=10_000).sets:
        assert not too_little(mask)
        assert all(too_little(mask & ~(1 << i)) for i in range(len(weights)) if mask >> i & 1)


def test_what_turns_is_seen_on_the_way() -> None:
    # 2 undoes what 0 does, unless 1 is there; nobody said so
    def too_little(mask: int) -> bool:
        return not (mask & 1) or (mask & 0b110 == 0b100)

    found = minimal_sets([1, 5, 1], too_little)
    assert found.sets == (0b001,)


@given(_WEIGHTS, st.lists(st.integers(1, 255), min_size=1, max_size=8), st.integers(1, 4))
def test_a_search_that_is_cut_short_says_what_it_leaves_open(weights: list[int], masks: list[int], most: int) -> None:
    size = len(weights)
    wanted = [mask & ((1 << size) - 1) or 1 for mask in masks]

    def too_little(mask: int) -> bool:
        return any(one & mask == 0 for one in wanted)

    found = minimal_sets(weights, too_little, most=most)
    everything = by_force(size, too_little)
    cost = {mask: sum(weights[i] for i in range(size) if mask >> i & 1) for mask in everything}
    assert len(found.sets) <= most
    assert not found.complete or len(found.sets) == len(everything)
    assert {mask for mask in everything if cost[mask] < found.bound} <= set(found.sets) <= everything


def test_nothing_to_do_and_nothing_that_helps() -> None:
    assert minimal_sets([1, 2], lambda _: False).sets == (0,)
    assert minimal_sets([1, 2], lambda _: True).sets == ()
    assert minimal_sets([1, 2], lambda _: True).complete
    assert minimal_sets([], lambda _: True).sets == ()


def test_a_budget_ends_the_search() -> None:
    found = minimal_sets([1] * 8, lambda mask: mask.bit_count() < 4, budget=20)
    assert not found.complete
    assert all(mask.bit_count() == 4 for mask in found.sets)
