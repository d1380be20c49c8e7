"""The law of the writers, held over any file: what is written is read back, and nothing else has changed."""

from __future__ import annotations

import difflib
import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from holdfast.collect.parse import parse
from holdfast.model.change import Change, Instead, Without, applied, with_, without
from holdfast.model.errors import NotUnderstood
from holdfast.model.facts import Absent, Fact, Facts, Seen
from holdfast.model.tree import Document
from holdfast.model.words import declared
from holdfast.model.words.declared import Mount
from holdfast.model.workload import Described, Reading
from holdfast.model.written import Written

Read = Callable[[str], tuple[Document, Reading]]
Write = Callable[[str, Document, Described, Sequence[Change]], Written]

TESTS = Path(__file__).parent
CORPUS = os.environ.get("HOLDFAST_CORPUS", "")
_LARGEST = 200_000

FOLLOWS: dict[Fact[Any], set[Fact[Any]]] = {
    declared.PRIVILEGED: {declared.SYSTEM_PATHS, declared.SELINUX, declared.NO_NEW_PRIVILEGES},
    declared.USER: {declared.USER_BY_IMAGE},
    declared.SECCOMP: {declared.SECCOMP_PROFILE},
    declared.NAMESPACES: {declared.NETWORKS, declared.SELINUX},
    declared.CAPABILITIES_ADDED: {declared.NO_NEW_PRIVILEGES},
    declared.SYSTEM_PATHS: {declared.WRITABLE_CGROUPS},
    declared.WRITABLE_CGROUPS: {declared.SYSTEM_PATHS},
    declared.MOUNTS: {declared.SERVICE_ACCOUNT_TOKEN, declared.DEVICES},
}
"""Facts that the dialects read from another fact's words, where nothing else answers them."""
OF_POD = {
    declared.NAMESPACES, declared.USER_NAMESPACE, declared.RUNTIME, declared.SERVICE_ACCOUNT_TOKEN, declared.SYSCTLS,
    declared.GROUPS,
}  # fmt: skip
"""Facts that all containers of one Pod have in common."""


@dataclass
class Tally:
    """What was held to the law."""

    files: int = 0
    workloads: int = 0
    changes: int = 0
    written: int = 0
    refused: int = 0
    size: int = 0


def candidates(described: Described, *, kubernetes: bool) -> list[Change]:
    """Return changes as hardening proposes them, and some more."""
    facts = described.facts
    found: list[Change] = []

    def add(fact: Fact[Any], value: object) -> None:
        found.append(Change(fact, value, f"{fact.name} {value}"))

    add(declared.PRIVILEGED, False)
    add(declared.READ_ONLY_ROOT, True)
    add(declared.NO_NEW_PRIVILEGES, True)
    add(declared.USER, "65532:65532")
    add(declared.CAPABILITIES_DROPPED, with_("ALL"))
    add(declared.SECCOMP, "runtime/default" if kubernetes else "default")
    add(declared.APPARMOR, "default")
    add(declared.RUNTIME, "runsc")
    add(declared.SYSTEM_PATHS, "default")
    add(declared.USER_NAMESPACE, "private" if kubernetes else "default")
    if kubernetes:
        add(declared.SERVICE_ACCOUNT_TOKEN, False)
        add(declared.RUN_AS_NON_ROOT, True)
    lists: tuple[Any, ...] = (
        declared.CAPABILITIES_ADDED, declared.DEVICES, declared.MOUNTS, declared.GROUPS, declared.SYSCTLS,
        declared.DEVICE_RULES, declared.SELINUX,
    )  # fmt: skip
    for fact in lists:
        seen = facts.seen(fact)
        places = Counter(seen.parts.get(one) for one in dict.fromkeys(seen.value)) if seen else Counter()
        for member in dict.fromkeys(seen.value if seen else ()):
            if seen and places[seen.parts.get(member)] > 1 and fact is declared.MOUNTS:
                continue  # a claim and the host path behind it stand in one line and go together
            add(fact, without(member))
            if isinstance(member, Mount) and not member.read_only and member.kind in {"bind", "volume", "claim"}:
                add(fact, Instead(member, replace(member, read_only=True)))
    shared = facts.value(declared.NAMESPACES)
    for name in sorted(str(one) for one in (shared.yes if shared else ())):
        add(declared.NAMESPACES, without(name))
    mounts = facts.value(declared.MOUNTS)
    if mounts is not None and not any(mount.target == "/tmp/scratch" for mount in mounts):
        add(declared.MOUNTS, with_(Mount("tmpfs", "for-writing" if kubernetes else "", "/tmp/scratch")))
    return found


def hold(read: Read, write: Write, text: str, tally: Tally, *, kubernetes: bool, most: int = 40) -> list[str]:
    """Hold one file to the law, one change at a time.

    Returns:
        Why changes were refused.
    """
    document, before = read(text)
    tally.files += 1
    tally.size += len(text)
    refusals: list[str] = []
    for index, described in enumerate(before.workloads):
        tally.workloads += 1
        for change in candidates(described, kubernetes=kubernetes)[:most]:
            tally.changes += 1
            written = write(text, document, described, [change])
            if written.left:
                assert written.text == text, change
                tally.refused += 1
                refusals.append(f"{change.fact.name}: {written.left[0].why}")
                continue
            tally.written += 1
            again_document, again = read(written.text)
            same_but(_told(again_document, again), text, written.text, before, index, [change], kubernetes=kubernetes)
            twice = write(written.text, again_document, again.workloads[index], [change])
            assert twice.text == written.text, change
            assert not twice.left, (change, twice.left)
    return refusals


