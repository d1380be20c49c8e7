"""Writes a tree as YAML the way different people would: indentation, quotes, brackets, comments, line ends."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from typing import Any

_PLAIN = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./@-=")
_WORDS = {"", "true", "false", "null", "yes", "no", "on", "off", "~", "y", "n"}


class Raw(str):
    """Text that stands in the document as it is: an alias, a variable."""

    __slots__ = ()


@dataclass
class Layout:
    """How one document is written."""

    chance: random.Random
    step: int = 2
    dash: int = 2
    flow: float = 0.2
    comments: float = 0.1

    @classmethod
    def of(cls, seed: int) -> Layout:
        """Choose a layout."""
        chance = random.Random(seed)
        flow, comments = chance.choice([0.0, 0.2, 0.6]), chance.choice([0.0, 0.1, 0.4])
        return cls(chance, chance.choice([2, 4, 3]), chance.choice([0, 2]), flow, comments)

    def document(self, tree: Any) -> str:
        """Write the tree."""
        chance = self.chance
        if chance.random() < 0.1 and not _holds_raw(tree):
            return json.dumps(tree, indent=chance.choice([None, 2, 4]), ensure_ascii=chance.random() < 0.5)
        lines = ["# made for a test"] if chance.random() < 0.3 else []
        lines += ["---"] if chance.random() < 0.2 else []
        lines += self._mapping(tree, 0)
        lines += chance.choice([[], [], [], ["..."], ["# the end", "", ""]])
        text = "\n".join(lines) + ("\n" if chance.random() < 0.8 else "")
        if chance.random() < 0.15:
            text = text.replace("\n", "\r\n")
        return ("\ufeff" if chance.random() < 0.1 else "") + text

    def _comment(self) -> str:
        return "  # why: this - and [that]" if self.chance.random() < self.comments else ""

    def _above(self, indent: int) -> list[str]:
        found = (
            [" " * indent + f"# about: {self.chance.randint(0, 999)}"] if self.chance.random() < self.comments else []
        )
        return found + ([""] if self.chance.random() < self.comments / 2 else [])

    def _scalar(self, value: Any) -> str:
        if isinstance(value, Raw):
            return str(value)
        if value is None:
            return self.chance.choice(["null", "~"])
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, int):
            return str(value)
        style = self.chance.randint(0, 3)
        if style == 0:
            return "'" + value.replace("'", "''") + "'"
        if (
            style == 1
            or not set(value) <= _PLAIN | set(":")
            or value.lower() in _WORDS
            or value[0] in "-=@"
            or value[-1] == ":"
            or value[0].isdigit()
        ):
            return json.dumps(value)
        return value

    def _flow(self, value: Any) -> str:
        if isinstance(value, dict):
            pad = self.chance.choice(["", " "])
            return "{" + pad + ", ".join(f"{key}: {self._flow(child)}" for key, child in value.items()) + pad + "}"
        if isinstance(value, list):
            comma = self.chance.choice([", ", ",", " , "]) if not any(isinstance(one, dict) for one in value) else ", "
            return (
                "["
                + comma.join(self._flow(child) for child in value)
                + self.chance.choice(["", ","] if value else [""])
                + "]"
            )
        return self._scalar(value)

    def _mapping(self, tree: dict[str, Any], indent: int) -> list[str]:
        lines: list[str] = []
        for key, child in tree.items():
            lines += self._above(indent)
            lines += self._entry(key, child, indent)
        return lines

    def _entry(self, key: str, child: Any, indent: int) -> list[str]:
        lead = " " * indent + key + ":"
        anchor = ""
        if isinstance(child, dict) and "&" in child:
            anchor = f" &{child['&']}"
            child = {name: one for name, one in child.items() if name != "&"}
        if isinstance(child, str) and "\n" in child:
            sign = self.chance.choice(["|", "|-", "|+", ">"])
            body = ["" if not line else " " * (indent + self.step) + line for line in child.split("\n")]
            return [f"{lead} {sign}{self._comment()}", *body]
        if child is None and self.chance.random() < 0.5:
            return [f"{lead}{self._comment()}"]
        if not isinstance(child, dict | list) or not child:
            return [f"{lead}{anchor} {self._flow(child)}{self._comment()}"]
        if self.chance.random() < self.flow / 3 and not _holds_raw(child) and isinstance(child, list):
            inner = " " * (indent + self.step)
            items = [f"{inner}{self._flow(one)},{self._comment()}" for one in child[:-1]]
            last = f"{inner}{self._flow(child[-1])}{self.chance.choice(['', ','])}{self._comment()}"
            return [f"{lead} [{self._comment()}", *items, last, " " * indent + "]" + self._comment()]
        if self.chance.random() < self.flow and not _holds_raw(child) and not anchor:
            return [f"{lead} {self._flow(child)}{self._comment()}"]
        head = f"{lead}{anchor}{self._comment()}"
        if isinstance(child, dict):
            return [head, *self._mapping(child, indent + self.step)]
        return [head, *self._list(child, indent + self.dash)]

    def _list(self, items: list[Any], indent: int) -> list[str]:
        lines: list[str] = []
        for item in items:
            lines += self._above(indent)
            if isinstance(item, dict) and item and self.chance.random() >= self.flow:
                body = self._mapping(item, indent + 2)
                while body and not body[0].strip(" ").strip():
                    body.pop(0)
                while body[0].lstrip().startswith("#"):
                    lines.append(body.pop(0))
                    body = [line for at, line in enumerate(body) if at or line.strip()]
                lines += [" " * indent + "- " + body[0].lstrip(" "), *body[1:]]
            else:
                lines.append(f"{' ' * indent}- {self._flow(item)}{self._comment()}")
        return lines


def _holds_raw(tree: Any) -> bool:
    if isinstance(tree, dict):
        return "&" in tree or any(_holds_raw(child) for child in tree.values())
    return any(map(_holds_raw, tree)) if isinstance(tree, list) else isinstance(tree, Raw)
