"""Load a kernel module of one's own.

What happens: the container hands the kernel a module that was built for it. The module's code runs with the kernel's
full power, so the whole machine is taken.

Why the kernel allows it: loading asks for CAP_SYS_MODULE in the initial user namespace and nothing else. Namespaces do
not apply: there is one kernel. Default seccomp profiles let ``finit_module`` through as soon as the capability is
granted. The module need not come from the host; it comes from the container's image or is built there.

What closes it: dropping CAP_SYS_MODULE, which no default set holds; ``kernel.modules_disabled=1``; a kernel that takes
signed modules only, by its configuration or because lockdown is in force (Secure Boot usually brings it); a user
namespace; a sandbox.

How it looks: ``finit_module`` or ``init_module`` called by a process in a container.
"""

from holdfast.model.change import Change, without
from holdfast.model.logic import has_any, is_, one_of
from holdfast.model.technique import DrillClass, Evidence, Example, ProvedBy, Situation, Technique, Way, unseen
from holdfast.model.truth import NO, UNKNOWN, YES
from holdfast.model.values import Members
from holdfast.model.ways import step
from holdfast.model.words import container, event, host, reach
from holdfast.model.words.conditions import host_capability

_OPEN: Situation = {
    container.CAPABILITIES: Members.of("CAP_SYS_MODULE"),
    container.USER_NAMESPACE: "host",
    container.SANDBOX: "none",
    container.SYSCALLS: Members.of("finit_module", "init_module"),
    host.MODULES_DISABLED: False,
    host.MODULE_SIGNATURES_ENFORCED: False,
}

TECHNIQUE = Technique(
    title="Load a kernel module of one's own",
    row=53,
    attack=("T1611", "T1547.006"),
    evidence=Evidence.SOURCE,
    confirmed=True,
    exposed_when=host_capability("CAP_SYS_MODULE")
    & has_any(container.SYSCALLS, "finit_module", "init_module")
    & is_(host.MODULES_DISABLED, False)
    & is_(host.MODULE_SIGNATURES_ENFORCED, False),
    gives=(Change(reach.HOST_ROOT, True, "the module's code runs inside the host's kernel"),),
    closed_by=(
        Change(container.CAPABILITIES, without("CAP_SYS_MODULE"), "drop CAP_SYS_MODULE"),
        Change(
            container.SYSCALLS,
            without("finit_module", "init_module"),
            "use a seccomp profile that refuses to load modules",
        ),
        Change(
            container.USER_NAMESPACE, "private", "run in a user namespace: the capability does not count on the host"
        ),
        Change(container.SANDBOX, "gvisor", "run in a sandbox: it has a kernel of its own"),
        Change(host.MODULES_DISABLED, True, "set kernel.modules_disabled=1 once the host has booted"),
        Change(host.MODULE_SIGNATURES_ENFORCED, True, "take signed modules only: module.sig_enforce=1 or lockdown"),
    ),
    seen_as=is_(event.IN_CONTAINER, True) & one_of(event.SYSCALL, "init_module", "finit_module"),
    seen_sample={event.IN_CONTAINER: True, event.SYSCALL: "finit_module"},
    drill_class=DrillClass.D1,
    drill=(
        Way(
            "load a file that is no module",
            (step("finit_module"),),
            ProvedBy.SURFACE,
            answers=frozenset({"ENOEXEC"}),
        ),
    ),
    examples=(
        Example("CAP_SYS_MODULE with the default seccomp profile", _OPEN, YES),
        Example("only the older call is let through", {**_OPEN, container.SYSCALLS: Members.of("init_module")}, YES),
        Example("default capabilities", {**_OPEN, container.CAPABILITIES: Members.of("CAP_MKNOD")}, NO),
        Example("signed modules only", {**_OPEN, host.MODULE_SIGNATURES_ENFORCED: True}, NO),
        Example("CAP_SYS_MODULE in a user namespace", {**_OPEN, container.USER_NAMESPACE: "private"}, NO),
        Example(
            "a seccomp profile that refuses both calls", {**_OPEN, container.SYSCALLS: Members.of("delete_module")}, NO
        ),
        Example("host not seen", unseen(_OPEN, host.MODULES_DISABLED, host.MODULE_SIGNATURES_ENFORCED), UNKNOWN),
    ),
    sources=(
        "https://man7.org/linux/man-pages/man2/init_module.2.html",
        "https://docs.kernel.org/admin-guide/module-signing.html",
        "https://github.com/DataDog/KubeHound/blob/main/docs/reference/attacks/CE_MODULE_LOAD.md",
        "https://man7.org/linux/man-pages/man7/kernel_lockdown.7.html",
    ),
)
