"""What hardening would change, as one patch for patch(1) and git apply."""

from __future__ import annotations

from holdfast.model.hardening import Hardening
from holdfast.reports._diff import unified

MEDIA_TYPE = "text/x-diff"


def render(report: Hardening) -> bytes:
    """Return the diffs of all files, one after the other; nothing where no file would change."""
    return "".join(map(unified, report.patches)).encode("utf-8", "surrogateescape")
