"""What hardening found and wrote, ready to be rendered."""

from __future__ import annotations

from dataclasses import dataclass

from holdfast.model.errors import NotUnderstood
from holdfast.model.remedy import Fixes, FixSet, Remedy
from holdfast.model.report import Assessment, Verdict
from holdfast.model.written import Unwritten


@dataclass(frozen=True, slots=True)
class Hardened:
    """One workload.

    Attributes:
        before: Its judgement as it is.
        fixes: Which changes are enough. The first set is the one that was written.
        left: Changes of the first set that are not in the new text.
        outside: Changes of the first set that are made elsewhere than in the file.
        after: Judgement of the new text, read again, with the changes outside made; None where nothing was written
            or the text could not be read again.
        file_alone: The same without the changes outside; None where there are none.
    """

    before: Assessment
    fixes: Fixes
    left: tuple[Unwritten, ...] = ()
    outside: tuple[Remedy, ...] = ()
    after: Assessment | None = None
    file_alone: Assessment | None = None

    @property
    def chosen(self) -> FixSet | None:
        """The cheapest set of changes; None where there is none or nothing has to be changed."""
        first = self.fixes.sets[0] if self.fixes.sets else None
        return first if first is not None and first.remedies else None

    @property
    def ended(self) -> bool:
        """The new text was read again and is contained."""
        return self.after is not None and self.after.verdict is Verdict.CONTAINED and self.file_alone is None


@dataclass(frozen=True, slots=True)
class Patch:
    """What becomes of one file.

    Attributes:
        path: The file.
        before: Its text.
        after: Its text with the changes.
        applied: It was written.
    """

    path: str
    before: str
    after: str
    applied: bool = False


@dataclass(frozen=True, slots=True)
class Gain:
    """What one change would do for many workloads.

    Attributes:
        title: The change.
        workloads: Names of the workloads whose best set holds it.
        paths: Paths that it ends by itself, over all of them.
    """

    title: str
    workloads: tuple[str, ...]
    paths: int


@dataclass(frozen=True, slots=True)
class Hardening:
    """Everything one run has to say.

    Attributes:
        workloads: In the order of the files.
        patches: One for each file that would change or was changed.
        gains: For several workloads with paths: those changes first that end most of them.
        not_understood: What could not be read.
        notes: One-line remarks.
        tool_version: Version of Holdfast.
        host: Name of the host judged against, empty where none was.
    """

    workloads: tuple[Hardened, ...]
    patches: tuple[Patch, ...] = ()
    gains: tuple[Gain, ...] = ()
    not_understood: tuple[NotUnderstood, ...] = ()
    notes: tuple[str, ...] = ()
    tool_version: str = ""
    host: str = ""
