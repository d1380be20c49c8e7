"""Leave the container through a directory of the host that was left open.

What happens: a process of the container has an open directory that lies outside the container's root, inherited from
whoever started it. From there ``..`` leads to the host's root directory, and files are opened relative to it.

Why the kernel allows it: an open directory is a capability of its own. Neither the mount namespace nor the changed root
directory is consulted for paths relative to it. Runtimes have leaked such directories more than once: CVE-2016-9962
and CVE-2024-21626 of runc, where a working directory ``/proc/self/fd/N`` sufficed. A wrapper that starts a runtime and
does not close its files does the same.

What closes it: a runtime that closes its files before it starts the container (runc 1.1.12 and later verify it); a
launcher that opens directories close-on-exec. File permissions of the host still apply, so an ordinary user or a user
namespace limits the harm.

How it looks: a process in a container works relative to a directory outside its root.
"""

from holdfast.model.change import Change
from holdfast.model.logic import is_, one_of, starts_with
from holdfast.model.technique import DrillClass, Evidence, Example, ProvedBy, Situation, Technique, Way, unseen
from holdfast.model.truth import NO, UNKNOWN, YES
from holdfast.model.ways import step
from holdfast.model.words import assumed, container, event, reach
from holdfast.model.words.conditions import host_root

_OPEN: Situation = {
    container.LEAKED_HOST_FD: True,
    container.SANDBOX: "none",
    container.HOST_USER_ID: 0,
    assumed.UNTRUSTED_LAUNCHER: False,
}

TECHNIQUE = Technique(
    title="Leave through a directory of the host that was left open",
    row=71,
    attack=("T1611",),
    evidence=Evidence.SOURCE,
    confirmed=True,
    exposed_when=(is_(container.LEAKED_HOST_FD, True) | (is_(assumed.UNTRUSTED_LAUNCHER, True) & host_root()))
    & is_(container.SANDBOX, "none"),
    gives=(
        Change(reach.HOST_FILE_READ, True, "files of the host are opened relative to the directory"),
        Change(reach.HOST_FILE_WRITE, True, "root writes files of the host relative to the directory"),
    ),
    closed_by=(
        Change(
            container.LEAKED_HOST_FD, False, "update the runtime (runc 1.1.12 or later), and let launchers close files"
        ),
        Change(container.SANDBOX, "gvisor", "run in a sandbox: the host's open files are not passed on"),
    ),
    seen_as=is_(event.IN_CONTAINER, True)
    & is_(event.TARGET_OUTSIDE, True)
    & (one_of(event.SYSCALL, "openat", "openat2", "fchdir", "chdir") | starts_with(event.PATH, "/proc/self/fd/")),
    seen_sample={
        event.IN_CONTAINER: True,
        event.TARGET_OUTSIDE: True,
        event.SYSCALL: "openat",
        event.PATH: "/proc/self/fd/7",
    },
    drill_class=DrillClass.D3,
    drill=(
        Way(
            "read a canary through a directory that was left open",
            (
                step("inherited", fd="{leaked}"),
                step("open_at", slot="0", path="{leaked_secret}", mode="r"),
                step("read", slot="1", length="256"),
            ),
            ProvedBy.READ,
        ),
    ),
    examples=(
        Example("a directory of the host is open", _OPEN, YES),
        Example("nothing is open", {**_OPEN, container.LEAKED_HOST_FD: False}, NO),
        Example("in a sandbox", {**_OPEN, container.SANDBOX: "gvisor"}, NO),
        Example("open files not seen", unseen(_OPEN, container.LEAKED_HOST_FD), UNKNOWN),
    ),
    sources=(
        "https://github.com/opencontainers/runc/security/advisories/GHSA-xr7r-f8xq-vfvv",
        "https://github.com/opencontainers/runc/blob/main/CHANGELOG.md",
        "https://nvd.nist.gov/vuln/detail/CVE-2016-9962",
    ),
)
