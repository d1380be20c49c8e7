"""Capability arithmetic against what each engine does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from effective_made import made, said
from holdfast.model.facts import Facts
from holdfast.model.truth import NO, UNKNOWN, YES
from holdfast.model.values import Members, OtherThan
from holdfast.model.words import container, declared, host
from holdfast.reason.effective.capabilities import DEFAULTS, EVERY, NAMES, granted
from holdfast.reason.effective.declared import from_declared

ENGINES = ("docker", "podman", "containerd", "cri-o")


def names(text: str) -> frozenset[str]:
    return frozenset("CAP_" + name for name in text.split())


def test_the_kernel_s_numbers():
    assert len(NAMES) == 41
    assert [NAMES.index("CAP_" + name) for name in ("CHOWN", "NET_RAW", "SYS_ADMIN", "AUDIT_READ", "BPF")] == [
        0, 13, 21, 37, 39,
    ]  # fmt: skip
    assert NAMES[40] == "CAP_CHECKPOINT_RESTORE"


@pytest.mark.parametrize(("engine", "count"), [("docker", 14), ("containerd", 14), ("podman", 11), ("cri-o", 9)])
def test_default_sets(engine: str, count: int):
    assert granted(engine, (), (), EVERY) == Members(DEFAULTS[engine])
    assert len(DEFAULTS[engine]) == count


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("spelling", ["SYS_ADMIN", "sys_admin", " Sys_Admin "])
def test_spellings(engine: str, spelling: str):
    assert granted(engine, (spelling,), (), EVERY).yes == DEFAULTS[engine] | {"CAP_SYS_ADMIN"}


@pytest.mark.parametrize(
    ("engine", "added", "dropped", "expected"),
    [
        ("docker", ("ALL",), (), EVERY),
        ("docker", ("all",), ("SYS_ADMIN",), EVERY - {"CAP_SYS_ADMIN"}),
        ("docker", ("NET_ADMIN",), ("ALL",), names("NET_ADMIN")),
        ("docker", ("ALL",), ("ALL",), EVERY),
        ("docker", ("NET_RAW",), ("NET_RAW",), DEFAULTS["docker"]),
        ("docker", ("CAP_SYS_PTRACE",), ("cap_mknod",), DEFAULTS["docker"] - names("MKNOD") | names("SYS_PTRACE")),
        ("podman", ("NET_ADMIN",), ("all",), names("NET_ADMIN")),
        ("podman", ("ALL",), ("CHOWN",), EVERY - {"CAP_CHOWN"}),
        ("containerd", ("ALL",), ("ALL",), frozenset()),
        ("containerd", ("NET_ADMIN",), ("ALL",), names("NET_ADMIN")),
        ("containerd", ("NET_RAW",), ("NET_RAW",), DEFAULTS["containerd"] - names("NET_RAW")),
        ("containerd", ("ALL",), ("SYS_ADMIN",), EVERY - {"CAP_SYS_ADMIN"}),
        ("cri-o", ("ALL",), ("ALL",), frozenset()),
        ("cri-o", ("CAP_SYS_ADMIN",), (), DEFAULTS["cri-o"] | names("SYS_ADMIN")),
        ("cri-o", ("KILL",), ("KILL",), DEFAULTS["cri-o"] - names("KILL")),
    ],
)
def test_order_of_adding_and_dropping(engine, added, dropped, expected):
    assert granted(engine, added, dropped, EVERY) == Members(expected)


def test_containerd_does_not_understand_a_prefix():
    value = granted("containerd", ("CAP_SYS_ADMIN",), ("CAP_NET_RAW", "CAP_SYS_BOOT"), EVERY)
    assert value.has("CAP_SYS_ADMIN") is UNKNOWN
    assert value.has("CAP_NET_RAW") is UNKNOWN
    assert value.has("CAP_SYS_BOOT") is NO  # dropping what nobody has gives nothing
    assert granted("containerd", ("CAP_NET_ADMIN",), ("NET_ADMIN",), EVERY).has("CAP_NET_ADMIN") is NO


def test_an_unnamed_cri_runtime_leaves_open_where_they_disagree():
    value = granted("cri", (), (), EVERY)
    assert value.yes == DEFAULTS["cri-o"]
    assert value.maybe == DEFAULTS["containerd"] - DEFAULTS["cri-o"]
    assert granted("cri", ("NET_ADMIN",), ("ALL",), EVERY) == Members(names("NET_ADMIN"))
    assert granted("cri", ("ALL",), ("ALL",), EVERY).has("CAP_SYS_ADMIN") is UNKNOWN


def test_a_name_nobody_knows_is_undecided():
    value = granted("docker", ("SYS_NEWEST",), (), EVERY)
    assert value.has("CAP_SYS_NEWEST") is UNKNOWN
    assert granted("docker", ("CAP_ALL",), (), EVERY).has("CAP_SYS_ADMIN") is UNKNOWN


def test_an_old_kernel_has_fewer():
    facts = made({declared.PRIVILEGED: True})
    seen = from_declared(facts, said({host.LAST_CAPABILITY: 37})).value(container.CAPABILITIES)
    assert seen is not None
    assert (seen.has("CAP_AUDIT_READ"), seen.has("CAP_BPF")) == (YES, NO)
    unseen = from_declared(facts, Facts()).value(container.CAPABILITIES)
    assert unseen is not None
    assert unseen.yes == EVERY


USERS = [
    # engine, user, run as non-root, added -> effective
    ("docker", "", None, (), Members(DEFAULTS["docker"])),
    ("docker", "0", None, (), Members(DEFAULTS["docker"])),
    ("docker", "root:root", None, (), Members(DEFAULTS["docker"])),
    ("docker", "1000", None, ("SYS_ADMIN",), Members()),
    ("containerd", "1000:1000", None, ("SYS_ADMIN",), Members()),
    ("podman", "1000", None, ("SYS_ADMIN",), Members(names("SYS_ADMIN"))),
    ("podman", "1000", None, (), Members()),
    ("docker", "www-data", None, (), Members(maybe=DEFAULTS["docker"])),
    ("docker", None, None, (), Members(DEFAULTS["docker"])),  # an image runs as root unless it names a user
    ("containerd", None, True, ("SYS_ADMIN",), Members()),
    ("containerd", "app", True, (), Members()),
]


@pytest.mark.parametrize(("engine", "name", "non_root", "added", "expected"), USERS)
def test_who_keeps_capabilities(engine, name, non_root, added, expected):
    change = {declared.ENGINE: engine, declared.CAPABILITIES_ADDED: added}
    if name is not None:
        change[declared.USER] = name
    if non_root is not None:
        change[declared.RUN_AS_NON_ROOT] = non_root
    facts = made(change, without=(declared.USER,) if name is None else ())
    out = from_declared(facts, Facts())
    assert out.value(container.CAPABILITIES) == expected
    assert out.value(container.BOUNDING_CAPABILITIES) == granted(engine, added, (), EVERY)
    if non_root:
        assert out.value(container.USER_ID) == OtherThan(0)
        assert out.value(container.HOST_USER_ID) == OtherThan(0)


def test_podman_keeps_what_was_added_for_whichever_user():
    facts = made({declared.ENGINE: "podman", declared.CAPABILITIES_ADDED: ("SYS_ADMIN",), declared.USER: "web"})
    value = from_declared(facts, Facts()).value(container.CAPABILITIES)
    assert value is not None
    assert (value.has("CAP_SYS_ADMIN"), value.has("CAP_CHOWN")) == (YES, UNKNOWN)


def test_privileged_holds_everything_and_dropping_does_not_matter():
    facts = made({declared.PRIVILEGED: True, declared.CAPABILITIES_DROPPED: ("ALL",)})
    assert from_declared(facts, Facts()).value(container.CAPABILITIES) == Members(EVERY)


@pytest.mark.parametrize("missing", [declared.CAPABILITIES_ADDED, declared.CAPABILITIES_DROPPED, declared.PRIVILEGED])
def test_what_was_not_seen_is_never_no(missing):
    out = from_declared(made(without=(missing,)), Facts())
    value = out.value(container.CAPABILITIES)
    assert value is not None
    wanted = "CAP_CHOWN" if missing is declared.CAPABILITIES_DROPPED else "CAP_SYS_ADMIN"
    assert value.has(wanted) is UNKNOWN


OCI = {
    declared.CAPABILITIES_EXACT: frozenset({"CAP_CHOWN"}),
    declared.CAPABILITIES_BOUNDING: frozenset({"CAP_CHOWN", "CAP_KILL"}),
    declared.CAPABILITIES_AMBIENT: frozenset({"CAP_CHOWN"}),
    declared.USER: "0:0",
    declared.NO_NEW_PRIVILEGES: True,
}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, names("CHOWN")),
        ({declared.NO_NEW_PRIVILEGES: False}, names("CHOWN KILL")),
        ({declared.USER: "5:5"}, names("CHOWN")),
        ({declared.USER: "5:5", declared.CAPABILITIES_AMBIENT: frozenset()}, frozenset()),
    ],
)
def test_sets_of_an_oci_configuration(change, expected):
    out = from_declared(said({**OCI, **change}), Facts())
    assert out.value(container.CAPABILITIES) == Members(expected)
    assert out.value(container.BOUNDING_CAPABILITIES) == Members(names("CHOWN KILL"))


def test_parts_name_the_line_of_a_capability():
    from effective_made import PLACE
    from holdfast.model.facts import Seen
    from holdfast.model.place import Where

    line = Where("made.yaml", "/cap_add/0", 7)
    facts = Facts({**made().table, declared.CAPABILITIES_ADDED: Seen(("sys_admin",), PLACE, "", {"sys_admin": line})})
    seen = from_declared(facts, Facts()).seen(container.CAPABILITIES)
    assert seen is not None
    assert seen.parts["CAP_SYS_ADMIN"] == line


SOME = st.lists(
    st.sampled_from(["ALL", "all", "SYS_ADMIN", "CAP_SYS_ADMIN", "NET_RAW", "CAP_CHOWN", "ODD"]), max_size=4
)


@given(st.sampled_from([*ENGINES, "cri", ""]), SOME, SOME, SOME)
def test_dropping_more_never_gives_more(engine, added, dropped, further):
    before = granted(engine, tuple(added), tuple(dropped), EVERY)
    after = granted(engine, tuple(added), (*dropped, *further), EVERY)
    # a name spelled as containerd does not take it is undecided, which is not more than yes
    for name in EVERY | {"CAP_ODD"}:
        assert after.has(name) <= before.has(name)
