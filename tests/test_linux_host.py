"""What raw records of a host answer, with recorded hosts and with single records changed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.model.errors import Error, NotPermitted, NotReachable
from holdfast.model.facts import Absent, Fact, Facts, Seen
from holdfast.model.truth import NO, UNKNOWN, YES
from holdfast.model.words import engine, host, load
from holdfast.platforms.linux_host import read_host

DATA = Path(__file__).parent / "data" / "host"
Records = dict[str, str | Error]


PODMAN = "Package: podman\nStatus: install ok installed\nVersion: 4.3.1+ds1-8\n"
FEATURES = "/sys/kernel/security/apparmor/features/"


def recorded(name: str) -> Records:
    raw = json.loads((DATA / name).read_text(encoding="utf-8"))
    return {key: entry if isinstance(entry, str) else trouble(key, entry) for key, entry in raw.items()}


def trouble(name: str, entry: dict[str, bool]) -> Error:
    if entry.get("refused"):
        return NotPermitted("Cannot be read: Permission denied", name, "run as root to see it")
    return NotReachable("Is not there: No such file or directory", name)


def missing(name: str) -> Error:
    return trouble(name, {"missing": True})


def refused(name: str) -> Error:
    return trouble(name, {"refused": True})


@pytest.fixture
def ubuntu() -> Records:
    return recorded("ubuntu-24.04-docker.json")


@pytest.fixture
def fedora() -> Records:
    return recorded("fedora-40-podman.json")


def values(facts: Facts, *wanted: Fact[Any]) -> list[Any]:
    return [facts.value(fact) for fact in wanted]


def test_every_word_of_host_and_engine_has_an_answer_or_a_reason(ubuntu: Records) -> None:
    facts = read_host(ubuntu)
    words = {word for word in load().values() if word.subject in {"host", "engine"}}
    assert words - set(facts.table) == set()


def test_a_place_is_always_a_record_or_below_one(ubuntu: Records) -> None:
    for entry in read_host(ubuntu).table.values():
        assert entry.where is not None
        assert entry.where.document.startswith(("/", "docker:/", "process:", "uname:"))


def test_an_ubuntu_host(ubuntu: Records) -> None:
    facts = read_host(ubuntu)
    assert facts.value(host.KERNEL_RELEASE) == "6.8.0-45-generic"
    assert facts.value(host.KERNEL_VERSION) == (6, 8, 0)
    assert facts.value(host.CGROUP_VERSION) == "v2"
    assert facts.value(host.DISTRIBUTION) == "ubuntu-24.04"
    assert facts.value(host.LOCKDOWN) == "none"
    assert facts.value(host.YAMA_PTRACE_SCOPE) == 1
    assert facts.value(host.ROOT_DEVICE) == "252:1"
    assert facts.value(host.LAST_CAPABILITY) == 40
    true = (host.APPARMOR_ENFORCING, host.DBUS, host.COREDUMP, host.STRICT_DEVMEM, host.BINFMT_MISC,
            host.RELEASE_AGENT_GUARDED, host.ROOT_DAEMON_SOCKETS, engine.STATE_ON_ROOT)  # fmt: skip
    false = (
        host.SELINUX_ENFORCING, host.UNPRIVILEGED_USER_NAMESPACES, host.UNPRIVILEGED_BPF, host.MODULES_DISABLED,
        host.MODULE_SIGNATURES_ENFORCED, host.KEXEC_LOAD_DISABLED, host.STATIC_USERMODE_HELPER, host.UEVENT_HELPER,
        host.LEGACY_TIOCSTI, host.PROC_HIDEPID, host.ROUTE_LOCALNET, host.IPV6_ACCEPT_RA, host.IOMMU, host.KUBELET,
        engine.ROOTLESS, engine.USERNS_REMAP, engine.AUTHZ_PLUGINS, engine.TCP_UNAUTHENTICATED, engine.NRI_ENABLED,
        engine.CDI_ENABLED, engine.OCI_HOOKS_DIR, engine.INSECURE_ENTITLEMENT, engine.DESKTOP, engine.ICC,
    )  # fmt: skip
    assert values(facts, *true) == [True] * len(true)
    assert values(facts, *false) == [False] * len(false)
    lsms = facts.value(host.LSMS)
    assert lsms is not None
    assert (lsms.has("apparmor"), lsms.has("selinux")) == (YES, NO)


def test_an_ubuntu_engine(ubuntu: Records) -> None:
    facts = read_host(ubuntu)
    assert facts.value(engine.NAME) == "docker"
    assert facts.value(engine.VERSION) == (27, 3, 1)
    assert facts.value(engine.CONTAINERD_VERSION) == (1, 7, 22)
    assert facts.value(engine.SECCOMP_DEFAULT) == "default"
    packages = facts.value(host.PACKAGES)
    assert packages == (("containerd.io", "1.7.22-1"), ("docker-ce", "5:27.3.1-1~ubuntu.24.04~noble"))


def test_without_the_engines_answer_its_package_tells_the_version(ubuntu: Records) -> None:
    del ubuntu["docker:/version"], ubuntu["docker:/info"]
    facts = read_host(ubuntu)
    version = facts.seen(engine.VERSION)
    assert version is not None
    assert version.value == (27, 3, 1)
    assert version.where.document == "/var/lib/dpkg/status"
    assert facts.value(engine.CONTAINERD_VERSION) == (1, 7, 22)
    assert engine.CDI_ENABLED not in facts


def test_modules_are_loaded_built_in_or_loadable(ubuntu: Records) -> None:
    modules = read_host(ubuntu).value(host.MODULES)
    assert modules is not None
    assert {name: modules.has(name) for name in ("overlay", "af_alg", "algif_aead", "vsock")} == {
        "overlay": YES, "af_alg": YES, "algif_aead": YES, "vsock": YES,
    }  # fmt: skip
    assert modules.has("rxrpc") is NO, "install rxrpc /bin/false"
    assert modules.has("dccp") is UNKNOWN, "blacklisted: only its aliases are off"
    assert modules.has("tipc") is NO


@pytest.mark.parametrize(
    ("name", "text"), [("/proc/sys/kernel/modules_disabled", "1\n"), ("/proc/sys/kernel/modprobe", "\n")]
)
def test_what_cannot_be_loaded_is_not_there(ubuntu: Records, name: str, text: str) -> None:
    modules = read_host({**ubuntu, name: text}).value(host.MODULES)
    assert modules is not None
    assert (modules.has("algif_aead"), modules.has("overlay"), modules.has("af_alg")) == (NO, YES, YES)


def test_a_fedora_host(fedora: Records) -> None:
    facts = read_host(fedora)
    assert facts.value(host.SELINUX_ENFORCING) is True
    assert facts.value(host.APPARMOR_ENFORCING) is False
    assert facts.value(host.LOCKDOWN) == "integrity"
    assert facts.value(host.MODULE_SIGNATURES_ENFORCED) is True, "lockdown enforces them"
    assert facts.value(host.UNPRIVILEGED_USER_NAMESPACES) is True
    assert facts.value(host.PROC_HIDEPID) is True
    assert facts.value(host.IOMMU) is True
    assert facts.value(host.ROUTE_LOCALNET) is True
    assert facts.value(host.IPV6_ACCEPT_RA) is True
    assert facts.value(host.ROOT_DAEMON_SOCKETS) is True
    assert facts.value(engine.NAME) == "podman"
    assert facts.value(engine.VERSION) == (5, 2, 3)
    assert facts.value(engine.OCI_HOOKS_DIR) is True
    assert facts.value(engine.STATE_ON_ROOT) is True, "two subvolumes of one btrfs"
    assert facts.value(engine.DESKTOP) is False


def test_podman_is_told_by_its_containers_where_no_engine_runs(ubuntu: Records) -> None:
    """Seen in a virtual machine: Docker's packages are there, but only containers of Podman run."""
    for name in ("docker:/version", "docker:/info", "process:dockerd", "process:containerd"):
        ubuntu[name] = missing(name)
    assert read_host(ubuntu).value(engine.NAME) == "docker", "by its package"
    ubuntu["/var/lib/dpkg/status"] = f"{ubuntu['/var/lib/dpkg/status']}\n\n{PODMAN}"
    assert read_host(ubuntu).value(engine.NAME) == "podman", "it needs no daemon"
    ubuntu["process:conmon"] = "812 0\n/usr/bin/conmon\n--api-version\n1\n"
    assert read_host(ubuntu).value(engine.NAME) == "podman"
    ubuntu["process:crio"] = "700 0\n/usr/bin/crio\n"
    assert read_host(ubuntu).value(engine.NAME) == "cri-o"