def _told(document: Document, reading: Reading) -> Read:
    return lambda _: (document, reading)


def same_but(  # noqa: PLR0917 - what there was, and what was made of it
    read: Read, text: str, new: str, before: Reading, index: int, changes: Sequence[Change], *, kubernetes: bool
) -> None:
    """Assert that the new text says what the changes say, and otherwise what the old one said."""
    _, after = read(new)
    names = [one.workload.name for one in before.workloads]
    assert [one.workload.name for one in after.workloads] == names
    assert len(after.problems) <= len(before.problems), after.problems
    described = before.workloads[index]
    wanted = applied(described.facts, changes, described.workload.source)
    follows = {fact for change in changes for fact in FOLLOWS.get(change.fact, ())} | {declared.PROCESS_PEERS}
    touched = {change.fact for change in changes}
    for at, (old, one) in enumerate(zip(before.workloads, after.workloads, strict=True)):
        mine = at == index
        pod = kubernetes and _pod(old) == _pod(described)
        for fact in {*old.facts, *one.facts}:
            if (mine and fact in touched) or (
                pod and fact in touched & OF_POD and _answer(one.facts, fact) != _answer(old.facts, fact)
            ):
                expected = wanted
            elif (mine and fact in follows) or fact is declared.PROCESS_PEERS:
                continue
            else:
                expected = old.facts
            assert _answer(one.facts, fact) == _answer(expected, fact), (old.workload.name, fact, changes, new)
    only_lines_of_its_own(text, new, comments=len(changes) == 1)


def _pod(described: Described) -> tuple[str, str]:
    return described.workload.name.rpartition("/")[0], described.workload.source.pointer.rsplit("/", 2)[0]


def _answer(facts: Facts, fact: Fact[Any]) -> object:
    entry = facts.table.get(fact)
    if isinstance(entry, Seen):
        if fact is declared.NAMESPACES and isinstance(entry.value.yes, frozenset):
            return entry.value.yes, entry.value.maybe - {"uts"}
        if fact is declared.MOUNTS:
            return frozenset(entry.value)  # their order means nothing; a dialect has several lists of them
        return entry.value
    return "absent" if isinstance(entry, Absent) else None


def only_lines_of_its_own(text: str, new: str, *, comments: bool) -> None:
    """Assert that few lines went, that comments around them stayed, and line ends and the mark at the start too."""
    old_lines, new_lines = text.splitlines(), new.splitlines()
    matched: set[int] = set()
    for kind, at, end, _, _ in difflib.SequenceMatcher(None, old_lines, new_lines, autojunk=False).get_opcodes():
        if kind == "equal":
            matched.update(range(at, end))
    content = [at for at, line in enumerate(old_lines) if line.strip() and not line.lstrip().startswith("#")]
    stay = Counter(new_lines)
    for at, line in enumerate(old_lines if comments else ()):
        comment = line.lstrip().startswith("#") and not line.startswith("# docker")  # the prompt of a console
        if comment and not stay[line] and old_lines.count(line) == 1:
            # A comment may go with the lines it stands between, never from above or below them.
            around = [*[one for one in content if one < at][-1:], *[one for one in content if one > at][:1]]
            assert not matched & set(around), (line, text, new)
    assert new.startswith("\ufeff") == text.startswith("\ufeff")
    if "\r\n" in text and text.count("\n") == text.count("\r\n"):
        assert new.count("\n") == new.count("\r\n")


def parsed(name: str, text: str) -> Document:
    """Read a text as the program reads a file."""
    return parse(name, text.encode())[0]


def together(changes: Iterable[Change]) -> list[Change]:
    """Return the changes that can be made together: one for each mount, and those that leave other facts alone."""
    swapped = [change.value.old for change in changes if isinstance(change.value, Instead)]
    return [
        change
        for change in changes
        if not (isinstance(change.value, Without) and any(one in swapped for one in change.value.members))
    ]


def own_files(recognises: Callable[[Document], bool]) -> list[Path]:
    """Return the files of this repository that a dialect recognises."""
    return _recognised([TESTS / "data", TESTS.parent / "examples"], recognises)


def foreign_files(recognises: Callable[[Document], bool]) -> list[Path]:
    """Return the files of other people, from the data beside the repository and from the folder HOLDFAST_CORPUS."""
    return _recognised([TESTS.parent.parent / "shared" / "data", *([Path(CORPUS)] if CORPUS else [])], recognises)


def _recognised(folders: Iterable[Path], recognises: Callable[[Document], bool]) -> list[Path]:
    paths = (
        path for folder in folders for path in sorted(folder.rglob("*")) if path.suffix in {".yml", ".yaml", ".json"}
    )
    found: list[Path] = []
    for path in paths:
        data = path.read_bytes()
        if len(data) > _LARGEST:
            continue
        try:
            document, problems = parse(str(path), data)
        except NotUnderstood:
            continue
        if not problems and recognises(document):
            found.append(path)
    return found
