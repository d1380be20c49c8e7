"""Type on the host's console.

What happens: the container makes a keyboard with ``/dev/uinput``, or writes to the event device of a real one, and
types commands into whatever session is open on the machine. Or it takes over a virtual console, ``/dev/tty1``, and
pushes characters into its input with the TIOCSTI request. Reading these devices gives it what is typed, passwords
included.

Why the kernel allows it: input devices and consoles are guarded by file permissions and the device cgroup only; root of
the container passes. TIOCSTI on another session's terminal asks for CAP_SYS_ADMIN; where that is held, switching the
request off (``dev.tty.legacy_tiocsti=0``, Linux 6.2) counts only for kernels before 6.4.8.

What closes it: granting none of these devices; an ordinary user, or a user namespace; an SELinux policy; a sandbox.

How it looks: an open of ``/dev/uinput``, or the request TIOCSTI, by a process in a container.
"""

from holdfast.model.change import Change, with_, without
from holdfast.model.logic import Expr, at_least, has, is_, one_of, starts_with
from holdfast.model.technique import DrillClass, Evidence, Example, ProvedBy, Situation, Technique, Way, unseen
from holdfast.model.truth import NO, UNKNOWN, YES
from holdfast.model.values import Members
from holdfast.model.ways import step
from holdfast.model.words import container, event, host, reach
from holdfast.model.words.conditions import host_capability, host_root, lsm_permits, may_make_device, may_open_device

_TIOCSTI_FOR_ADMIN_SINCE = (6, 4, 8)

_OPEN: Situation = {
    container.DEVICES: Members.of("uinput"),
    container.DEVICE_ACCESS: Members.of("uinput"),
    container.CAPABILITIES: Members(),
    container.USER_NAMESPACE: "host",
    container.SYSCALLS: Members.of("mknod"),
    container.LSM_DENIES: Members(),
    container.SANDBOX: "none",
    container.HOST_USER_ID: 0,
    host.LEGACY_TIOCSTI: False,
    host.KERNEL_VERSION: (6, 3, 13),
}

_CONSOLE: Situation = {
    **_OPEN,
    container.DEVICES: Members.of("tty"),
    container.DEVICE_ACCESS: Members.of("tty"),
    container.CAPABILITIES: Members.of("CAP_SYS_ADMIN"),
}
_MADE: Situation = {
    **_OPEN,
    container.DEVICES: Members(),
    container.CAPABILITIES: Members.of("CAP_MKNOD"),
    container.USER_NAMESPACE: "host",
    container.SYSCALLS: Members.of("mknod"),
}


def may_open_input(kind: str, module: str) -> Expr:
    """Write: a device of this kind opens. A node that is made anew leads somewhere only where the driver is there."""
    node = has(container.DEVICES, kind) | (may_make_device() & has(host.MODULES, module))
    return has(container.DEVICE_ACCESS, kind) & node & lsm_permits("devices")


TECHNIQUE = Technique(
    title="Type on the host's console",
    row=70,
    attack=("T1611",),
    evidence=Evidence.COMMON_KNOWLEDGE,
    exposed_when=(
        may_open_input("uinput", "uinput")
        | may_open_input("input", "evdev")
        | (
            may_open_device("tty")
            & host_capability("CAP_SYS_ADMIN")
            & (is_(host.LEGACY_TIOCSTI, True) | at_least(host.KERNEL_VERSION, _TIOCSTI_FOR_ADMIN_SINCE))
        )
    )
    & host_root()
    & is_(container.SANDBOX, "none"),
    gives=(Change(reach.HOST_PROCESS, True, "input of the host's console can be read and forged"),),
    closed_by=(
        Change(container.DEVICE_ACCESS, without("uinput", "input", "tty"), "grant no console and no input device"),
        Change(container.HOST_USER_ID, 100000, "run as an ordinary user, or in a user namespace"),
        Change(container.LSM_DENIES, with_("devices"), "enforce an SELinux policy that keeps containers from devices"),
        Change(container.SANDBOX, "gvisor", "run in a sandbox that does not pass devices on"),
    ),
    seen_as=is_(event.IN_CONTAINER, True)
    & (
        is_(event.COMMAND, "TIOCSTI")
        | (is_(event.FILE_KIND, "char") & (is_(event.DEVICE, "10:223") | starts_with(event.DEVICE, "13:")))
        | one_of(event.PATH, "/dev/uinput", "/dev/input/uinput")
        | starts_with(event.PATH, "/dev/input/event")
    ),
    seen_sample={event.IN_CONTAINER: True, event.PATH: "/dev/uinput", event.FILE_KIND: "char"},
    drill_class=DrillClass.D1,
    drill=(
        Way("open the device that makes input", (step("open", path="{device:uinput}", mode="w"),), ProvedBy.SURFACE),
        Way("open an input device", (step("open", path="{device:input}", mode="r"),), ProvedBy.SURFACE),
        *(
            Way(
                f"make a node for {what} and open it",
                (
                    step(
                        "mknod",
                        path="{work}/{token}",
                        kind="c",
                        major=f"{{device_major:{kind}}}",
                        minor=f"{{device_minor:{kind}}}",
                    ),
                    step("open", path="{work}/{token}", mode=mode),
                ),
                ProvedBy.SURFACE,
            )
            for kind, what, mode in (
                ("uinput", "the device that makes input", "w"),
                ("input", "an input device", "r"),
            )
        ),
        Way(
            "make a node for a console and type a blank",
            (
                step("mknod", path="{work}/{token}", kind="c", major="{device_major:tty}", minor="{device_minor:tty}"),
                step("open", path="{work}/{token}", mode="rw"),
                step("tiocsti", slot="1", text=" "),
            ),
            ProvedBy.SURFACE,
        ),
        Way(
            "type a blank on a console",
            (step("open", path="{device:tty}", mode="rw"), step("tiocsti", slot="0", text=" ")),
            ProvedBy.SURFACE,
        ),
    ),
    examples=(
        Example("/dev/uinput granted to root", _OPEN, YES),
        Example(
            "a console and CAP_SYS_ADMIN on a kernel that has TIOCSTI on", {**_CONSOLE, host.LEGACY_TIOCSTI: True}, YES
        ),
        Example(
            "the same with TIOCSTI off on a newer kernel, which lets CAP_SYS_ADMIN pass",
            {**_CONSOLE, host.KERNEL_VERSION: (6, 12, 4)},
            YES,
        ),
        Example("the same with TIOCSTI off on an older kernel", _CONSOLE, NO),
        Example(
            "a console without CAP_SYS_ADMIN",
            {**_CONSOLE, container.CAPABILITIES: Members(), host.LEGACY_TIOCSTI: True},
            NO,
        ),
        Example("any device permitted, and the driver is there", {**_MADE, host.MODULES: Members.of("uinput")}, YES),
        Example("any device permitted, and the kernel has no driver", {**_MADE, host.MODULES: Members()}, NO),
        Example("an ordinary user", {**_OPEN, container.HOST_USER_ID: 1000}, NO),
        Example("no such device", {**_OPEN, container.DEVICES: Members(), container.DEVICE_ACCESS: Members()}, NO),
        Example("devices not seen", unseen(_OPEN, container.DEVICE_ACCESS), UNKNOWN),
    ),
    sources=(
        "https://man7.org/linux/man-pages/man2/TIOCSTI.2const.html",
        "https://docs.kernel.org/input/uinput.html",
        "https://git.kernel.org/pub/scm/linux/kernel/git/torvalds/linux.git/commit/?id=690c8b804ad2eafbd35da5d3c95ad325ca7d5061",
    ),
)