def test_a_bus_can_refuse_only_where_apparmor_has_rules_for_it(ubuntu: Records) -> None:
    """Ubuntu's kernels have them. On Debian 12, whose kernel has none, an order of a confined container was obeyed."""
    assert host.APPARMOR_DBUS not in read_host(ubuntu), "nobody looked"
    ubuntu[FEATURES] = "caps\ndbus\nfile\nnetwork\nnetwork_v8\n"
    ubuntu[f"{FEATURES}network/"] = "af_mask\naf_unix\n"
    ubuntu[f"{FEATURES}network_v8/"] = "af_mask\n"
    ubuntu[f"{FEATURES}network_v9/"] = missing(f"{FEATURES}network_v9")
    assert read_host(ubuntu).value(host.APPARMOR_DBUS) is True
    for change in ({f"{FEATURES}network/": "af_mask\n"}, {FEATURES: "caps\nfile\nnetwork_v8\n"}):
        assert read_host({**ubuntu, **change}).value(host.APPARMOR_DBUS) is False
    ubuntu[f"{FEATURES}network_v9/"] = trouble(FEATURES, {"refused": True})
    assert host.APPARMOR_DBUS not in read_host(ubuntu)


def test_podman_reads_hooks_in_etc_only_where_it_is_told_to(fedora: Records) -> None:
    def answers(text: str | Error) -> list[bool | None]:
        shipped = "/usr/share/containers/containers.conf"
        facts = read_host({**fedora, "/etc/containers/containers.conf": text, shipped: ""})
        return [facts.value(engine.OCI_HOOKS_DIR), facts.value(engine.OCI_HOOKS_IN_ETC)]

    assert answers(missing("/etc/containers/containers.conf")) == [True, False]
    assert answers("[engine]\n") == [True, False]
    assert answers('[engine]\nhooks_dir = ["/etc/containers/oci/hooks.d/"]\n') == [True, True]
    assert answers('[engine]\nhooks_dir = ["/opt/hooks"]\n') == [True, False]
    assert answers("[engine\n") == [True, None]
    assert answers(trouble("/etc/containers/containers.conf", {"refused": True})) == [True, None]


