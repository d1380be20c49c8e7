"""Variables in Compose files: ``$NAME``, ``${NAME:-default}`` and their kin, and the ``.env`` files they come from.

Source:
    https://docs.docker.com/reference/compose-file/interpolation/, compose-go ``template`` and ``dotenv``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

Lookup = Callable[[str], str | None]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OPERATORS = (":-", ":?", ":+", "-", "?", "+")
_DEPTH = 32
_LONGEST = 1 << 16
_KEY = re.compile(r"[ \t]*(?:export[ \t]+)?([A-Za-z0-9_.]+)[ \t]*([=:]|\n|\Z)")
_ESCAPES = {"n": "\n", "r": "\r", "\\": "\\", '"': '"', "$": "$"}


@dataclass(slots=True)
class Outcome:
    """What became of one text.

    Attributes:
        text: The text with every variable replaced; an unset one by nothing, as Compose does.
        unset: Names of variables that are not set and have no default.
        defaults: Names of variables that are not set, so that their default counts.
        error: Why Compose refuses the text; empty where it does not.
    """

    text: str
    unset: list[str]
    defaults: list[str]
    error: str = ""

    @property
    def reason(self) -> str:
        """Why the value cannot be known; empty where it can."""
        if self.error:
            return self.error
        if not self.unset:
            return ""
        names = ", ".join(dict.fromkeys(self.unset))
        return f"the variable {names} is not set here" if len(self.unset) == 1 else f"not set here: {names}"

    @property
    def note(self) -> str:
        """What the value rests on."""
        names = ", ".join(dict.fromkeys(self.defaults))
        return f"default, as {names} is not set" if names else ""


def interpolate(text: str, lookup: Lookup, depth: int = 0) -> Outcome:
    """Replace the variables of a text.

    Args:
        text: As written.
        lookup: Gives a variable's value, None where it is not set.
        depth: How many defaults stand around this text.
    """
    outcome = Outcome("", [], [])
    if depth > _DEPTH or len(text) > _LONGEST:
        outcome.text, outcome.error = text, "variables are nested too deeply or the text is too long"
        return outcome
    done: list[str] = []
    at = 0
    while True:
        dollar = text.find("$", at)
        if dollar < 0:
            done.append(text[at:])
            break
        done.append(text[at:dollar])
        following = text[dollar + 1 : dollar + 2]
        if following == "$":
            done.append("$")
            at = dollar + 2
            continue
        if following == "{":
            end = _closing(text, dollar)
            if end < 0:
                outcome.error = f"{text[dollar : dollar + 40]!r} has no closing brace"
                break
            done.append(_braced(text[dollar + 2 : end], lookup, outcome, depth))
            at = end + 1
            continue
        match = _NAME.match(text, dollar + 1)
        if match is None:
            outcome.error = f"{text[dollar : dollar + 20]!r} is no variable; write $$ for a dollar sign"
            break
        done.append(_plain(match.group(), lookup, outcome))
        at = match.end()
    outcome.text = text if outcome.error else "".join(done)
    return outcome


def _closing(text: str, start: int) -> int:
    """Find the brace that closes ``${`` at ``start``; -1 where none does."""
    depth = 0
    at = start
    while at < len(text):
        if text.startswith("${", at):
            depth += 1
            at += 2
            continue
        if text[at] == "}":
            depth -= 1
            if not depth:
                return at
        at += 1
    return -1


def _plain(name: str, lookup: Lookup, outcome: Outcome) -> str:
    value = lookup(name)
    if value is None:
        outcome.unset.append(name)
        return ""
    return value


def _braced(inside: str, lookup: Lookup, outcome: Outcome, depth: int) -> str:
    match = _NAME.match(inside)
    if match is None:
        outcome.error = outcome.error or f"{'${' + inside[:40]!r} names no variable"
        return ""
    name, rest = match.group(), inside[match.end() :]
    if not rest:
        return _plain(name, lookup, outcome)
    operator = next((sign for sign in _OPERATORS if rest.startswith(sign)), "")
    if not operator:
        outcome.error = outcome.error or f"{inside[:40]!r} is no variable"
        return ""
    value = lookup(name)
    given = value is not None and (value != "" or operator[0] != ":")
    if operator[-1] == "?":
        if given:
            return value or ""
        outcome.unset.append(name)
        return ""
    if operator[-1] == "+":
        if not given:
            outcome.defaults.append(name)
            return ""
    elif given:
        return value or ""
    else:
        outcome.defaults.append(name)
    nested = interpolate(rest[len(operator) :], lookup, depth + 1)
    outcome.unset += nested.unset
    outcome.defaults += nested.defaults
    outcome.error = outcome.error or nested.error
    return nested.text


def environment_file(text: str, lookup: Lookup) -> dict[str, str]:
    """Read an ``.env`` file.

    Args:
        text: Its content. What cannot be read ends the reading, as it does in Compose.
        lookup: Variables that are set already; they win, and values may refer to them.
    """
    values: dict[str, str] = {}

    def known(name: str) -> str | None:
        found = lookup(name)
        return values.get(name, "") if found is None else found

    at = 0
    text = text.replace("\r\n", "\n")
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        end_of_line = text.find("\n", at)
        end_of_line = len(text) if end_of_line < 0 else end_of_line
        if text[at] == "#":
            at = end_of_line
            continue
        match = _KEY.match(text, at)
        if match is None:
            break
        name = match.group(1)
        if match.group(2) in {"\n", ""}:
            at = match.end()
            continue
        at = match.end()
        while text[at : at + 1] in {" ", "\t"}:
            at += 1
        value, at = _value(text, at, known)
        values.setdefault(name, value)
        values[name] = value
    return values


def _value(text: str, at: int, lookup: Lookup) -> tuple[str, int]:
    quote = text[at : at + 1]
    if quote in {"'", '"'}:
        end = at + 1
        while end < len(text) and not (text[end] == quote and text[end - 1] != "\\"):
            end += 1
        inside = text[at + 1 : end]
        if quote == '"':
            inside = interpolate(re.sub(r"\\(.)", _unescaped, inside), lookup).text
        rest = text.find("\n", end)
        return inside, len(text) if rest < 0 else rest
    end = text.find("\n", at)
    end = len(text) if end < 0 else end
    plain = re.split(r"(?:^|\s)#", text[at:end], maxsplit=1)[0].rstrip()
    return interpolate(plain, lookup).text, end


def _unescaped(match: re.Match[str]) -> str:
    return _ESCAPES.get(match.group(1), match.group())
