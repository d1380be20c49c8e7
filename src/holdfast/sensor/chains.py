"""Known chains: steps that together make one way out. Data, and how far a timeline went along one. No I/O."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

_OPENS = frozenset(("open", "openat", "openat2", "creat", "open_by_handle_at"))
_MOUNTS = frozenset(("mount", "move_mount", "fsmount", "fsopen", "open_tree"))


@dataclass(frozen=True, slots=True)
class Deed:
    """What one event did, as far as chains ask.

    Attributes:
        name: System call.
        path: Of the object.
        write: It was opened for writing, or changed.
        flags: Symbolic flags.
        kind: ``block``, ``char``, ``regular``, ...
        system: Type of the file system.
        helper: The kernel itself started a program.
        contained: A process in a container did it.
        done: The kernel let it through.
    """

    name: str
    path: str = ""
    write: bool = False
    flags: frozenset[str] = frozenset()
    kind: str = ""
    system: str = ""
    helper: bool = False
    contained: bool = True
    done: bool = True


@dataclass(frozen=True, slots=True)
class Link:
    """One step of a chain. What is given must all hold.

    Attributes:
        calls: System calls; empty for any.
        ends: Endings of the path, one of which it must have; empty for any.
        flag: A flag that must be there.
        kinds: Kinds of file.
        write: It must write.
        helper: The kernel must have started it.
    """

    calls: frozenset[str] = frozenset()
    ends: tuple[str, ...] = ()
    flag: str = ""
    kinds: frozenset[str] = frozenset()
    write: bool = False
    helper: bool = False

    def fits(self, deed: Deed) -> bool:
        """Tell whether an event is this step."""
        return (
            deed.done
            and (not self.calls or deed.name in self.calls)
            and (not self.ends or deed.path.endswith(self.ends))
            and (not self.flag or self.flag in deed.flags)
            and (not self.kinds or deed.kind in self.kinds)
            and (deed.write or not self.write)
            and deed.helper == self.helper
        )


@dataclass(frozen=True, slots=True)
class Chain:
    """Steps in their order.

    Attributes:
        name: Short.
        title: A person's words.
        links: The steps.
    """

    name: str
    title: str
    links: tuple[Link, ...]

    def reached(self, deeds: Iterable[Deed]) -> int:
        """Count the links that were done in their order; others may lie between."""
        at = 0
        for deed in deeds:
            if at < len(self.links) and self.links[at].fits(deed):
                at += 1
        return at

    def awaits_host(self, deed: Deed) -> bool:
        """Tell whether the next thing after this step is done by the kernel, for the host."""
        return any(here.fits(deed) and after.helper for here, after in zip(self.links, self.links[1:], strict=False))


_HELPER = Link(helper=True)

CHAINS = (
    Chain("mount-release-agent", "mount of a cgroup hierarchy, then its release_agent", (
        Link(_MOUNTS), Link(_OPENS, ("/release_agent",), write=True), _HELPER,
    )),
    Chain("release-agent", "write of a release_agent, which the kernel then ran", (
        Link(_OPENS, ("/release_agent",), write=True), _HELPER,
    )),
    Chain("core-pattern", "write of core_pattern, whose helper the kernel then ran", (
        Link(_OPENS, ("/core_pattern",), write=True), _HELPER,
    )),
    Chain("usermode-helper", "write of a usermode helper's path, which the kernel then ran", (
        Link(_OPENS, ("/modprobe", "/uevent_helper", "/hotplug", "/poweroff_cmd", "/register"), write=True), _HELPER,
    )),
    Chain("device", "device node made and opened", (
        Link(frozenset(("mknod", "mknodat")), kinds=frozenset(("block", "char"))),
        Link(_OPENS, kinds=frozenset(("block", "char"))),
    )),
    Chain("device-mount", "disk mounted", (
        Link(frozenset(("mknod", "mknodat")), kinds=frozenset(("block",))), Link(_MOUNTS, kinds=frozenset(("block",))),
    )),
    Chain("user-namespace", "user namespace made for its capabilities, then a mount", (
        Link(frozenset(("unshare", "clone", "clone3")), flag="CLONE_NEWUSER"), Link(_MOUNTS),
    )),
    Chain("namespace-entry", "namespace of another process opened and entered", (
        Link(_OPENS, ("/ns/mnt", "/ns/pid", "/ns/net", "/ns/ipc", "/ns/uts", "/ns/user", "/ns/cgroup")),
        Link(frozenset(("setns",))),
    )),
    Chain("trace", "process attached to and written into", (
        Link(frozenset(("ptrace",))), Link(frozenset(("process_vm_writev", "ptrace"))),
    )),
)  # fmt: skip
"""The chains, the longer ones first."""
