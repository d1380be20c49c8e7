"""A policy: what is done about an alert, by container and technique. Plain values; ``policy_read`` reads the file.

The first rule that fits decides. An exception of that rule decides for what it names; no later rule is asked then.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from fnmatch import fnmatchcase

from holdfast.model.event import Container, Event, Process
from holdfast.sensor.processes import ancestors

PER_MINUTE = 20
"""Responses in one minute at most, where the policy does not say."""


class Action(Enum):
    """What is done."""

    IGNORE = "ignore"
    OBSERVE = "observe"
    ALERT = "alert"
    DENY = "deny"
    KILL = "kill"
    PAUSE = "pause"
    QUARANTINE = "quarantine"

    @property
    def acts(self) -> bool:
        """It changes what runs, so that ``audit`` only says it."""
        return self in _ACTS


_ACTS = frozenset((Action.DENY, Action.KILL, Action.PAUSE, Action.QUARANTINE))


class Whom(Enum):
    """Whose events a rule is about."""

    EVERYTHING = "everything"
    CONTAINERS = "containers"
    HOST = "host"


@dataclass(frozen=True, slots=True)
class Selector:
    """Which containers a rule is about.

    Attributes:
        whom: Everything, every container, or the host's own processes.
        name, image, pod, namespace: Globs; empty fits any. A container of which the engine has not told yet has none of
            them, and fits no glob.
        labels: Globs by the name of the label; all must fit.
    """

    whom: Whom = Whom.EVERYTHING
    name: str = ""
    image: str = ""
    pod: str = ""
    namespace: str = ""
    labels: tuple[tuple[str, str], ...] = ()

    def fits(self, container: Container | None, *, contained: bool) -> bool:
        """Tell whether it is about an event.

        Args:
            container: Of the process that acted; None for the host, and for a container that nobody knows.
            contained: The process is in a container, as the kernel says.
        """
        inside = contained or container is not None
        if self.whom is Whom.HOST:
            return not inside
        if self.whom is Whom.EVERYTHING:
            return True
        if not inside:
            return False
        if not (self.name or self.image or self.pod or self.namespace or self.labels):
            return True
        if container is None:
            return False
        labels = container.labels
        return (
            _fits(self.name, container.name)
            and _fits(self.image, container.image)
            and _fits(self.pod, labels.get("io.kubernetes.pod.name", ""))
            and _fits(self.namespace, labels.get("io.kubernetes.pod.namespace", ""))
            and all(name in labels and fnmatchcase(labels[name], value) for name, value in self.labels)
        )

    def __str__(self) -> str:
        """As a table shows it: ``name=web-* namespace=shop``."""
        if self.whom is not Whom.CONTAINERS:
            return str(self.whom.value)
        parts = [f"{key}={value}" for key in ("name", "image", "pod", "namespace") if (value := getattr(self, key))]
        return " ".join((*parts, *(f"label:{name}={value}" for name, value in self.labels))) or str(self.whom.value)


def _fits(glob: str, text: str) -> bool:
    return not glob or (bool(text) and fnmatchcase(text, glob))


@dataclass(frozen=True, slots=True)
class Exemption:
    """For whom a rule makes an exception. What is given must all fit.

    Attributes:
        executable: Glob over the program's path; empty for any.
        in_image: The program must lie in the image, or be run by a process of the host: not written since the
            container was made, on no mount of its own, and no memfd. Where the sensor cannot tell it does not fit.
        path: The object lies there or below; empty for any. An object whose path the kernel did not resolve never does.
        user: Id in the initial user namespace; None for any.
        action: What is done instead.
        line: In the file.
    """

    executable: str = ""
    in_image: bool = True
    path: str = ""
    user: int | None = None
    action: Action = Action.IGNORE
    line: int = 0

    def fits(self, event: Event) -> bool:
        """Tell whether it is about an event."""
        process, file = event.process, event.file
        if self.executable:
            program = process.executable
            if not fnmatchcase(program.path, self.executable):
                return False
            if self.in_image and program.origin not in {"image", "host"}:
                return False
        if self.path:
            if file is None or not file.resolved:
                return False
            place = self.path.rstrip("/")
            seen = file.host_path or file.path
            if seen != place and not seen.startswith(f"{place}/"):
                return False
        return self.user is None or process.effective_user == self.user


@dataclass(frozen=True, slots=True)
class Line:
    """One rule of a policy.

    Attributes:
        selector: Which containers.
        names: Techniques and rules, by id and name.
        action: What is done.
        whole: Kill every process of the container, not only the one that acted.
        otherwise: What is done where a denial was asked for and the back end in force cannot deny.
        enforced: It is done; else it is only said.
        exemptions: For whom not.
        line: In the file.
    """

    selector: Selector
    names: frozenset[str]
    action: Action
    whole: bool = False
    otherwise: Action = Action.ALERT
    enforced: bool = False
    exemptions: tuple[Exemption, ...] = ()
    line: int = 0


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to be done about one alert.

    Attributes:
        action: It.
        enforced: It is done; else it is only said.
        whole: As in ``Line``.
        otherwise: As in ``Line``.
        line: Of the rule or exception that decided; 0 where none did.
    """

    action: Action = Action.ALERT
    enforced: bool = False
    whole: bool = False
    otherwise: Action = Action.ALERT
    line: int = 0


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy.

    Attributes:
        lines: Its rules, in order.
        default: What is done where no rule fits: ``ignore``, ``observe`` or ``alert``.
        enforced: What the file says for rules that do not say it themselves.
        per_minute: Responses in one minute at most.
        name: Of the file.
    """

    lines: tuple[Line, ...] = ()
    default: Action = Action.ALERT
    enforced: bool = False
    per_minute: int = PER_MINUTE
    name: str = ""
    _by_name: dict[str, tuple[Line, ...]] = field(default_factory=dict, compare=False, repr=False)

    def decide(self, event: Event, name: str) -> Decision:
        """Say what is done about an event.

        Args:
            event: What happened.
            name: Technique or rule that it matched.
        """
        for line in self.about(name):
            if not line.selector.fits(event.process.container, contained=event.contained):
                continue
            for one in line.exemptions:
                if one.fits(event):
                    return Decision(one.action, line.enforced, line=one.line)
            return Decision(line.action, line.enforced, line.whole, line.otherwise, line.line)
        return Decision(self.default)

    def about(self, name: str) -> tuple[Line, ...]:
        """Return the rules that name a technique or rule, in order."""
        found = self._by_name.get(name)
        if found is None:
            found = self._by_name[name] = tuple(one for one in self.lines if name in one.names)
        return found

    def denied(self, container: Container | None, techniques: Collection[str], *, contained: bool = True) -> set[str]:
        """Return the techniques that the kernel shall deny to a container.

        Args:
            container: None for one that nobody has described yet.
            techniques: Ids to ask for.
            contained: False asks for the host.
        """
        found = set()
        for name in techniques:
            line = next((one for one in self.about(name) if one.selector.fits(container, contained=contained)), None)
            # The kernel knows nothing of exceptions, and an attempt that one is about must not be denied.
            if line is not None and line.action is Action.DENY and line.enforced and not line.exemptions:
                found.add(name)
        return found

    @property
    def acts(self) -> bool:
        """Some rule does more than say something."""
        return any(line.enforced and (line.action.acts or line.otherwise.acts) for line in self.lines)


def effective(policy: Policy, names: Collection[str]) -> Iterator[tuple[Selector, Mapping[str, Line]]]:
    """Iterate over what holds for each selector of a policy: for each name the rule that decides, where one does.

    Args:
        policy: The policy.
        names: Techniques and rules to ask for.
    """
    for selector in dict.fromkeys(line.selector for line in policy.lines):
        table = {}
        for name in names:
            line = next((one for one in policy.about(name) if covers(one.selector, selector)), None)
            if line is not None:
                table[name] = line
        yield selector, table


def covers(wide: Selector, narrow: Selector) -> bool:
    """Tell whether everything that one selector is about another one is about too. Globs are compared as texts."""
    if wide.whom is Whom.EVERYTHING or wide == narrow:
        return True
    if wide.whom is not narrow.whom:
        return False
    for key in ("name", "image", "pod", "namespace"):
        glob, inner = getattr(wide, key), getattr(narrow, key)
        if glob and glob != inner and not (glob == "*" and inner):
            return False
    return set(wide.labels) <= set(narrow.labels)


def lineage(process: Process) -> Iterator[Process]:
    """Iterate over a process and its ancestors inside the same container."""
    yield process
    for one in ancestors(process):
        if one.container is not process.container:
            return
        yield one
