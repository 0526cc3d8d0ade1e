"""Two collections that share their past behave as a dict and a list that are copied at every change."""

from __future__ import annotations

import pytest
from hypothesis import given, settings, strategies as some

from socklab.core.persistent import Log, PMap

KEYS = some.integers(-3, 140) | some.sampled_from(["a", "b"])
CHANGES = some.lists(
    some.tuples(some.lists(some.tuples(KEYS, some.integers(0, 3)), max_size=5), some.lists(KEYS, max_size=4)),
    max_size=8,
)


Made = tuple[PMap, dict[object, int]]
EMPTY: Made = (PMap(), {})


def grown(changes: list[tuple[list[tuple[object, int]], list[object]]], start: Made = EMPTY) -> list[Made]:
    """The mapping and its model after each change, from `start` on."""
    made = [start]
    for put, drop in changes:
        mapping, model = made[-1]
        kept = {key: value for key, value in model.items() if key not in drop}
        made.append((mapping.changed(put, drop), kept | dict(put)))
    return made


@settings(max_examples=300, deadline=None)
@given(CHANGES)
def test_a_map_is_a_dict_that_is_copied_at_every_change(changes: list) -> None:
    for mapping, model in grown(changes):  # the earlier ones too, once all changes are made
        assert dict(mapping) == model
        assert len(mapping) == len(model)
        assert sorted(map(str, mapping)) == sorted(map(str, model))
        for key in (*model, "missing", 999):
            assert (key in mapping) == (key in model)
            assert mapping.get(key) == model.get(key)


@settings(max_examples=300, deadline=None)
@given(CHANGES, CHANGES)
def test_differences_are_all_that_is_not_the_same_with_both_values(one: list, more: list) -> None:
    older, model = grown(one)[-1]
    newer, after = grown(more, (older, model))[-1]
    found = {key: (before, now) for key, before, now in newer.differences(older)}
    keys = [key for key in model.keys() | after.keys() if model.get(key) != after.get(key)]
    assert found == {key: (model.get(key), after.get(key)) for key in keys}
    assert list(newer.differences(newer)) == []


def test_a_value_that_is_equal_but_another_object_is_no_difference() -> None:
    one, other = PMap().changed([(1, [5])]), PMap().changed([(1, [5])])
    assert list(one.differences(other)) == []


def test_a_missing_key_is_a_key_error_and_an_empty_map_is_false() -> None:
    with pytest.raises(KeyError):
        PMap()[3]
    assert not PMap()
    assert PMap().changed([(3, "x")])[3] == "x"


def test_shards_that_no_change_touches_are_shared_and_touched_ones_are_copied_once() -> None:
    big = PMap().changed((number, number) for number in range(640))
    small = big.changed([(1, 0), (65, 0)], [129])
    assert [mine is theirs for mine, theirs in zip(big._shards, small._shards, strict=True)].count(False) == 1
    assert len(big) == 640
    assert len(small) == 639
    assert big.changed(drop=[5000])._shards == big._shards


@pytest.mark.parametrize("keep", [1, 2, 3, 7])
def test_a_log_lets_go_of_its_oldest_when_it_is_twice_as_long_as_it_must_be(keep: int) -> None:
    log = Log[int](keep)
    for number in range(50):
        log = log.append(number)
        length = number + 1 if number < 2 * keep else keep + 1 + (number - 2 * keep) % keep
        assert list(log) == list(range(number + 1 - length, number + 1))
        assert log.dropped == number + 1 - length


STEPS = some.lists(some.integers(0, 5), max_size=60)


@settings(max_examples=300, deadline=None)
@given(STEPS, some.integers(1, 4))
def test_a_log_is_a_list_whose_earlier_lengths_stay(back: list[int], keep: int) -> None:
    """Each step appends to the log as it was `back` steps ago; of 2 x keep items the last keep stay."""
    made: list[tuple[Log[int], list[int], int]] = [(Log(keep), [], 0)]
    for number, steps in enumerate(back):
        log, model, dropped = made[max(0, len(made) - 1 - steps)]
        gone = len(model) - keep if len(model) >= 2 * keep else 0
        made.append((log.append(number), [*model[gone:], number], dropped + gone))
    for log, model, dropped in made:
        assert (list(log), len(log), log.dropped, log.keep) == (model, len(model), dropped, keep)
        for index in range(-len(model) - 1, len(model) + 1):
            try:
                assert log[index] == model[index]
            except IndexError:
                assert not -len(model) <= index < len(model)
        for part in (slice(None), slice(1, None), slice(None, -1), slice(None, None, 2), slice(None, None, -1)):
            assert log[part] == model[part]


def test_an_index_beyond_either_end_is_an_index_error() -> None:
    log = Log[int]().append(1).append(2)
    longer = log.append(3)
    assert (log[0], log[-1], log[1], longer[2]) == (1, 2, 2, 3)
    for index in (2, -3):
        with pytest.raises(IndexError):
            log[index]


def test_appending_copies_nothing_and_a_fork_copies_once() -> None:
    log = Log[int]().append(1)
    longer = log.append(2)
    assert longer._items is log._items
    other = log.append(9)
    assert other._items is not log._items
    assert (list(log), list(longer), list(other)) == ([1], [1, 2], [1, 9])
    full = Log[int](2).append(1).append(2).append(3)
    full.append(4)
    assert (list(full.append(9)), full.append(9).dropped) == ([1, 2, 3, 9], 0)  # shorter than twice what it keeps


def test_what_was_derived_of_a_log_is_shared_by_all_that_grew_from_it_and_no_other() -> None:
    log = Log[int](1)
    grown = log.append(1).append(2).append(3)
    fork = log.append(5)
    assert log.derived is grown.derived is fork.derived
    assert Log[int]().derived is not log.derived


def test_a_log_keeps_ten_thousands_unless_told_otherwise() -> None:
    assert Log[int]().keep == 20_000
