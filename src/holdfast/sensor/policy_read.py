"""Read a policy file. What is wrong in it is said with line and column, all of it at once. No I/O."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Any

from holdfast.rules import yaml_tree
from holdfast.rules.problems import Place, Problem
from holdfast.rules.yaml_tree import Node, NotYaml, Row, Scalar, Table
from holdfast.sensor.policy import PER_MINUTE, Action, Exemption, Line, Policy, Selector, Whom, covers

VERSION = "1"
_GLOB = re.compile(r"[*?\[]")
_ATTACK = re.compile(r"T\d{4}(?:\.\d{3})?\Z")
_TOP = ("version", "mode", "default", "responses_per_minute", "rules")
_RULE = ("containers", "techniques", "action", "scope", "otherwise", "mode", "except", "reason")
_SELECTOR = ("name", "image", "label", "pod", "namespace")
_EXCEPTION = ("executable", "in_image", "path", "user", "action", "reason")
_MODES = ("audit", "enforce")
_SCOPES = ("process", "container")
_QUIET = (Action.IGNORE.value, Action.OBSERVE.value, Action.ALERT.value)
_TRUE, _FALSE = frozenset(("true", "True", "TRUE")), frozenset(("false", "False", "FALSE"))
_MOST = 100_000


@dataclass(frozen=True, slots=True)
class Known:
    """The names that a policy may use.

    Attributes:
        techniques: Ids, each with its ATT&CK ids.
        rules: Names of rules in Falco's language.
    """

    techniques: Mapping[str, Collection[str]]
    rules: Collection[str] = ()

    def every(self) -> list[str]:
        """Return every technique's id and every rule's name."""
        return [*self.techniques, *self.rules]


@dataclass(slots=True)
class _Reader:
    name: str
    known: Known
    problems: list[Problem] = field(default_factory=list)

    def wrong(self, what: str, node: Node, next_: str = "") -> None:
        self.problems.append(Problem(what, Place(self.name, node.line, node.column), next=next_))

    def table(self, node: Node | None, keys: Iterable[str], what: str) -> Mapping[str, Node]:
        """Return the entries of a table; a key that nobody knows, or one given twice, is wrong."""
        if not isinstance(node, Table):
            if node is not None:
                self.wrong(f"{what} must be a table of keys and values", node)
            return {}
        known = tuple(keys)
        for key, place in node.keys.items():
            if key not in known:
                self.wrong(f"there is no key {_short(key)} in {what}", place, _nearest(key, known))
        for place in node.repeated:
            self.wrong(f"the key {_short(place.text)} stands twice", place, "keep one")
        return {key: value for key, value in node.entries.items() if key in known}

    def text(self, node: Node | None, what: str) -> str:
        if node is None:
            return ""
        if isinstance(node, Scalar) and node.text and not node.is_null:
            return node.text
        self.wrong(f"{what} must be a text", node)
        return ""

    def choice(self, node: Node | None, what: str, allowed: Collection[str], default: str) -> str:
        if node is None:
            return default
        text = self.text(node, what)
        if text and text not in allowed:
            self.wrong(f"{what} is {_short(text)}", node, _nearest(text, allowed))
        return text if text in allowed else default

    def flag(self, node: Node | None, what: str, *, default: bool) -> bool:
        if node is None:
            return default
        if isinstance(node, Scalar) and not node.style and node.text in _TRUE | _FALSE:
            return node.text in _TRUE
        self.wrong(f"{what} must be true or false", node)
        return default

    def number(self, node: Node | None, what: str, most: int) -> int | None:
        if node is None:
            return None
        if isinstance(node, Scalar) and not node.style and re.fullmatch(r"[0-9]{1,10}", node.text):
            found = int(node.text)
            if found <= most:
                return found
        self.wrong(f"{what} must be a whole number up to {most}", node)
        return None

    # --- the file ------------------------------------------------------------------------------------------------

    def policy(self, node: Node) -> Policy:
        top = self.table(node, _TOP, "a policy")
        if isinstance(node, Table) and "version" not in top:
            self.wrong("the policy does not say its version", node, f"begin with version: {VERSION}")
        self.choice(top.get("version"), "the version", (VERSION,), VERSION)
        enforced = self.choice(top.get("mode"), "the mode", _MODES, "audit") == "enforce"
        default = Action(self.choice(top.get("default"), "the default", _QUIET, Action.ALERT.value))
        per_minute = self.number(top.get("responses_per_minute"), "responses_per_minute", _MOST)
        rows = top.get("rules")
        lines: list[Line] = []
        if isinstance(rows, Row):
            for one in rows.items:
                line = self.line(one, enforced=enforced)
                if line is not None:
                    self.against(line, lines, one)
                    lines.append(line)
        elif rows is not None and not (isinstance(rows, Scalar) and rows.is_null):
            self.wrong("rules must be a list", rows)
        return Policy(tuple(lines), default, enforced, PER_MINUTE if per_minute is None else per_minute, self.name)

    def line(self, node: Node, *, enforced: bool) -> Line | None:
        before = len(self.problems)
        entries = self.table(node, _RULE, "a rule")
        if not isinstance(node, Table):
            return None
        for key in ("containers", "techniques", "action"):
            if key not in entries:
                self.wrong(f"the rule does not say its {key}", node, f"add {key}: to the rule")
        selector = self.selector(entries.get("containers"))
        names = self.names(entries.get("techniques"))
        every = [one.value for one in Action]
        action = Action(self.choice(entries.get("action"), "the action", every, Action.ALERT.value))
        whole = self.choice(entries.get("scope"), "the scope", _SCOPES, "process") == "container"
        otherwise = Action(
            self.choice(
                entries.get("otherwise"), "otherwise",
                [one for one in every if one != Action.DENY.value], Action.ALERT.value,
            )
        )  # fmt: skip
        if "scope" in entries and Action.KILL not in {action, otherwise}:
            self.wrong("scope says whom to kill, and this rule kills nobody", entries["scope"], "leave it out")
        if "otherwise" in entries and action is not Action.DENY:
            self.wrong("otherwise is for deny alone", entries["otherwise"], "leave it out")
        if selector.whom is not Whom.CONTAINERS and action.acts:
            self.wrong(
                f"{action.value} is for containers; this rule is about {selector.whom.value}", node,
                "write containers: containers, or alert",
            )  # fmt: skip
        mode = self.choice(entries.get("mode"), "the mode", _MODES, "enforce" if enforced else "audit")
        self.text(entries.get("reason"), "the reason")
        exemptions = self.exemptions(entries.get("except"))
        if len(self.problems) > before:
            return None
        return Line(selector, names, action, whole, otherwise, mode == "enforce", exemptions, node.line)

    def selector(self, node: Node | None) -> Selector:
        if node is None:
            return Selector()
        if isinstance(node, Scalar):
            return Selector(Whom(self.choice(node, "containers", [one.value for one in Whom], Whom.EVERYTHING.value)))
        entries = self.table(node, _SELECTOR, "containers")
        if isinstance(node, Table) and not node.entries:
            self.wrong("the selector is empty", node, "write containers: containers for every container")
        labels = []
        told = entries.get("label")
        if told is not None:
            if isinstance(told, Table):
                for place in told.repeated:
                    self.wrong(f"the label {_short(place.text)} stands twice", place, "keep one")
                labels = [(key, self.text(value, f"the label {_short(key)}")) for key, value in told.entries.items()]
            else:
                self.wrong("label must be a table of names and globs", told, 'write label: {tier: "front*"}')
        texts = {key: self.text(entries.get(key), key) for key in ("name", "image", "pod", "namespace")}
        return Selector(Whom.CONTAINERS, labels=tuple(sorted(labels)), **texts)

    def names(self, node: Node | None) -> frozenset[str]:
        if node is None:
            return frozenset()
        items = node.items if isinstance(node, Row) else [node]
        if not items:
            self.wrong("the rule names no technique", node, 'write techniques: ["*"] for all')
        found: set[str] = set()
        for one in items:
            text = self.text(one, "a technique")
            if text:
                found |= self.named(text, one)
        return frozenset(found)

    def named(self, text: str, node: Node) -> set[str]:
        """Return the techniques and rules that a name, an ATT&CK id or a glob stands for."""
        every = self.known.every()
        if text in every:
            return {text}
        if _ATTACK.match(text):
            found = {
                name
                for name, ids in self.known.techniques.items()
                if any(one == text or one.startswith(f"{text}.") for one in ids)
            }
        elif _GLOB.search(text):
            found = {name for name in every if fnmatchcase(name, text)}
        else:
            found = set()
        if not found:
            hint = "holdfast explain lists the techniques; rules must be given with --rules"
            self.wrong(f"no technique or rule is called {_short(text)}", node, _nearest(text, every, hint))
        return found

    def exemptions(self, node: Node | None) -> tuple[Exemption, ...]:
        if node is None:
            return ()
        found = []
        for one in node.items if isinstance(node, Row) else [node]:
            entries = self.table(one, _EXCEPTION, "an exception")
            if not isinstance(one, Table):
                continue
            if not entries.keys() & {"executable", "path", "user"}:
                self.wrong("the exception names nobody", one, "give an executable, a path or a user")
            if "in_image" in entries and "executable" not in entries:
                self.wrong("in_image says where an executable lies, and none is named", entries["in_image"])
            path = self.text(entries.get("path"), "the path")
            executable = self.text(entries.get("executable"), "the executable")
            for key, value in (("path", path), ("executable", executable)):
                if value and not value.startswith(("/", "*")):
                    self.wrong(f"the {key} must be absolute", entries[key], "begin it with /")
            self.text(entries.get("reason"), "the reason")
            found.append(
                Exemption(
                    executable, self.flag(entries.get("in_image"), "in_image", default=True), path,
                    self.number(entries.get("user"), "the user", (1 << 32) - 1),
                    Action(self.choice(entries.get("action"), "the action", _QUIET, Action.IGNORE.value)), one.line,
                )
            )  # fmt: skip
        return tuple(found)

    def against(self, line: Line, earlier: Iterable[Line], node: Node) -> None:
        """Hold a rule against those before it: none may say something else of the same, or leave it nothing."""
        left = set(line.names)
        for former in earlier:
            if not covers(former.selector, line.selector):
                continue
            both = left & former.names
            if both and former.selector == line.selector and _does(former) != _does(line):
                shown = ", ".join(sorted(both)[:3]) + (", ..." if len(both) > 3 else "")
                self.wrong(
                    f"lines {former.line} and {line.line} contradict each other: {_says(former)} and {_says(line)} "
                    f"for {former.selector} and {shown}", node, "keep one of them",
                )  # fmt: skip
                return
            left -= both
            if not left:
                self.wrong(
                    f"line {line.line} never decides: line {former.line} comes first and is about all of it", node,
                    "put the narrower rule first, or leave it out",
                )  # fmt: skip
                return


def _does(line: Line) -> tuple[Any, ...]:
    return line.action, line.whole, line.otherwise, line.enforced


def _says(line: Line) -> str:
    return f"{line.action.value}{'' if line.enforced or not line.action.acts else ' (audit)'}"


def read(text: str, name: str, known: Known) -> tuple[Policy, list[Problem]]:
    """Read a policy.

    Args:
        text: The file, YAML.
        name: Of the file, for problems.
        known: Techniques and rules that there are.

    Returns:
        The policy, and what is wrong, in the order of the file. With a problem the policy is not to be used.
    """
    reader = _Reader(name, known)
    try:
        documents = yaml_tree.read(text)
    except NotYaml as error:
        return Policy(name=name), [Problem(error.what, Place(name, error.line, error.column))]
    if len(documents) != 1 or not isinstance(documents[0], Table):
        place = Place(name, documents[0].line if documents else 1, 1)
        return Policy(name=name), [Problem("a policy is one table", place, next=f"begin with version: {VERSION}")]
    policy = reader.policy(documents[0])
    return policy, sorted(reader.problems, key=lambda one: one.place)


def _nearest(text: str, known: Collection[str], otherwise: str = "") -> str:
    found = get_close_matches(text, list(known), 3, 0.6)
    if found:
        return f"did you mean {' or '.join(found)}?"
    return otherwise or f"one of: {', '.join(known)}"


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:59] + "...")
