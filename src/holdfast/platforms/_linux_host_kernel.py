"""Kernel options and switches of a host."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from holdfast.model.facts import Fact, Seen
from holdfast.model.place import Where
from holdfast.model.values import Members
from holdfast.model.words import host
from holdfast.platforms._linux_host_records import Answer, Records

_TIOCSTI_SWITCH_SINCE = (6, 2)
_RELEASE_AGENT_FIXED = {
    (5, 16): 6, (5, 15): 20, (5, 10): 97, (5, 4): 177, (4, 19): 229, (4, 14): 266,
}  # fmt: skip
"""Stable series and the first version with commit 24f6008564183aa (in mainline since 5.17).

Source:
    https://github.com/nluedtke/linux_kernel_cves, CVE-2022-0492
"""


def kernel_answers(records: Records) -> dict[Fact[Any], Answer]:
    """Answer the words that kernel options, sysctls and sysfs decide."""
    return {
        host.KERNEL_CONFIG: _config(records),
        host.UNPRIVILEGED_USER_NAMESPACES: _user_namespaces(records),
        host.UNPRIVILEGED_BPF: _bpf(records),
        host.YAMA_PTRACE_SCOPE: _yama(records),
        host.KEXEC_LOAD_DISABLED: _kexec(records),
        host.STATIC_USERMODE_HELPER: _option(records, "CONFIG_STATIC_USERMODEHELPER"),
        host.COREDUMP: _coredump(records),
        host.STRICT_DEVMEM: _option(records, "CONFIG_STRICT_DEVMEM"),
        host.UEVENT_HELPER: _uevent_helper(records),
        host.LEGACY_TIOCSTI: _tiocsti(records),
        host.ROUTE_LOCALNET: _route_localnet(records),
        host.IPV6_ACCEPT_RA: _accept_ra(records),
        host.IOMMU: _iommu(records),
        host.LAST_CAPABILITY: _last_capability(records),
        host.RELEASE_AGENT_GUARDED: _release_agent(records),
    }


def _config(records: Records) -> Answer:
    if not records.config:
        return records.absent(records.config_name or "/proc/config.gz")
    names = frozenset(name for name, value in records.config.items() if value in {"y", "m"})
    return Seen(Members(yes=names), Where(records.config_name))


def _option(records: Records, name: str) -> Answer:
    answer = records.option(name)
    if answer is None:
        return records.absent("/proc/config.gz", f"the kernel's options could not be read, so {name} is not known")
    return Seen(answer, Where(records.config_name).below(name))


def _user_namespaces(records: Records) -> Answer:
    if records.option("CONFIG_USER_NS") is False:
        return Seen(False, Where(records.config_name).below("CONFIG_USER_NS"), "the kernel has no user namespaces")
    switches: tuple[tuple[str, Callable[[int], bool]], ...] = (
        ("/proc/sys/user/max_user_namespaces", lambda number: number > 0),
        ("/proc/sys/kernel/unprivileged_userns_clone", lambda number: number != 0),
        ("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", lambda number: number == 0),
    )
    unread: Answer | None = None
    for name, permits in switches:
        number = records.number(name)
        if number is not None:
            if not permits(number):
                return Seen(False, Where(name), f"{name} is {number}")
        elif not (records.missing(name) and records.proc_seen):
            unread = records.absent(name)
        elif name.endswith("max_user_namespaces"):
            return Seen(False, Where(name), "the kernel has no user namespaces: the file does not exist")
    return unread or Seen(True, Where("/proc/sys/user/max_user_namespaces"), "no switch forbids it")


def _bpf(records: Records) -> Answer:
    name = "/proc/sys/kernel/unprivileged_bpf_disabled"
    number = records.number(name)
    if number is not None:
        return Seen(number == 0, Where(name))
    if records.option("CONFIG_BPF_SYSCALL") is False:
        return Seen(False, Where(records.config_name).below("CONFIG_BPF_SYSCALL"), "the kernel has no bpf(2)")
    if records.missing(name) and records.proc_seen:
        return Seen(False, Where(name), "the kernel has no bpf(2): the file does not exist")
    return records.absent(name)


def _yama(records: Records) -> Answer:
    name = "/proc/sys/kernel/yama/ptrace_scope"
    number = records.number(name)
    if number is not None:
        return Seen(number, Where(name))
    if records.missing(name) and records.proc_seen:
        return Seen(0, Where(name), "Yama is not active: the file does not exist")
    return records.absent(name)


def _kexec(records: Records) -> Answer:
    name = "/proc/sys/kernel/kexec_load_disabled"
    number = records.number(name)
    if number is not None:
        return Seen(number == 1, Where(name))
    if records.missing(name) and records.proc_seen:
        return Seen(True, Where(name), "the kernel has no kexec: the file does not exist")
    if records.option("CONFIG_KEXEC") is False and records.option("CONFIG_KEXEC_FILE") is False:
        return Seen(True, Where(records.config_name).below("CONFIG_KEXEC"))
    return records.absent(name)


def _coredump(records: Records) -> Answer:
    if records.config:
        return _option(records, "CONFIG_COREDUMP")
    name = "/proc/sys/kernel/core_pattern"
    if records.text(name) is not None:
        return Seen(True, Where(name), "the file exists only where the kernel can write core dumps")
    return records.absent(name)


def _uevent_helper(records: Records) -> Answer:
    name = "/sys/kernel/uevent_helper"
    if records.text(name) is not None:
        return Seen(True, Where(name))
    if records.missing(name) and records.sys_seen:
        return Seen(False, Where(name), "the file does not exist")
    if records.option("CONFIG_UEVENT_HELPER") is not None:
        return _option(records, "CONFIG_UEVENT_HELPER")
    return records.absent(name)


def _tiocsti(records: Records) -> Answer:
    name = "/proc/sys/dev/tty/legacy_tiocsti"
    number = records.number(name)
    if number is not None:
        return Seen(number == 1, Where(name))
    release = (records.text("/proc/sys/kernel/osrelease") or "").split(".")
    if records.missing(name) and len(release) > 1 and release[0].isdecimal() and release[1].isdecimal():
        if (int(release[0]), int(release[1])) < _TIOCSTI_SWITCH_SINCE:
            return Seen(True, Where("/proc/sys/kernel/osrelease"), "the switch exists since Linux 6.2 only")
        return records.absent(name, "the kernel should have this switch but the file is missing")
    return records.absent(name)


def _interface(name: str) -> str:
    return name.rsplit("/", 2)[-2]


def _route_localnet(records: Records) -> Answer:
    start = "/proc/sys/net/ipv4/conf/"
    values = {_interface(name): text for name, text in records.matching(start, "/route_localnet")}
    if not values:
        return records.absent(f"{start}all/route_localnet")
    for interface, text in values.items():
        if text == "1" and interface not in {"lo", "default"}:
            return Seen(True, Where(f"{start}{interface}/route_localnet"))
    return Seen(False, Where(f"{start}all/route_localnet"), "0 on every interface")


def _accept_ra(records: Records) -> Answer:
    start = "/proc/sys/net/ipv6/conf/"
    bridges = sorted(name.split("/")[4] for name, _ in records.matching("/sys/class/net/", "/bridge/bridge_id"))
    if not records.sys_seen or not records.proc_seen:
        return records.absent(f"{start}all/accept_ra")
    for bridge in bridges:
        name = f"{start}{bridge}/accept_ra"
        number = records.number(name)
        forwarding = records.number(f"{start}{bridge}/forwarding")
        # A router ignores advertisements unless accept_ra is 2 (Documentation/networking/ip-sysctl.rst).
        if number == 2 or (number == 1 and forwarding == 0):
            return Seen(True, Where(name))
    if not bridges:
        return Seen(False, Where("/sys/class/net"), "there is no bridge in this network namespace")
    return Seen(False, Where(f"{start}{bridges[0]}/accept_ra"), f"bridges: {', '.join(bridges)}")


def _iommu(records: Records) -> Answer:
    noiommu = "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode"
    if records.text(noiommu) in {"Y", "1"}:
        return Seen(False, Where(noiommu), "vfio lets devices be used without an IOMMU")
    if records.lines("/sys/class/iommu/"):
        return Seen(True, Where("/sys/class/iommu"))
    if records.sys_seen and (records.text("/sys/class/iommu/") is not None or records.missing("/sys/class/iommu/")):
        return Seen(False, Where("/sys/class/iommu"), "the kernel knows of no IOMMU")
    return records.absent("/sys/class/iommu/")


def _last_capability(records: Records) -> Answer:
    name = "/proc/sys/kernel/cap_last_cap"
    number = records.number(name)
    return Seen(number, Where(name)) if number is not None else records.absent(name)


def _release_agent(records: Records) -> Answer:
    """Compare the upstream version with the one that brought the check; a distribution may have brought it earlier."""
    place = "/proc/sys/kernel/osrelease"
    release = records.text(place) or ""
    for name, pattern in (
        ("/proc/sys/kernel/version", r"Debian (\d+\.\d+\.\d+)"),
        ("/proc/version_signature", r"^Ubuntu \S+ (\d+\.\d+\.\d+)"),
    ):
        told = re.search(pattern, records.text(name) or "")
        if told:
            release, place = told[1], name
    numbers = re.match(r"(\d+)\.(\d+)(?:\.(\d+))?", release)
    if not numbers:
        return records.absent(place)
    series, patch = (int(numbers[1]), int(numbers[2])), int(numbers[3] or 0)
    first = _RELEASE_AGENT_FIXED.get(series)
    if series >= (5, 17) or (first is not None and patch >= first):
        return Seen(True, Where(place))
    if "-" in release or ".el" in release:
        return records.absent(place, f"{release} is a distribution's kernel: it may carry the change or not")
    return Seen(False, Where(place), "older than the change that guards release_agent")