def test_podman_beside_docker_runs_hooks_too(ubuntu: Records) -> None:
    ubuntu["process:conmon"] = "812 0\n/usr/bin/conmon\n--api-version\n1\n"
    facts = read_host(ubuntu)
    assert (facts.value(engine.NAME), facts.value(engine.OCI_HOOKS_DIR)) == ("docker", True)


# --- unknown is never "no" --------------------------------------------------------------------------------------------


def test_nothing_read_means_nothing_known() -> None:
    facts = read_host({})
    assert [fact for fact, entry in facts.table.items() if isinstance(entry, Seen)] == []


def test_everything_refused_means_nothing_known(ubuntu: Records) -> None:
    facts = read_host({name: refused(name) for name in ubuntu})
    seen = [fact.name for fact, entry in facts.table.items() if isinstance(entry, Seen)]
    assert seen == []
    assert any("without more privilege" in entry.reason for entry in facts.table.values() if isinstance(entry, Absent))


@pytest.mark.parametrize(
    ("name", "fact"),
    [
        ("/sys/kernel/security/lockdown", host.LOCKDOWN),
        ("/proc/sys/kernel/unprivileged_userns_clone", host.UNPRIVILEGED_USER_NAMESPACES),
        ("/proc/sys/kernel/yama/ptrace_scope", host.YAMA_PTRACE_SCOPE),
        ("/proc/sys/kernel/unprivileged_bpf_disabled", host.UNPRIVILEGED_BPF),
        ("/sys/kernel/uevent_helper", host.UEVENT_HELPER),
    ],
)
def test_a_refused_switch_stays_unknown(fedora: Records, name: str, fact: Fact[Any]) -> None:
    fedora = {key: entry for key, entry in fedora.items() if not key.startswith("/boot/config")}
    assert fact not in read_host({**fedora, name: refused(name)})


