"""OCI runtime configurations: what engines write, what the specification allows, and what it does not."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.collect.parse import parse
from holdfast.model.errors import NotUnderstood
from holdfast.model.facts import Fact, Facts
from holdfast.model.truth import NO, UNKNOWN, YES
from holdfast.model.words import declared
from holdfast.model.words.declared import Device, Mount
from holdfast.model.workload import Described, Reading, Surroundings
from holdfast.platforms.oci_runtime import read, read_bundle, recognises

DATA = Path(__file__).parent / "data" / "oci"
ID = "3f8c3e6620620e2f55c9dbdf8c307277915909b2754f56d814e14e5759234ea5"


def recorded(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((DATA / name).read_text(encoding="utf-8"))
    return found


DOCKER = recorded("docker-default.json")
POD = recorded("containerd-pod.json")


def reading(config: Any, name: str = "config.json") -> Reading:
    document, _ = parse(name, json.dumps(config, indent=1).encode())
    return read(document, Surroundings())


def described(config: Any) -> Described:
    found = reading(config)
    assert found.problems == ()
    (one,) = found.workloads
    return one


def facts(config: Any) -> Facts:
    return described(config).facts


def changed(config: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """Return the configuration with one member set; None takes it out."""
    new = copy.deepcopy(config)
    *parents, last = path.split(".")
    here = new
    for key in parents:
        here = here.setdefault(key, {})
    if value is None:
        here.pop(last, None)
    else:
        here[last] = value
    return new


def docker(path: str, value: Any) -> Facts:
    return facts(changed(DOCKER, path, value))


def test_a_docker_container() -> None:
    one = described(DOCKER)
    assert (one.workload.kind, one.workload.key, one.workload.name) == ("OCI bundle", ID, ID[:12])
    told = one.facts
    assert told.value(declared.ENGINE) == "docker"
    assert told.value(declared.USER) == "0:0"
    assert told.value(declared.GROUPS) == ("0",)
    exact = told.value(declared.CAPABILITIES_EXACT)
    assert exact is not None
    assert len(exact) == 14
    assert exact == told.value(declared.CAPABILITIES_BOUNDING)
    assert told.value(declared.CAPABILITIES_AMBIENT) == frozenset()
    assert told.value(declared.NO_NEW_PRIVILEGES) is False
    assert told.value(declared.APPARMOR) == "docker-default"
    assert told.value(declared.SELINUX) == ("disable",)
    assert told.value(declared.SECCOMP) == "profile"
    assert told.value(declared.SECCOMP_PROFILE) == DOCKER["linux"]["seccomp"]
    assert told.value(declared.USER_NAMESPACE) == "host"
    assert told.value(declared.SYSTEM_PATHS) == "exact"
    assert "/proc/kcore" in (told.value(declared.MASKED_PATHS) or ())
    fixed = told.value(declared.READONLY_PATHS) or ()
    assert {"/proc/sys", "/proc/sysrq-trigger", "/sys", "/sys/fs/cgroup"} <= set(fixed)
    assert told.value(declared.READ_ONLY_ROOT) is False
    assert told.value(declared.STORAGE_DRIVER) == "overlay2"
    assert told.value(declared.DEVICES) == ()
    assert told.value(declared.DEVICE_RULES) == ()
    assert told.value(declared.WRITABLE_CGROUPS) is False
    assert declared.PRIVILEGED not in told
    assert declared.RUNTIME not in told
    assert dict(told.value(declared.SYSCTLS) or ()) == {"net.ipv4.ip_unprivileged_port_start": "0"}


def test_mounts_of_a_docker_container_and_their_places() -> None:
    seen = facts(DOCKER).seen(declared.MOUNTS)
    assert seen is not None
    binds = {mount.target: mount for mount in seen.value if mount.kind == "bind"}
    assert set(binds) == {"/host/etc", "/run/docker.sock"}
    etc = Mount("bind", "/etc", "/host/etc", read_only=True, propagation="rprivate", options=frozenset())
    assert binds["/host/etc"] == etc
    kinds = {mount.target: mount.kind for mount in seen.value}
    assert kinds["/etc/hosts"] == "projected", "the engine's own file"
    assert kinds["/data"] == "volume"
    assert kinds["/dev/shm"] == "tmpfs"
    assert "/proc" not in kinds
    line = seen.parts[etc].line
    text = json.dumps(DOCKER, indent=1).splitlines()
    assert "/host/etc" in " ".join(text[line - 1 : line + 2])


def test_namespaces_that_are_not_listed_are_shared() -> None:
    told = facts(DOCKER).value(declared.NAMESPACES)
    assert told is not None
    assert [told.has(name) for name in ("pid", "net", "ipc", "uts", "cgroup")] == [NO, NO, NO, NO, YES]
    bare = docker("linux.namespaces", None).value(declared.NAMESPACES)
    assert bare is not None
    assert bare.yes == {"pid", "net", "ipc", "uts", "cgroup"}


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("", NO),
        ("/proc/1/ns/net", YES),
        ("/proc/4711/ns/net", UNKNOWN),
        ("/var/run/docker/netns/default", YES),
        ("/var/run/docker/netns/3f8c3e662062", NO),
        ("/var/run/netns/cni-1234", NO),
    ],
)
def test_a_namespace_that_is_joined(path: str, wanted: object) -> None:
    spaces = [{"type": "network", **({"path": path} if path else {})}]
    told = docker("linux.namespaces", spaces).value(declared.NAMESPACES)
    assert told is not None
    assert told.has("net") is wanted


def test_a_user_namespace() -> None:
    spaces = [*DOCKER["linux"]["namespaces"], {"type": "user"}]
    config = changed(changed(DOCKER, "linux.namespaces", spaces), "linux.uidMappings", [
        {"containerID": 0, "hostID": 100000, "size": 65536},
    ])  # fmt: skip
    told = facts(config)
    assert told.value(declared.USER_NAMESPACE) == "private"
    assert told.value(declared.USER_NAMESPACE_MAP) == ((0, 100000, 65536),)
    joined = docker("linux.namespaces", [{"type": "user", "path": "/proc/77/ns/user"}])
    assert joined.value(declared.USER_NAMESPACE) == "private"
    assert declared.USER_NAMESPACE_MAP not in joined
    assert docker("linux.namespaces", [{"type": "user", "path": "/proc/1/ns/user"}]).value(
        declared.USER_NAMESPACE
    ) == "host"  # fmt: skip


@pytest.mark.parametrize(
    ("path", "value", "fact", "wanted"),
    [
        ("linux.seccomp", None, declared.SECCOMP, "unconfined"),
        ("process.apparmorProfile", None, declared.APPARMOR, "unconfined"),
        ("process.selinuxLabel", "system_u:system_r:container_t:s0:c1,c2", declared.SELINUX,
         ("type:container_t", "level:s0:c1,c2")),
        ("process.user", {"uid": 1000, "gid": 1001}, declared.USER, "1000:1001"),
        ("process.user", None, declared.USER, "0:0"),
        ("process.noNewPrivileges", True, declared.NO_NEW_PRIVILEGES, True),
        ("process.terminal", True, declared.TERMINAL, True),
        ("process.capabilities", None, declared.CAPABILITIES_EXACT, frozenset()),
        ("process.capabilities.effective", ["cap_sys_admin", "NET_RAW"], declared.CAPABILITIES_EXACT,
         frozenset({"CAP_SYS_ADMIN", "CAP_NET_RAW"})),
        ("process.capabilities", {"ambient": ["CAP_KILL"], "inheritable": ["CAP_KILL"]}, declared.CAPABILITIES_AMBIENT,
         frozenset({"CAP_KILL"})),
        ("process.capabilities", {"ambient": ["CAP_KILL"]}, declared.CAPABILITIES_AMBIENT, frozenset()),
        ("root.readonly", True, declared.READ_ONLY_ROOT, True),
        ("linux.maskedPaths", None, declared.MASKED_PATHS, ()),
    ],
)  # fmt: skip
def test_single_members(path: str, value: Any, fact: Fact[Any], wanted: Any) -> None:
    assert docker(path, value).value(fact) == wanted


def mount(**members: Any) -> Mount:
    told = docker("mounts", [{"destination": "/x", "type": "bind", "source": "/y", **members}]).value(declared.MOUNTS)
    assert told is not None
    return told[0]


@pytest.mark.parametrize(
    ("options", "read_only", "propagation", "rest"),
    [
        ([], False, "", set()),
        (["rbind", "ro"], True, "", set()),
        (["rbind", "rw", "rshared", "nosuid"], False, "rshared", {"nosuid"}),
        (["bind", "ro", "slave"], True, "slave", set()),
        (["ro", "rw"], False, "", set()),
        (["rw", "ro"], True, "", set()),
        (["rbind", "rro"], True, "", {"rro"}),
    ],
)
def test_options_of_a_bind(options: list[str], read_only: bool, propagation: str, rest: set[str]) -> None:
    told = mount(options=options)
    assert (told.kind, told.source, told.read_only, told.propagation) == ("bind", "/y", read_only, propagation)
    assert told.options == rest


def test_a_shared_root_spreads_to_its_binds() -> None:
    config = changed(DOCKER, "linux.rootfsPropagation", "shared")
    told = facts(changed(config, "mounts", [{"destination": "/x", "source": "/y", "options": ["rbind"]}]))
    assert [one.propagation for one in told.value(declared.MOUNTS) or ()] == ["rshared"]


@pytest.mark.parametrize(
    ("source", "kind", "shown"),
    [
        ("/var/lib/docker/volumes/shop/_data", "volume", "shop"),
        ("/srv/docker/100000.100000/volumes/shop/_data", "volume", "shop"),
        ("/var/lib/containers/storage/volumes/shop/_data", "volume", "shop"),
        ("/var/lib/nerdctl/1935db59/volumes/default/shop/_data", "volume", "shop"),
        (f"/var/lib/docker/containers/{ID}/hosts", "projected", ""),
        (f"/var/lib/containerd/io.containerd.grpc.v1.cri/sandboxes/{ID}/resolv.conf", "projected", ""),
        (f"/run/containers/storage/overlay-containers/{ID}/userdata/hosts", "projected", ""),
        ("/var/lib/kubelet/pods/8c1/volumes/kubernetes.io~projected/kube-api-access-x", "projected", ""),
        ("/var/lib/kubelet/pods/8c1/volumes/kubernetes.io~empty-dir/cache", "volume", "cache"),
        ("/var/lib/kubelet/pods/8c1/volumes/kubernetes.io~csi/pvc-7/mount", "claim", "pvc-7"),
        ("/var/lib/kubelet/pods/8c1/etc-hosts", "projected", ""),
        ("/var/lib/kubelet/pods", "bind", "/var/lib/kubelet/pods"),
        ("/var/lib/docker/volumes", "bind", "/var/lib/docker/volumes"),
        ("/var/lib/docker", "bind", "/var/lib/docker"),
        ("/", "bind", "/"),
    ],
)
def test_what_an_engine_made_is_no_host_path(source: str, kind: str, shown: str) -> None:
    told = mount(source=source)
    assert (told.kind, told.source) == (kind, shown)


def devices(*rules: dict[str, Any], nodes: tuple[dict[str, Any], ...] = ()) -> Facts:
    return facts(changed(changed(DOCKER, "linux.resources.devices", list(rules)), "linux.devices", list(nodes)))


DENY = {"allow": False, "access": "rwm"}
DISK = {"allow": True, "type": "b", "major": 254, "minor": 0, "access": "rw"}


@pytest.mark.parametrize(
    ("rules", "wanted"),
    [
        ((), ()),
        ((DENY,), ()),
        ((DENY, DISK), ("b 254:0 rw",)),
        ((DISK, DENY), ()),
        ((DENY, DISK, {**DISK, "allow": False}), ()),
        (({"allow": True, "access": "rwm"},), ("a *:* rwm",)),
        ((DENY, {"allow": True, "type": "b", "major": 8, "minor": -1, "access": "rw"}), ("b 8:* rw",)),
        ((DENY, {"allow": True, "type": "c", "major": 1, "minor": 3, "access": "rwm"}), ()),
        ((DENY, {"allow": True, "type": "b", "access": "m"}), ()),
    ],
)
def test_device_rules(rules: tuple[dict[str, Any], ...], wanted: tuple[str, ...]) -> None:
    assert devices(*rules).value(declared.DEVICE_RULES) == wanted


def test_device_nodes_get_the_rights_their_rules_give() -> None:
    nodes = (
        {"path": "/dev/vda", "type": "b", "major": 254, "minor": 0},
        {"path": "/dev/vdb", "type": "b", "major": 254, "minor": 16},
    )
    told = devices(DENY, DISK, nodes=nodes).value(declared.DEVICES)
    assert told == (Device("/dev/vda", "/dev/vda", "rw"), Device("/dev/vdb", "/dev/vdb", ""))


def test_a_writable_cgroup_tree_and_a_writable_sys() -> None:
    mounts = [
        {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid"]},
        {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["rw"]},
    ]
    told = docker("mounts", mounts)
    assert told.value(declared.WRITABLE_CGROUPS) is True
    assert "/sys" not in (told.value(declared.READONLY_PATHS) or ())


def test_a_container_of_a_pod() -> None:
    one = described(POD)
    assert one.workload.name == "shop/web-5d9/app"
    assert one.workload.image == "registry.example/shop/web:1.2"
    assert one.facts.value(declared.ENGINE) == "containerd"
    assert one.facts.value(declared.SERVICE_ACCOUNT_TOKEN) is True
    told = one.facts.value(declared.NAMESPACES)
    assert told is not None
    assert (told.has("pid"), told.has("net")) == (NO, UNKNOWN)


def test_a_bundle_from_a_runtimes_state() -> None:
    document, _ = parse(
        f"/run/containerd/io.containerd.runtime.v2.task/k8s.io/{ID}/config.json",
        b'{"ociVersion": "1.1.0", "root": {"path": "rootfs"}}',
    )
    (one,) = read_bundle(document, ID, "runsc").workloads
    assert one.workload.key == ID
    assert one.facts.value(declared.RUNTIME) == "runsc"
    assert declared.USER not in one.facts, "the configuration has no process"
    assert declared.CAPABILITIES_EXACT not in one.facts


@pytest.mark.parametrize(
    ("path", "extra", "engine"),
    [
        (
            "/x/config.json",
            '"annotations": {"io.container.manager": "libpod", "io.kubernetes.cri-o.TTY": "false"}',
            "podman",
        ),
        ("/x/config.json", '"annotations": {"io.kubernetes.cri-o.TTY": "false"}', "cri-o"),
        ("/run/containerd/io.containerd.runtime.v2.task/default/web/config.json", '"hostname": "web"', "containerd"),
        (f"/run/containerd/io.containerd.runtime.v2.task/moby/{ID}/config.json", '"hostname": "web"', "docker"),
        ("/x/config.json", '"hostname": "web"', None),
    ],
)
def test_which_engine_wrote_it(path: str, extra: str, engine: str | None) -> None:
    document, _ = parse(path, f'{{"ociVersion": "1.1.0", "root": {{"path": "rootfs"}}, {extra}}}'.encode())
    (one,) = read_bundle(document, "web", "runc", "shop").workloads
    assert one.facts.value(declared.ENGINE) == engine
    assert one.workload.name == "shop"


# --- what is not understood -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "value", "fact"),
    [
        ("process.user.uid", "0", declared.USER),
        ("process.user.additionalGids", ["wheel"], declared.GROUPS),
        ("process.noNewPrivileges", "true", declared.NO_NEW_PRIVILEGES),
        ("process.capabilities.effective", "CAP_KILL", declared.CAPABILITIES_EXACT),
        ("process.capabilities.bounding", [1], declared.CAPABILITIES_BOUNDING),
        ("mounts", {}, declared.MOUNTS),
        ("mounts", [{"type": "bind"}], declared.MOUNTS),
        ("mounts", ["/x"], declared.MOUNTS),
        ("mounts", [{"destination": "/x", "type": "bind", "source": "/", "options": "ro"}], declared.MOUNTS),
        ("mounts", [{"destination": "/x", "type": "bind", "source": 7}], declared.MOUNTS),
        ("linux.namespaces", [{}], declared.NAMESPACES),
        ("linux.namespaces", "all", declared.NAMESPACES),
        ("linux.maskedPaths", "none", declared.MASKED_PATHS),
        ("linux.resources.devices", [{"allow": "yes"}], declared.DEVICE_RULES),
        ("linux.resources.devices", 5, declared.DEVICE_RULES),
        ("linux.devices", [{"type": "b"}], declared.DEVICES),
        ("linux.devices", 5, declared.DEVICES),
    ],
)
def test_a_value_of_the_wrong_kind_is_a_problem_and_leaves_its_fact_absent(
    path: str, value: Any, fact: Fact[Any]
) -> None:
    found = reading(changed(DOCKER, path, value))
    assert found.problems
    assert all(problem.line > 0 for problem in found.problems)
    (one,) = found.workloads
    assert one.facts.absent(fact) is not None


def test_what_is_recognised() -> None:
    def known(value: Any) -> bool:
        return recognises(parse("x.json", json.dumps(value).encode())[0])

    assert known(DOCKER)
    assert known(POD)
    assert not known({"architecture": "amd64", "config": {}, "rootfs": {"type": "layers"}}), "an image's configuration"
    assert not known({"ociVersion": "1.0.2", "id": "x", "status": "running", "bundle": "/x"}), "a runtime's state"
    assert not known([DOCKER])


def test_a_document_without_a_root() -> None:
    with pytest.raises(NotUnderstood):
        reading([])


_LEAVES = st.one_of(st.none(), st.booleans(), st.integers(-5, 5), st.text(max_size=8))
_ANY = st.recursive(
    _LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=6,
)
_PATHS = (
    "process", "process.user", "process.user.uid", "process.capabilities", "process.capabilities.effective", "root",
    "root.path", "mounts", "linux", "linux.namespaces", "linux.seccomp", "linux.resources", "linux.resources.devices",
    "linux.devices", "linux.sysctl", "linux.uidMappings", "linux.cgroupsPath", "annotations", "hostname",
    "linux.rootfsPropagation", "linux.readonlyPaths",
)  # fmt: skip


@settings(deadline=None)
@given(st.sampled_from(_PATHS), _ANY)
def test_no_value_breaks_the_reader(path: str, value: Any) -> None:
    config = copy.deepcopy(POD)
    here: Any = config
    *parents, last = path.split(".")
    for key in parents:
        here = here[key]
    here[last] = value
    reading(config)
