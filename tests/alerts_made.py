"""Alerts for tests: one that is plain, and strategies for hostile ones."""

from hypothesis import strategies as st

from holdfast.model.alert import Alert, Ancestor, Origin, Priority, Verdict
from holdfast.model.evidence import Stamp

AT_NS = 1_790_000_000_123_456_789
STAMP = Stamp("0123456789abcdef0123456789abcdef", 42, "ab" * 32)

PLAIN = Alert(
    id="7e5f:1:99:core-pattern",
    at_ns=AT_NS,
    boot_ns=5_000_000_000,
    seen_ns=5_000_400_000,
    node="node-1",
    origin=Origin.TECHNIQUE,
    rule="core-pattern",
    title="Write the kernel's core pattern",
    output="sh wrote /proc/sys/kernel/core_pattern (container=web)",
    priority=Priority.CRITICAL,
    tags=("container", "mitre_privilege_escalation"),
    attack=("T1611", "T1059.004"),
    verdict=Verdict.DENIED,
    succeeded=False,
    error="EPERM",
    backend="lsm",
    event="openat",
    fields={"proc.name": "sh", "fd.num": 3, "evt.is_open_write": True, "user.name": None, "proc.aname": ["sh", "tini"]},
    process=(
        Ancestor(4242, "sh", "/bin/busybox", "sh -c echo x > /proc/sys/kernel/core_pattern", 0, 4_900_000_000),
        Ancestor(4200, "tini", "/sbin/tini", "tini -- run", 0, 4_000_000_000),
    ),
    container={"id": "c0ffee" * 10 + "abcd", "name": "web", "image": "shop/web:1", "runtime": "docker"},
    incident="i-1",
    reasons=("file.path ends with /core_pattern: /proc/sys/kernel/core_pattern",),
    description="The kernel runs what stands there, as root of the host.",
)


def alert(number=0, priority=Priority.CRITICAL, **parts):
    """Return an alert that its number tells apart."""
    from dataclasses import replace

    return replace(PLAIN, id=f"7e5f:0:{number}:core-pattern", priority=priority, **parts)


SHARP = "\n\r\0\t\x1b\x7f\x85\u2028\u2029|=\\]\"' <>,;%{}[]\udcff\udc80\ud800\udfff\U0001f600\ufeff\ue000"
hostile = st.text(st.sampled_from(SHARP) | st.characters(), max_size=12)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64)
    | st.floats(allow_nan=False, allow_infinity=False)
    | hostile,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(hostile, inner, max_size=3),
    max_leaves=6,
)
numbers = st.integers(0, 2**63 - 1)
several = st.lists(hostile, max_size=3).map(tuple)
ancestors = st.builds(
    Ancestor, pid=numbers, name=hostile, path=hostile, command=hostile, user=st.integers(0, 2**32), start_ns=numbers
)
alerts = st.builds(
    Alert,
    id=hostile,
    at_ns=numbers,
    boot_ns=numbers,
    seen_ns=numbers,
    node=hostile,
    origin=st.sampled_from(Origin),
    rule=hostile,
    title=hostile,
    output=hostile,
    priority=st.sampled_from(Priority),
    tags=several,
    attack=several | st.just(("T1611",)),
    verdict=st.sampled_from(Verdict),
    succeeded=st.none() | st.booleans(),
    error=hostile,
    backend=hostile,
    event=hostile,
    fields=st.dictionaries(hostile, values, max_size=3),
    process=st.lists(ancestors, max_size=3).map(tuple),
    container=st.dictionaries(st.sampled_from(("id", "name", "image", "runtime", "state", "k8s.pod.name")), hostile),
    incident=hostile,
    reasons=several,
    description=hostile,
)
stamps = st.none() | st.builds(
    Stamp,
    st.text("0123456789abcdef", min_size=32, max_size=32),
    st.integers(1, 2**62),
    st.text("0123456789abcdef", min_size=64, max_size=64),
)