def test_a_missing_switch_says_what_the_kernel_was_built_without(fedora: Records) -> None:
    gone = ("/proc/sys/kernel/yama/ptrace_scope", "/proc/sys/kernel/unprivileged_bpf_disabled",
            "/proc/sys/kernel/kexec_load_disabled", "/proc/sys/user/max_user_namespaces")  # fmt: skip
    facts = read_host({**fedora, **{name: missing(name) for name in gone}})
    assert facts.value(host.YAMA_PTRACE_SCOPE) == 0
    assert facts.value(host.UNPRIVILEGED_BPF) is False
    assert facts.value(host.KEXEC_LOAD_DISABLED) is True
    assert facts.value(host.UNPRIVILEGED_USER_NAMESPACES) is False


def test_lockdown_is_none_only_where_securityfs_is_mounted(ubuntu: Records) -> None:
    name = "/sys/kernel/security/lockdown"
    assert read_host({**ubuntu, name: missing(name)}).value(host.LOCKDOWN) == "none"
    bare = "\n".join(line for line in str(ubuntu["/proc/1/mountinfo"]).splitlines() if "securityfs" not in line)
    facts = read_host({**ubuntu, name: missing(name), "/proc/1/mountinfo": bare})
    absent = facts.absent(host.LOCKDOWN)
    assert absent is not None
    assert "securityfs is not mounted" in absent.reason
    assert facts.value(host.MOUNTED_FILE_SYSTEMS).has("securityfs") is NO
    assert read_host(ubuntu).value(host.MOUNTED_FILE_SYSTEMS).has("securityfs") is YES


@pytest.mark.parametrize(
    ("cmdline", "options", "level"),
    [
        ("quiet lockdown=integrity", "", "integrity"),
        ("lockdown=confidentiality quiet", "CONFIG_LOCK_DOWN_KERNEL_FORCE_INTEGRITY=y", "confidentiality"),
        ("quiet", "CONFIG_LOCK_DOWN_KERNEL_FORCE_INTEGRITY=y", "integrity"),
        ("quiet", "CONFIG_LOCK_DOWN_KERNEL_FORCE_CONFIDENTIALITY=y", "confidentiality"),
        ("xlockdown=integrity lockdown=none", "CONFIG_LOCK_DOWN_KERNEL_FORCE_NONE=y", None),
    ],
)
def test_lockdown_that_the_kernel_started_with(ubuntu: Records, cmdline: str, options: str, level: str | None) -> None:
    name = "/sys/kernel/security/lockdown"
    bare = "\n".join(line for line in str(ubuntu["/proc/1/mountinfo"]).splitlines() if "securityfs" not in line)
    records = {key: entry for key, entry in ubuntu.items() if not key.startswith(("/boot/config", "/proc/config"))}
    config = f"CONFIG_SECURITY_LOCKDOWN_LSM=y\n{options}\n"
    records |= {name: missing(name), "/proc/1/mountinfo": bare, "/proc/cmdline": cmdline, "/proc/config.gz": config}
    assert read_host(records).value(host.LOCKDOWN) == level


_CONTROLLERS = "40 29 0:40 / /sys/fs/cgroup/memory rw shared:9 - cgroup cgroup rw,memory\n"


def test_the_three_cgroup_layouts(ubuntu: Records) -> None:
    table = str(ubuntu["/proc/1/mountinfo"])
    without = "".join(line + "\n" for line in table.splitlines() if "cgroup2" not in line)
    for text, wanted in ((table, "v2"), (table + _CONTROLLERS, "hybrid"), (without + _CONTROLLERS, "v1")):
        assert read_host({**ubuntu, "/proc/1/mountinfo": text}).value(host.CGROUP_VERSION) == wanted
    assert host.CGROUP_VERSION not in read_host({**ubuntu, "/proc/1/mountinfo": without})


