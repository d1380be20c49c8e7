"""What rules want to be told of, as narrow as the kernel can check it: calls, open modes, results, paths. Pure.

What is pushed down never keeps an event from a rule that could match it; the rest is judged in user space.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from holdfast.model.facts import Fact
from holdfast.reason.allowed import Pattern, Shape
from holdfast.reason.kernel_filter import KernelFilter, Result, Scope, kernel_filters
from holdfast.rules.fields import field as falco_field
from holdfast.rules.ruleset import Rule
from holdfast.sensor.calls import NARROW, NOTHING, RESULT, SHAPES
from holdfast.sensor.interests import BULK, Interest, Want

HEAD, TAIL = 200, 48
"""Bytes of a path that the kernel's tries compare, from its start and from its end (maps.h)."""
_CALLS = {"umount": "umount2"}
"""Names of events where they are not those of the calls."""
_EXECS = frozenset(("execve", "execveat"))
_END = "procexit"
_MOST = 4000
_HOST_READ, _HOST_WRITE, _CONTAINED_READ, _CONTAINED_WRITE = 1, 2, 4, 8
_KEY = struct.Struct("<I")


@dataclass(slots=True)
class Pushed:
    """What goes into the kernel's maps.

    Attributes:
        interests: By system call.
        heads, tails: For each path pattern, the bits of the accesses that it is wanted for.
        starts: A rule is about programs that the host's own processes start.
        ends: A rule is about processes that end.
    """

    interests: dict[str, Interest] = field(default_factory=dict)
    heads: dict[bytes, int] = field(default_factory=dict)
    tails: dict[bytes, int] = field(default_factory=dict)
    starts: bool = False
    ends: bool = False

    def want(self, name: str, interest: Interest) -> None:
        """Want more of a call."""
        known = self.interests.get(name)
        self.interests[name] = interest if known is None else known | interest


def pushed(rules: Iterable[Rule]) -> Pushed:
    """Work out what enabled rules want of the kernel.

    Args:
        rules: Compiled.
    """
    found = Pushed()
    kind: Fact[str] = falco_field("evt.type")
    for rule in rules:
        if not rule.definition.enabled:
            continue
        found.ends |= _END in rule.events
        for event in SHAPES:
            name = _CALLS.get(event, event)
            if event not in rule.events or name in NARROW:
                continue
            for one in kernel_filters((rule.condition,), kind, event):
                _push(found, name, one)
    return found


def _push(found: Pushed, name: str, demanded: KernelFilter) -> None:
    shape = SHAPES[name]
    success = failure = Want.NONE
    patterns: frozenset[Pattern] = frozenset()
    if demanded.paths is not None and shape.file == RESULT and shape.mode != NOTHING:
        success, patterns = _paths(demanded.paths)
    else:
        success = Want.ALL
    failure = Want.CLIMBING if success == Want.CLIMBING else Want.REFUSED | Want.ABSENT
    if name in _EXECS:
        success = Want.NONE  # a program that was started is told anyway
        found.starts |= demanded.result is not Result.FAILURE and demanded.scope is not Scope.CONTAINER
    want = Want.NONE
    if demanded.result is not Result.FAILURE:
        want |= success
    if demanded.result is not Result.SUCCESS:
        want |= failure
    reads = want if not demanded.writes or demanded.reads else Want.NONE
    writes = want  # what is opened for both is opened for reading too
    host = demanded.scope is not Scope.CONTAINER
    contained = demanded.scope is not Scope.HOST
    found.want(
        name,
        Interest(
            reads if host else Want.NONE, writes if host else Want.NONE, reads if contained else Want.NONE,
            writes if contained else Want.NONE, BULK, BULK,
        ),
    )  # fmt: skip
    bits = ((_HOST_WRITE | (_HOST_READ if reads else 0)) if host else 0) | (
        (_CONTAINED_WRITE | (_CONTAINED_READ if reads else 0)) if contained else 0
    )
    for pattern in patterns:
        text = str(pattern.value).encode("utf-8", "surrogateescape")
        if pattern.shape is Shape.SUFFIX:
            key = text[::-1][:TAIL]
            found.tails[key] = found.tails.get(key, 0) | bits
        else:
            key = text[:HEAD]
            found.heads[key] = found.heads.get(key, 0) | bits


def _paths(patterns: frozenset[Pattern]) -> tuple[Want, frozenset[Pattern]]:
    """Return when a path is wanted, and the patterns that the kernel compares."""
    want, kept = Want.NONE, set()
    for pattern in patterns:
        if pattern.shape in {Shape.EXACT, Shape.PREFIX, Shape.SUFFIX} and pattern.value:
            want |= Want.MATCHING
            kept.add(pattern)
        elif pattern.shape is Shape.CONTAINS and ".." in str(pattern.value):
            want |= Want.CLIMBING
        else:
            return Want.ALL, frozenset()
    return (want, frozenset(kept)) if len(kept) <= _MOST else (Want.ALL, frozenset())


def trie(patterns: dict[bytes, int], size: int) -> Iterator[tuple[bytes, bytes]]:
    """Make the entries of a longest-prefix trie.

    The kernel returns the longest entry alone, so each holds the bits of all shorter ones that it begins with.

    Args:
        patterns: Text and bits.
        size: Bytes that a key has room for.
    """
    for text, bits in patterns.items():
        whole = bits
        for length in range(1, len(text)):
            whole |= patterns.get(text[:length], 0)
        yield _KEY.pack(len(text) * 8) + text.ljust(size, b"\0"), _KEY.pack(whole)
