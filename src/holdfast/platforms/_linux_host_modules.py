"""Kernel modules of a host: loaded, built in, or loaded by the kernel itself when somebody asks for them."""

from __future__ import annotations

import re
from typing import Any

from holdfast.model.facts import Fact, Seen
from holdfast.model.place import Where
from holdfast.model.truth import NO, UNKNOWN
from holdfast.model.values import Members
from holdfast.model.words import host
from holdfast.platforms._linux_host_records import Answer, Records

_BUILT_FROM = {
    "af_alg": "CONFIG_CRYPTO_USER_API",
    "algif_aead": "CONFIG_CRYPTO_USER_API_AEAD",
    "algif_hash": "CONFIG_CRYPTO_USER_API_HASH",
    "algif_skcipher": "CONFIG_CRYPTO_USER_API_SKCIPHER",
    "binfmt_misc": "CONFIG_BINFMT_MISC",
    "dccp": "CONFIG_IP_DCCP",
    "esp4": "CONFIG_INET_ESP",
    "esp6": "CONFIG_INET6_ESP",
    "fuse": "CONFIG_FUSE_FS",
    "kvm": "CONFIG_KVM",
    "nf_tables": "CONFIG_NF_TABLES",
    "overlay": "CONFIG_OVERLAY_FS",
    "rds": "CONFIG_RDS",
    "rxrpc": "CONFIG_AF_RXRPC",
    "sctp": "CONFIG_IP_SCTP",
    "tipc": "CONFIG_TIPC",
    "tun": "CONFIG_TUN",
    "uinput": "CONFIG_INPUT_UINPUT",
    "vfio": "CONFIG_VFIO",
    "vsock": "CONFIG_VSOCKETS",
}
"""Where /lib/modules is not there, these options say what a module's name alone would not.

Source:
    The Makefile beside each module in the kernel's tree.
"""


def module_answers(records: Records) -> dict[Fact[Any], Answer]:
    """Answer which modules there are and whether more can be loaded."""
    disabled = _disabled(records)
    modules = _modules(records, loading=not (isinstance(disabled, Seen) and disabled.value))
    return {
        host.MODULES_DISABLED: disabled,
        host.MODULE_SIGNATURES_ENFORCED: _signatures(records),
        host.MODULES: modules,
        host.BINFMT_MISC: _binfmt_misc(records, modules),
    }


def _disabled(records: Records) -> Answer:
    name = "/proc/sys/kernel/modules_disabled"
    number = records.number(name)
    if number is not None:
        return Seen(number == 1, Where(name))
    if records.option("CONFIG_MODULES") is False:
        return Seen(True, Where(records.config_name).below("CONFIG_MODULES"), "the kernel takes no modules")
    if records.missing(name) and records.proc_seen:
        return Seen(True, Where(name), "the kernel takes no modules: the file does not exist")
    return records.absent(name)


def _signatures(records: Records) -> Answer:
    name = "/sys/module/module/parameters/sig_enforce"
    text = records.text(name)
    lockdown = records.text("/sys/kernel/security/lockdown") or ""
    if text == "Y":
        return Seen(True, Where(name))
    if "[integrity]" in lockdown or "[confidentiality]" in lockdown:
        return Seen(True, Where("/sys/kernel/security/lockdown"), "lockdown refuses modules without a signature")
    if text == "N":
        if lockdown:
            return Seen(False, Where(name))
        if records.option("CONFIG_SECURITY_LOCKDOWN_LSM") is False:
            return Seen(False, Where(name), "the kernel was built without lockdown")
        return records.absent("/sys/kernel/security/lockdown", "lockdown may enforce signatures and was not seen")
    if records.missing(name) and records.sys_seen:
        return Seen(False, Where(name), "the kernel does not check module signatures: the file does not exist")
    return records.absent(name)


def _modules(records: Records, *, loading: bool) -> Answer:
    release = records.text("/proc/sys/kernel/osrelease") or ""
    folder = f"/lib/modules/{release}"
    loaded = {line.split()[0] for line in records.lines("/proc/modules")}
    loaded |= {name for name in records.lines("/sys/module/") if name in _BUILT_FROM}
    built_in = {_name(line) for line in records.lines(f"{folder}/modules.builtin")}
    for name, option in _BUILT_FROM.items():
        if records.config.get(option) == "y":
            built_in.add(name)
    on_disk = {_name(line.split(":", 1)[0]) for line in records.lines(f"{folder}/modules.dep")}
    complete = records.text(f"{folder}/modules.builtin") is not None
    helper = records.text("/proc/sys/kernel/modprobe")
    if not loading or helper in {"", "/bin/true", "/bin/false"}:
        on_disk = set()
    elif records.text(f"{folder}/modules.dep") is None and not records.missing(f"{folder}/modules.dep"):
        complete = False
    refused, doubtful = _modprobe_rules(records)
    on_disk -= refused
    present = loaded | built_in
    if not (present or on_disk or complete):
        return records.absent("/proc/modules")
    without = {name for name, option in _BUILT_FROM.items() if records.option(option) is False}
    return Seen(
        Members(
            yes=frozenset(present | (on_disk - doubtful)),
            maybe=frozenset((on_disk & doubtful) - present),
            no=frozenset() if complete else frozenset(without - present - on_disk),
            rest=NO if complete else UNKNOWN,
        ),
        Where(f"{folder}/modules.dep" if on_disk else "/proc/modules" if loaded else records.config_name or folder),
        "" if complete else "the list of built-in modules could not be read",
    )


def _name(path: str) -> str:
    """Turn ``kernel/crypto/af-alg.ko.xz`` into the name the kernel uses."""
    return re.sub(r"\.ko(?:\.\w+)?$", "", path.rsplit("/", 1)[-1]).replace("-", "_")


def _modprobe_rules(records: Records) -> tuple[set[str], set[str]]:
    """Read modprobe.d(5): modules replaced by a command that does nothing, and modules whose aliases are ignored.

    A blacklisted module is still loaded by its own name, so whether a request of the kernel loads it is doubtful.
    """
    refused: set[str] = set()
    doubtful: set[str] = set()
    for folder in ("/etc/modprobe.d/", "/lib/modprobe.d/", "/run/modprobe.d/"):
        for _, text in records.matching(folder, ".conf"):
            for line in text.splitlines():
                words = line.split()
                if len(words) > 2 and words[0] == "install" and words[2].rsplit("/", 1)[-1] in {"true", "false"}:
                    refused.add(words[1].replace("-", "_"))
                elif len(words) > 1 and words[0] == "blacklist":
                    doubtful.add(words[1].replace("-", "_"))
    return refused, doubtful


def _binfmt_misc(records: Records, modules: Answer) -> Answer:
    name = "/proc/sys/fs/binfmt_misc/status"
    if records.text(name) is not None:
        return Seen(True, Where(name))
    if any(line.split()[-1] == "binfmt_misc" for line in records.lines("/proc/filesystems")):
        return Seen(True, Where("/proc/filesystems"))
    option = records.config.get("CONFIG_BINFMT_MISC")
    if records.config and option is None:
        return Seen(False, Where(records.config_name).below("CONFIG_BINFMT_MISC"))
    if option == "y":
        return Seen(True, Where(records.config_name).below("CONFIG_BINFMT_MISC"))
    if isinstance(modules, Seen):
        answer = modules.value.has("binfmt_misc")
        if answer is not UNKNOWN:
            return Seen(answer is not NO, modules.where)
    return records.absent("/proc/filesystems", "not active now; whether the module can be loaded was not seen")