@pytest.mark.parametrize(
    ("release", "version", "signature", "wanted"),
    [
        ("6.1.0-21-amd64", "#1 SMP PREEMPT_DYNAMIC Debian 6.1.90-1 (2024-05-03)", "", True),
        ("5.10.0-9-amd64", "#1 SMP Debian 5.10.70-1 (2021-09-30)", "", False),
        ("5.15.0-25-generic", "#25-Ubuntu SMP", "Ubuntu 5.15.0-25.25-generic 5.15.30", True),
        ("5.15.19", "#1 SMP", "", False),
        ("5.15.20", "#1 SMP", "", True),
        ("4.18.0-348.el8.x86_64", "#1 SMP", "", None),
        ("5.14.0", "#1 SMP", "", False),
    ],
)
def test_the_release_agent_check(
    ubuntu: Records, release: str, version: str, signature: str, wanted: bool | None
) -> None:
    records = {
        **ubuntu,
        "/proc/sys/kernel/osrelease": release,
        "/proc/sys/kernel/version": version,
        "/proc/version_signature": signature,
    }
    assert read_host(records).value(host.RELEASE_AGENT_GUARDED) is wanted


# --- the engine -------------------------------------------------------------------------------------------------------


def unasked(records: Records) -> Records:
    return {name: entry for name, entry in records.items() if not name.startswith("docker:")}


def daemon(records: Records, arguments: str, config: str = "{}") -> Facts:
    changed = {**unasked(records), "process:dockerd": f"812 0\n{arguments}\n", "/etc/docker/daemon.json": config}
    return read_host(changed)


@pytest.mark.parametrize(
    ("arguments", "config", "wanted"),
    [
        ("dockerd", "{}", False),
        ("dockerd\n-H\ntcp://0.0.0.0:2375", "{}", True),
        ("dockerd\n--host=tcp://0.0.0.0:2375", "{}", True),
        ("dockerd\n-H\ntcp://0.0.0.0:2376\n--tlsverify", "{}", False),
        ("dockerd\n-H\nfd://", '{"hosts": ["unix:///run/docker.sock", "tcp://10.0.0.1:2375"]}', True),
        ("dockerd", '{"hosts": ["tcp://10.0.0.1:2376"], "tlsverify": true}', False),
        ("dockerd", "{broken", None),
    ],
)
def test_who_may_reach_the_api_over_tcp(ubuntu: Records, arguments: str, config: str, wanted: bool | None) -> None:
    assert daemon(ubuntu, arguments, config).value(engine.TCP_UNAUTHENTICATED) is wanted


def test_the_engines_own_warning_counts(ubuntu: Records) -> None:
    info = json.loads(str(ubuntu["docker:/info"]))
    info["Warnings"] = ["[DEPRECATION NOTICE]: API is accessible on http://0.0.0.0:2375 without encryption."]
    facts = read_host({**ubuntu, "docker:/info": json.dumps(info)})
    assert facts.value(engine.TCP_UNAUTHENTICATED) is True


@pytest.mark.parametrize(
    ("arguments", "config", "wanted"),
    [
        ("dockerd", "{}", False),
        ("dockerd", '{"userns-remap": "default"}', True),
        ("dockerd\n--userns-remap=default", "{}", True),
        ("dockerd\n--userns-remap\ndefault", "{}", True),
    ],
)
def test_user_namespaces_by_default(ubuntu: Records, arguments: str, config: str, wanted: bool) -> None:
    assert daemon(ubuntu, arguments, config).value(engine.USERNS_REMAP) is wanted


@pytest.mark.parametrize(
    ("arguments", "config", "wanted"),
    [("dockerd", "{}", True), ("dockerd\n--icc=false", "{}", False), ("dockerd", '{"icc": false}', False)],
)
def test_containers_reach_each_other(ubuntu: Records, arguments: str, config: str, wanted: bool) -> None:
    assert daemon(ubuntu, arguments, config).value(engine.ICC) is wanted


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        (["name=seccomp,profile=default"], "default"),
        (["name=seccomp,profile=builtin"], "default"),
        (["name=seccomp,profile=unconfined"], "unconfined"),
        (["name=seccomp,profile=/etc/docker/my.json"], None),
        ([], "unconfined"),
    ],
)
def test_the_default_profile(ubuntu: Records, options: list[str], wanted: str | None) -> None:
    info = json.dumps({"SecurityOptions": options})
    assert read_host({**ubuntu, "docker:/info": info}).value(engine.SECCOMP_DEFAULT) == wanted


