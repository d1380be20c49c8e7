"""Bounds of parsing, and the refusal that the readers of YAML and JSON share."""

from __future__ import annotations

from holdfast.model.errors import NotUnderstood

DEPTH = 200
"""Deepest nesting that is read. Kubernetes manifests stay below 20, definitions of custom resources below 80."""

NODES = 1_200_000
"""Most keys and values in one file: two seconds of work and some 200 MB. A Pod as kubectl prints it has about 500."""

_SMALL, _LARGE = 400_000, 4_000_000


class Refused(Exception):
    """Reading stops here.

    Attributes:
        what: What is wrong.
        next: What to do.
        line: 1-based.
        final: True where another syntax would not help either.
    """

    def __init__(self, what: str, next: str, line: int, *, final: bool = False) -> None:  # noqa: A002 - as in Error
        """Keep the four."""
        super().__init__(what)
        self.what = what
        self.next = next
        self.line = line
        self.final = final

    def trouble(self, name: str) -> NotUnderstood:
        """Return the error as a report shows it."""
        return NotUnderstood(self.what, f"{name}:{self.line}" if self.line else name, self.next, self.line)


def too_deep(line: int) -> Refused:
    """Return the refusal of a document that is nested too deeply."""
    return Refused(
        f"nested deeper than {DEPTH} levels", "nothing that an engine takes is nested so deeply", line, final=True
    )


def too_many(line: int) -> Refused:
    """Return the refusal of a document with too many nodes."""
    return Refused(f"more than {NODES} values in one file", "split the file", line, final=True)


def aliases_explode(expanded: int, by_alias: int) -> bool:
    """Tell whether aliases make so much of a document that kubectl and Compose refuse it.

    Args:
        expanded: Nodes of the document with every alias written out.
        by_alias: Those of them that come from aliases.

    Source:
        go-yaml's decoder: 99 of 100 may come from aliases up to 400,000 nodes, 10 of 100 from 4,000,000 on.
    """
    if by_alias <= 100 or expanded <= 1000:
        return False
    share = min(max(expanded - _SMALL, 0) / (_LARGE - _SMALL), 1.0)
    return by_alias > expanded * (0.99 - 0.89 * share)
