"""A value that is only known not to be another one, in conditions and in compiled tests."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from holdfast.model.compiled import compile_test
from holdfast.model.facts import Facts, Seen
from holdfast.model.logic import at_least, is_, is_not, none_of, one_of, spelled
from holdfast.model.place import Where
from holdfast.model.proof import prove
from holdfast.model.truth import NO, UNKNOWN, YES
from holdfast.model.values import OtherThan
from holdfast.model.words import container

USER = container.HOST_USER_ID
HERE = Where("made")


def judged(expr, value):
    facts = Facts({USER: Seen(value, HERE)})
    assert compile_test(expr)(facts.table) is prove(expr, facts).truth
    return prove(expr, facts).truth


def test_it_is_not_the_one_and_may_be_any_other():
    assert judged(is_(USER, 0), OtherThan(0)) is NO
    assert judged(is_not(USER, 0), OtherThan(0)) is YES
    assert judged(is_(USER, 5), OtherThan(0)) is UNKNOWN
    assert judged(is_not(USER, 5), OtherThan(0)) is UNKNOWN
    assert judged(one_of(USER, 0), OtherThan(0)) is NO
    assert judged(one_of(USER, 0, 5), OtherThan(0)) is UNKNOWN
    assert judged(none_of(USER, 0), OtherThan(0)) is YES
    assert judged(at_least(USER, 1), OtherThan(0)) is UNKNOWN
    assert spelled(OtherThan(0)) == "not 0"


@given(st.integers(0, 3), st.integers(0, 3), st.integers(0, 3))
def test_what_it_says_holds_for_every_value_it_may_be(excluded, real, wanted):
    """Its answers are never contradicted by the value that is found later."""
    for expr in (is_(USER, wanted), is_not(USER, wanted), one_of(USER, wanted, 9)):
        before = judged(expr, OtherThan(excluded))
        if real != excluded:
            assert before in {UNKNOWN, judged(expr, real)}