def test_a_rootless_engine(ubuntu: Records) -> None:
    info = json.dumps({"SecurityOptions": ["name=rootless", "name=seccomp,profile=builtin"]})
    assert read_host({**ubuntu, "docker:/info": info}).value(engine.ROOTLESS) is True
    assert read_host({**unasked(ubuntu), "process:dockerd": "812 1000\ndockerd\n"}).value(engine.ROOTLESS) is True


def test_desktop(ubuntu: Records) -> None:
    version = json.dumps({"Platform": {"Name": "Docker Desktop 4.44.2 (202017)"}, "Version": "28.3.2"})
    facts = read_host({**ubuntu, "docker:/version": version})
    assert facts.value(engine.DESKTOP) is True
    assert facts.value(engine.DESKTOP_VERSION) == (4, 44, 2)
    assert engine.MODEL_RUNNER not in facts


@pytest.mark.parametrize(
    ("config", "package", "nri", "cdi"),
    [
        ("", "2.1.0-1", True, True),
        ("", "1.7.22-1", False, False),
        ('[plugins."io.containerd.nri.v1.nri"]\ndisable = false\n', "1.7.22-1", True, False),
        ('[plugins."io.containerd.grpc.v1.cri"]\nenable_cdi = true\n', "1.7.22-1", False, True),
        ('[plugins."io.containerd.nri.v1.nri"]\ndisable = true\n', "2.1.0-1", False, True),
        ("not = = toml", "2.1.0-1", None, None),
    ],
)
def test_containerd_alone(ubuntu: Records, config: str, package: str, nri: bool | None, cdi: bool | None) -> None:
    records = {name: entry for name, entry in unasked(ubuntu).items() if name != "process:dockerd"}
    records["/etc/containerd/config.toml"] = config
    records["/var/lib/dpkg/status"] = f"Package: containerd\nStatus: install ok installed\nVersion: {package}\n"
    facts = read_host(records)
    assert facts.value(engine.NAME) == "containerd"
    assert facts.value(engine.NRI_ENABLED) is nri
    assert facts.value(engine.CDI_ENABLED) is cdi


@pytest.mark.parametrize(
    ("records", "wanted"),
    [
        ({"/etc/buildkit/buildkitd.toml": 'insecure-entitlements = ["security.insecure"]\n'}, True),
        ({"/etc/buildkit/buildkitd.toml": "debug = true\n"}, False),
        ({"/etc/buildkit/buildkitd.toml": "["}, None),
        ({"process:buildkitd": "9 0\nbuildkitd\n--allow-insecure-entitlement\nnetwork.host\n"}, True),
    ],
)
def test_what_buildkit_grants(ubuntu: Records, records: dict[str, str], wanted: bool | None) -> None:
    assert read_host({**ubuntu, **records}).value(engine.INSECURE_ENTITLEMENT) is wanted


# --- hostile records --------------------------------------------------------------------------------------------------

NAMES = sorted(recorded("ubuntu-24.04-docker.json"))


@given(st.dictionaries(st.sampled_from(NAMES), st.text(max_size=80), max_size=12))
def test_no_text_breaks_the_reader(changes: dict[str, str]) -> None:
    read_host({**recorded("ubuntu-24.04-docker.json"), **changes})


@pytest.mark.parametrize("name", ["docker:/version", "docker:/info", "/etc/docker/daemon.json"])
@pytest.mark.parametrize(
    "text",
    ["[" * 100_000, '{"Components": 3, "Plugins": {"Volume": 7}, "SecurityOptions": [1, null], "hosts": {}}', "null"],
)
def test_garbage_from_the_engine(ubuntu: Records, name: str, text: str) -> None:
    assert read_host({**ubuntu, name: text}).value(host.CGROUP_VERSION) == "v2"
