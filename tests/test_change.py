"""Edits of lists: order, repetition, and lists that nobody could read."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from holdfast.model.change import Change, Instead, applied, edited, with_, without
from holdfast.model.facts import Absent, Facts, Seen
from holdfast.model.place import Where
from holdfast.model.values import Members
from holdfast.model.words import declared

_HERE = Where("compose.yaml")
_LISTS = st.lists(st.sampled_from("abcdef"), max_size=6).map(tuple)
_EDITS = st.one_of(
    st.lists(st.sampled_from("abcdefgh"), max_size=3).map(lambda names: with_(*names)),
    st.lists(st.sampled_from("abcdefgh"), max_size=3).map(lambda names: without(*names)),
    st.builds(Instead, st.sampled_from("abcdefgh"), st.sampled_from("abcdefgh")),
)


@given(_LISTS, _EDITS)
def test_an_edit_made_twice_changes_nothing_more(present: tuple[str, ...], edit: object) -> None:
    once = edited(present, edit)
    assert edited(once, edit) == once


@given(_LISTS, _EDITS)
def test_an_edit_keeps_the_order_of_what_stays(present: tuple[str, ...], edit: object) -> None:
    after = edited(present, edit)
    assert isinstance(after, tuple)
    stayed = [member for member in present if member in after]
    assert [member for member in after if member in stayed][: len(stayed)] == stayed or isinstance(edit, Instead)
    assert set(present) - set(after) <= set(getattr(edit, "members", ())) | {getattr(edit, "old", None)}


def test_one_member_takes_the_place_of_another() -> None:
    assert edited(("a", "b", "c"), Instead("b", "x")) == ("a", "x", "c")
    assert edited(("a", "b", "x"), Instead("b", "x")) == ("a", "x")
    assert edited(("a",), Instead("b", "x")) == ("a",)
    assert edited(("a",), Instead("a", "a")) == ("a",)


def test_other_collections_are_edited_as_such() -> None:
    assert edited(frozenset({"a", "b"}), without("a")) == frozenset({"b"})
    assert edited(frozenset({"a"}), with_("b")) == frozenset({"a", "b"})
    assert edited(Members.of("pid", "net"), without("pid")) == Members.of("net")


def test_a_list_that_nobody_could_read_stays_unread() -> None:
    for edit in (with_("SYS_ADMIN"), without("SYS_ADMIN"), Instead("SYS_ADMIN", "NET_ADMIN")):
        change = Change(declared.CAPABILITIES_ADDED, edit, "")
        assert applied(Facts(), (change,), _HERE).seen(declared.CAPABILITIES_ADDED) is None
        absent = Facts({declared.CAPABILITIES_ADDED: Absent("a variable", _HERE)})
        assert applied(absent, (change,), _HERE) == absent


def test_what_takes_a_place_is_read_there() -> None:
    line = Where("compose.yaml", "", 4)
    facts = Facts({declared.CAPABILITIES_ADDED: Seen(("A",), _HERE, "", {"A": line})})
    after = applied(facts, (Change(declared.CAPABILITIES_ADDED, Instead("A", "B"), "why"),), _HERE)
    seen = after.seen(declared.CAPABILITIES_ADDED)
    assert seen is not None
    assert (seen.value, seen.parts["B"]) == (("B",), line)
