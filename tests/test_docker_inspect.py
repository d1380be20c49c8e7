"""``docker inspect``: recorded answers, hostile ones, and the real engine against what the other dialects say."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.collect.parse import parse
from holdfast.model.errors import NotUnderstood
from holdfast.model.facts import Absent, Fact, Facts, Seen
from holdfast.model.tree import Document
from holdfast.model.truth import NO, UNKNOWN, YES
from holdfast.model.values import Members
from holdfast.model.words import declared
from holdfast.model.words.declared import Device, Mount
from holdfast.model.workload import Described, Needs, Reading, Surroundings
from holdfast.platforms import compose, docker_inspect, docker_run

DATA = Path(__file__).parent / "data" / "docker"
ID = "0123456789abcdef" * 4


def read(value: Any, name: str = "docker://x") -> Reading:
    document, problems = parse(name, json.dumps(value).encode())
    assert not problems
    return docker_inspect.read(document, Surroundings())


def container(**host: Any) -> dict[str, Any]:
    top = {
        key: host.pop(key) for key in list(host) if key in {"Mounts", "AppArmorProfile", "ProcessLabel", "Id", "Name"}
    }
    user = host.pop("User", "")
    return {
        "Id": ID, "Name": "/web", "State": {"Running": True, "Pid": 7},
        "Config": {"User": user, "Image": "nginx", "Tty": False},
        "HostConfig": {"Privileged": False, "ReadonlyRootfs": False, "MaskedPaths": ["/proc/kcore"],
                       "ReadonlyPaths": ["/proc/sys"], "CgroupnsMode": "private", "NetworkMode": "bridge", **host},
        "Mounts": [], **top,
    }  # fmt: skip


def one(**host: Any) -> Facts:
    reading = read([container(**host)])
    assert not reading.problems, reading.problems
    (described,) = reading.workloads
    return described.facts


def mounts(facts: Facts) -> tuple[Mount, ...]:
    value = facts.value(declared.MOUNTS)
    assert value is not None
    return value


# --- recognising ----------------------------------------------------------------------------------------------------

IMAGE = {"Id": "sha256:0", "RepoTags": ["a:1"], "RootFS": {}, "Config": {"User": "0"}, "Os": "linux"}
NETWORK = {"Name": "bridge", "Id": "0", "Scope": "local", "Driver": "bridge", "IPAM": {}, "Containers": {}}
VOLUME = {"Name": "v", "Driver": "local", "Mountpoint": "/var/lib/docker/volumes/v/_data", "Options": None}


@pytest.mark.parametrize("value", [IMAGE, NETWORK, VOLUME])
def test_other_inspected_things_are_known_and_hold_no_workload(value: dict[str, Any]) -> None:
    for whole in (value, [value], [value, value]):
        document, _ = parse("x", json.dumps(whole).encode())
        assert docker_inspect.recognises(document)
        assert read(whole) == Reading()


@pytest.mark.parametrize("value", [[], {}, [1], {"a": 1}, {"ociVersion": "1.0"}, {"kind": "Pod", "Config": {}}, "x", 7])
def test_what_is_none_of_them_is_not_recognised(value: Any) -> None:
    assert not docker_inspect.recognises(parse("x", json.dumps(value).encode())[0])


def test_one_object_and_an_array_say_the_same() -> None:
    first, second = read(container()), read([container()])
    assert [d.workload.name for d in first.workloads] == [d.workload.name for d in second.workloads] == ["web"]
    assert docker_inspect.recognises(parse("x", json.dumps([container()]).encode())[0])


def test_a_mixed_array_holds_its_containers() -> None:
    reading = read([IMAGE, container(), NETWORK, 7])
    assert len(reading.workloads) == 1
    assert len(reading.problems) == 1


# --- recorded answers -----------------------------------------------------------------------------------------------


def recorded(name: str) -> Described:
    document, problems = parse(name, (DATA / name).read_bytes())
    assert not problems
    assert docker_inspect.recognises(document)
    reading = docker_inspect.read(document, Surroundings())
    assert not reading.problems
    (described,) = reading.workloads
    return described


def test_an_answer_of_engine_20_10() -> None:
    described = recorded("inspect-20.10.json")
    workload, facts = described.workload, described.facts
    assert (workload.name, workload.kind, workload.image) == (
        "hf-platforms-a",
        "docker container",
        "hf-platforms-img:1",
    )
    assert len(workload.key) == 64
    assert facts.value(declared.ENGINE) == "docker"
    assert facts.value(declared.CAPABILITIES_ADDED) == ("CAP_SYS_ADMIN",)
    assert facts.value(declared.USER) == ""
    assert facts.value(declared.SECCOMP) == facts.value(declared.SYSTEM_PATHS) == "unconfined"
    assert facts.value(declared.SELINUX) == ("disable",)
    assert facts.value(declared.NAMESPACES) == Members.of("pid", "cgroup")
    by_target = {mount.target: mount for mount in mounts(facts)}
    assert set(by_target) == {"/h", "/d", "/v", "/t"}
    assert by_target["/h"] == Mount("bind", "/etc", "/h", True, "rprivate")
    assert (by_target["/d"].kind, by_target["/d"].source) == ("volume", "data")
    assert (by_target["/v"].kind, by_target["/v"].source) == ("bind", "/srv")
    assert by_target["/t"].kind == "tmpfs"
    assert facts.value(declared.DEVICES) == (Device("/dev/null", "/dev/nul", "r"),)
    assert facts.value(declared.GROUPS) == ("7",)
    assert facts.value(declared.SYSCTLS) == (("net.ipv4.ip_forward", "1"),)
    assert facts.value(declared.STORAGE_DRIVER) == "overlay2"
    assert facts.value(declared.RUNTIME) == "runc"
    assert facts.value(declared.NETWORKS) == ("bridge",)
    text = (DATA / "inspect-20.10.json").read_text().splitlines()
    seen = facts.seen(declared.CAPABILITIES_ADDED)
    assert seen is not None
    assert "CAP_SYS_ADMIN" in text[seen.where.line - 1]
    assert seen.where.pointer == "/0/HostConfig/CapAdd/0"


def test_an_answer_of_podman_4_3() -> None:
    described = recorded("podman-inspect-4.3.json")
    facts = described.facts
    assert described.workload.image == "localhost/hf-platforms-pod:latest"
    assert facts.value(declared.ENGINE) == "podman"
    assert facts.value(declared.RUNTIME) == "crun"
    exact = facts.value(declared.CAPABILITIES_EXACT)
    assert exact is not None
    assert "CAP_SYS_ADMIN" in exact
    assert facts.value(declared.CAPABILITIES_BOUNDING) == exact
    assert mounts(facts) == (Mount("bind", "/etc", "/h", True, "rprivate"),)
    assert facts.value(declared.NETWORKS) == ("none",)
    assert facts.value(declared.SYSTEM_PATHS) == "default"


# --- fields ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "fact", "value"),
    [
        ({"Privileged": True}, declared.PRIVILEGED, True),
        ({"Privileged": True}, declared.SELINUX, ("disable",)),
        ({"ReadonlyRootfs": True}, declared.READ_ONLY_ROOT, True),
        ({"User": "1000:5"}, declared.USER, "1000:5"),
        ({"CapAdd": None}, declared.CAPABILITIES_ADDED, ()),
        ({"CapAdd": ["ALL"], "CapDrop": ["CAP_MKNOD"]}, declared.CAPABILITIES_DROPPED, ("CAP_MKNOD",)),
        ({"SecurityOpt": None}, declared.SECCOMP, "default"),
        ({"SecurityOpt": ["seccomp=builtin"]}, declared.SECCOMP, "builtin"),
        ({"SecurityOpt": ["seccomp:unconfined"]}, declared.SECCOMP, "unconfined"),
        ({"SecurityOpt": ['seccomp={"defaultAction":"SCMP_ACT_ALLOW"}']}, declared.SECCOMP, "profile"),
        ({"SecurityOpt": ['seccomp={"a":1}']}, declared.SECCOMP_PROFILE, {"a": 1}),
        ({"SecurityOpt": ["apparmor=mine"], "AppArmorProfile": "mine"}, declared.APPARMOR, "mine"),
        ({"AppArmorProfile": "docker-default"}, declared.APPARMOR, "default"),
        ({"AppArmorProfile": "unconfined"}, declared.APPARMOR, "unconfined"),
        ({"AppArmorProfile": ""}, declared.APPARMOR, "default"),
        ({"ProcessLabel": "system_u:system_r:container_t:s0:c1,c2"}, declared.SELINUX,
         ("type:container_t", "level:s0:c1,c2")),
        ({"SecurityOpt": ["no-new-privileges"]}, declared.NO_NEW_PRIVILEGES, True),
        ({"SecurityOpt": ["no-new-privileges=true"]}, declared.NO_NEW_PRIVILEGES, True),
        ({"UsernsMode": "host"}, declared.USER_NAMESPACE, "host"),
        ({"UsernsMode": ""}, declared.USER_NAMESPACE, "default"),
        ({}, declared.SYSTEM_PATHS, "exact"),
        ({}, declared.MASKED_PATHS, ("/proc/kcore",)),
        ({}, declared.READONLY_PATHS, ("/proc/sys",)),
        ({"MaskedPaths": [], "ReadonlyPaths": []}, declared.SYSTEM_PATHS, "unconfined"),
        ({"MaskedPaths": None, "ReadonlyPaths": None}, declared.SYSTEM_PATHS, "unconfined"),
        ({"Runtime": "runsc"}, declared.RUNTIME, "runsc"),
        ({"NetworkMode": "default"}, declared.NETWORKS, ("bridge",)),
        ({"GroupAdd": ["7"]}, declared.GROUPS, ("7",)),
        ({"DeviceCgroupRules": ["a *:* rwm"]}, declared.DEVICE_RULES, ("a *:* rwm",)),
        ({"Isolation": "hyperv"}, declared.CONTAINER_OS, "windows"),
        ({"DeviceRequests": [{"Driver": "", "Count": -1, "DeviceIDs": None, "Capabilities": [["gpu"]]}]},
         declared.DEVICES, (Device("/dev/nvidia*", "/dev/nvidia*", "rw"),)),
        ({"DeviceRequests": [{"Driver": "cdi", "DeviceIDs": ["v.com/c=x"]}]}, declared.DEVICES,
         (Device("v.com/c=x", "v.com/c=x"),)),
    ],
)  # fmt: skip
def test_fields(host: dict[str, Any], fact: Fact[Any], value: object) -> None:
    assert one(**host).value(fact) == value


@pytest.mark.parametrize(
    ("host", "shared"),
    [
        ({"PidMode": "host"}, {"pid": YES}),
        ({"IpcMode": "host", "UTSMode": "host", "NetworkMode": "host"}, {"ipc": YES, "uts": YES, "net": YES}),
        ({"CgroupnsMode": "host"}, {"cgroup": YES, "pid": NO}),
        ({"CgroupnsMode": ""}, {"cgroup": UNKNOWN}),
        ({"IpcMode": "private", "NetworkMode": "default"}, {"ipc": NO, "net": NO, "cgroup": NO}),
        ({"NetworkMode": "container:" + "f" * 64}, {"net": UNKNOWN}),
    ],
)
def test_namespaces(host: dict[str, Any], shared: dict[str, Any]) -> None:
    namespaces = one(**host).value(declared.NAMESPACES)
    assert namespaces is not None
    assert {name: namespaces.has(name) for name in shared} == shared


def test_a_namespace_of_another_container_in_the_array() -> None:
    other = "f" * 64
    reading = read([container(PidMode=f"container:{other}", NetworkMode="container:other"),
                    container(Id=other, Name="/other", PidMode="host", NetworkMode="host")])  # fmt: skip
    namespaces = reading.workloads[0].facts.value(declared.NAMESPACES)
    assert namespaces is not None
    assert namespaces.has("pid") is namespaces.has("net") is YES


@pytest.mark.parametrize(
    ("entry", "mount"),
    [
        ({"Type": "bind", "Source": "/etc", "Destination": "/e", "Mode": "ro,z", "RW": False, "Propagation": "rslave"},
         Mount("bind", "/etc", "/e", True, "rslave", frozenset({"z"}))),
        ({"Type": "bind", "Source": "/", "Destination": "/h", "Mode": "", "RW": True, "Propagation": "rshared"},
         Mount("bind", "/", "/h", False, "rshared")),
        ({"Type": "volume", "Name": "v", "Source": "/var/lib/docker/volumes/v/_data", "Destination": "/v",
          "Driver": "local", "Mode": "z", "RW": True, "Propagation": ""}, Mount("volume", "v", "/v")),
        ({"Type": "tmpfs", "Source": "", "Destination": "/t", "Mode": "", "RW": True, "Propagation": ""},
         Mount("tmpfs", "", "/t")),
    ],
)  # fmt: skip
def test_mounts(entry: dict[str, Any], mount: Mount) -> None:
    assert mounts(one(Mounts=[entry])) == (mount,)


def test_where_no_mounts_are_in_force_those_asked_for_count() -> None:
    value = container(Binds=["/etc:/e:ro", "vol:/v"], Tmpfs={"/t": "size=1m"})
    del value["Mounts"]
    facts = read(value).workloads[0].facts
    assert [(mount.kind, mount.source, mount.read_only) for mount in mounts(facts)] == [
        ("bind", "/etc", True), ("volume", "vol", False), ("tmpfs", "", False),
    ]  # fmt: skip


def test_the_token_of_a_kubernetes_pod_is_seen() -> None:
    entry = {
        "Type": "bind",
        "Source": "/x",
        "Destination": "/var/run/secrets/kubernetes.io/serviceaccount",
        "RW": False,
    }
    assert one(Mounts=[entry]).value(declared.SERVICE_ACCOUNT_TOKEN) is True
    assert one().value(declared.SERVICE_ACCOUNT_TOKEN) is False


def test_podmans_user_namespace() -> None:
    value = container(IDMappings={"UidMap": ["0:100000:65536"], "GidMap": []})
    value["OCIRuntime"] = "crun"
    facts = read(value).workloads[0].facts
    assert facts.value(declared.USER_NAMESPACE) == "private"
    assert facts.value(declared.USER_NAMESPACE_MAP) == ((0, 100000, 65536),)


def test_only_our_own_labels_are_kept() -> None:
    value = container()
    value["Config"]["Labels"] = {"holdfast.owner": "web", "maintainer": "x"}
    assert read(value).workloads[0].workload.labels == {"holdfast.owner": "web"}


@pytest.mark.parametrize(
    ("host", "fact"),
    [
        ({"Privileged": "true"}, declared.PRIVILEGED),
        ({"ReadonlyRootfs": 1}, declared.READ_ONLY_ROOT),
        ({"CapAdd": "ALL"}, declared.CAPABILITIES_ADDED),
        ({"CapAdd": [7]}, declared.CAPABILITIES_ADDED),
        ({"GroupAdd": {"a": 1}}, declared.GROUPS),
        ({"SecurityOpt": "seccomp=unconfined"}, declared.SECCOMP),
        ({"MaskedPaths": "x"}, declared.SYSTEM_PATHS),
        ({"UsernsMode": 7}, declared.USER_NAMESPACE),
        ({"Devices": "x"}, declared.DEVICES),
        ({"Mounts": {}}, declared.MOUNTS),
        ({"User": 7}, declared.USER),
        ({"Runtime": []}, declared.RUNTIME),
        ({"Sysctls": {"a": [1]}}, declared.SYSCTLS),
    ],
)
def test_a_value_of_the_wrong_type_is_no_answer(host: dict[str, Any], fact: Fact[Any]) -> None:
    reading = read([container(**host)])
    assert isinstance(reading.workloads[0].facts.table[fact], Absent)


@pytest.mark.parametrize("key", ["HostConfig", "Config"])
@pytest.mark.parametrize("value", [None, [], "x"])
def test_a_part_that_is_missing_leaves_its_answers_absent(key: str, value: Any) -> None:
    whole = {**container(), key: value}
    facts = read(whole).workloads[0].facts
    fact = declared.PRIVILEGED if key == "HostConfig" else declared.USER
    assert isinstance(facts.table[fact], Absent)
    if key == "HostConfig":
        assert isinstance(facts.table[declared.CAPABILITIES_ADDED], Absent)
        assert isinstance(facts.table[declared.SECCOMP], Absent)


LEAVES = st.sampled_from(
    [None, True, False, 0, -1, "", "x", "host", "container:x", "seccomp={", "label=a", "bind", "/etc"]
)
INNER_KEYS = st.sampled_from([
    "Type", "Source", "Destination", "Target", "Name", "UidMap", "Networks", "PathOnHost", "x", "VolumeOptions",
    "DriverConfig", "Options", "RW", "Mode", "DeviceIDs", "Driver",
])  # fmt: skip
JSON = st.recursive(
    st.one_of(LEAVES, st.text(max_size=6)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(INNER_KEYS, inner, max_size=4)),
    max_leaves=8,
)
HOST_KEYS = st.sampled_from([
    "Privileged", "CapAdd", "CapDrop", "SecurityOpt", "PidMode", "IpcMode", "UTSMode", "UsernsMode", "CgroupnsMode",
    "Runtime", "NetworkMode", "Binds", "Mounts", "Tmpfs", "Devices", "DeviceRequests", "GroupAdd", "MaskedPaths",
    "ReadonlyPaths", "Sysctls", "Isolation", "IDMappings", "DeviceCgroupRules", "ReadonlyRootfs", "CgroupMode",
])  # fmt: skip
TOP_KEYS = st.sampled_from([
    "Id", "Name", "State", "Config", "Mounts", "AppArmorProfile", "ProcessLabel", "GraphDriver", "Driver",
    "EffectiveCaps", "BoundingCaps", "OCIRuntime", "NetworkSettings", "Platform", "ImageName",
])  # fmt: skip


@given(st.dictionaries(HOST_KEYS, JSON, max_size=8), st.dictionaries(TOP_KEYS, JSON, max_size=6), JSON)
@settings(max_examples=300, deadline=None)
def test_no_answer_raises(host: dict[str, Any], top: dict[str, Any], anything: Any) -> None:
    for value in (
        {"Config": {}, **top, "HostConfig": host},
        [{**container(), **top}, {**container(), "HostConfig": anything}],
    ):
        document, _ = parse("x", json.dumps(value).encode())
        docker_inspect.recognises(document)
        for described in docker_inspect.read(document, Surroundings()).workloads:
            assert all(isinstance(entry, Seen | Absent) for entry in described.facts.table.values())


# --- the real engine: three dialects, one container -----------------------------------------------------------------

BUSYBOX = "/bin/busybox"
PREFIX = f"hf-inspect-{os.getpid()}"

CASES: dict[str, tuple[str, str]] = {
    "plain": ("", ""),
    "capabilities": ("--cap-add SYS_ADMIN --cap-add NET_ADMIN --cap-drop MKNOD",
                     "cap_add: [SYS_ADMIN, NET_ADMIN]\ncap_drop: [MKNOD]"),
    "drop all": ("--cap-drop ALL --security-opt no-new-privileges --read-only -u 1000:1000",
                 "cap_drop: [ALL]\nsecurity_opt: ['no-new-privileges:true']\nread_only: true\nuser: '1000:1000'"),
    "host namespaces": ("--pid=host --ipc=host --uts=host --net=host",
                        "pid: host\nipc: host\nuts: host\nnetwork_mode: host"),
    "private cgroup": ("--cgroupns=private", "cgroup: private"),
    "no network": ("--network none --ipc private", "network_mode: none\nipc: private"),
    "unconfined": (" ".join(f"--security-opt {option}=unconfined" for option in ("seccomp", "apparmor", "systempaths")),
                   "security_opt: ['seccomp:unconfined', 'apparmor:unconfined', 'systempaths=unconfined']"),
    "label disabled": ("--security-opt label=disable", "security_opt: ['label:disable']"),
    "labels": ("--security-opt label=type:spc_t --security-opt label=level:s0:c1",
               "security_opt: ['label:type:spc_t', 'label:level:s0:c1']"),
    "profile": ("--security-opt seccomp=profile.json", "security_opt: ['seccomp:profile.json']"),
    "binds": ("-v /etc:/e:ro -v /tmp:/m:rslave,z -v named:/n -v /anonymous",
              "volumes: ['/etc:/e:ro', '/tmp:/m:rslave,z', 'named:/n', '/anonymous']"),
    "bind mount": ("--mount type=bind,src=/etc,dst=/e,ro,bind-propagation=rprivate",
                   "volumes: [{type: bind, source: /etc, target: /e, read_only: on, bind: {propagation: rprivate}}]"),
    "volume on a host path": (
        "--mount type=volume,dst=/v,volume-opt=type=none,volume-opt=o=bind,volume-opt=device=/srv",
        "volumes: [{type: volume, source: onsrv, target: /v}]"),
    "tmpfs": ("--mount type=tmpfs,dst=/t --tmpfs /u:size=1m",
              "volumes: [{type: tmpfs, target: /t}]\ntmpfs: ['/u:size=1m']"),
    "devices": ("--device /dev/null:/dev/nul:r --device /dev/zero --device-cgroup-rule 'b 8:* rwm'",
                "devices: ['/dev/null:/dev/nul:r', /dev/zero]\ndevice_cgroup_rules: ['b 8:* rwm']"),
    "groups": ("--group-add 7 --group-add 8", "group_add: [7, 8]"),
    "sysctls and terminal": ("--sysctl net.ipv4.ip_forward=1 --sysctl kernel.msgmax=65536 -t --userns host",
                             "sysctls: {net.ipv4.ip_forward: 1, kernel.msgmax: 65536}\ntty: on\nuserns_mode: host"),
    "privileged": ("--privileged", "privileged: yes"),
}  # fmt: skip
PROFILE = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["kexec_load"], "action": "SCMP_ACT_ERRNO"}]}


def docker(*words: str) -> str:
    done = subprocess.run(["docker", *words], capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        raise AssertionError(f"docker {' '.join(words)}: {done.stderr}")
    return done.stdout


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("image")
    source = shutil.which("busybox") or BUSYBOX
    with tarfile.open(folder / "root.tar", "w") as tar:
        tar.add(source, "bin/busybox")
    name = f"{PREFIX}-image:1"
    docker("import", str(folder / "root.tar"), name)
    yield name
    docker("rmi", "-f", name)


def comparable(facts: Facts, fact: Fact[Any]) -> object:
    """Return an answer with the spellings that mean the same made equal."""
    entry = facts.table.get(fact)
    if not isinstance(entry, Seen):
        return None
    value: Any = entry.value
    if fact is declared.MOUNTS:
        # The engine spells the default propagation out, and invents a name for a volume that has none.
        return sorted(
            (
                m.kind,
                "" if m.kind != "bind" else m.source,
                m.target,
                m.read_only,
                "" if m.propagation == "rprivate" else m.propagation,
            )
            for m in value
        )
    if fact in {declared.CAPABILITIES_ADDED, declared.CAPABILITIES_DROPPED}:
        return sorted(name if name == "ALL" or name.startswith("CAP_") else f"CAP_{name}" for name in value)
    if fact is declared.NAMESPACES:
        return sorted(value.yes - {"cgroup"})
    if fact is declared.SYSTEM_PATHS:
        return "default" if value == "exact" else value
    if fact is declared.RUNTIME:
        return "default" if value == "runc" else value
    if fact is declared.SYSCTLS:
        return sorted(value)
    return value


COMPARED: tuple[Fact[Any], ...] = (
    declared.ENGINE, declared.RUNTIME, declared.PRIVILEGED, declared.GROUPS, declared.CAPABILITIES_ADDED,
    declared.CAPABILITIES_DROPPED, declared.NO_NEW_PRIVILEGES, declared.SECCOMP, declared.SECCOMP_PROFILE,
    declared.APPARMOR, declared.SELINUX, declared.NAMESPACES, declared.USER_NAMESPACE, declared.MOUNTS,
    declared.DEVICES, declared.DEVICE_RULES, declared.SYSTEM_PATHS, declared.READ_ONLY_ROOT,
    declared.SYSCTLS, declared.TERMINAL, declared.CONTAINER_OS,
    declared.SERVICE_ACCOUNT_TOKEN, declared.RUN_AS_NON_ROOT, declared.WRITABLE_CGROUPS,
)  # fmt: skip


def handed_over(read_it: Any, document: Document, folder: Path) -> Facts:
    files: dict[str, Document | NotUnderstood | None] = {}
    for _ in range(4):
        try:
            (described,) = read_it(document, Surroundings(files)).workloads
        except Needs as needs:
            for name in needs.names:
                path = Path(name)
                files[name] = parse(name, path.read_bytes())[0] if path.exists() else None
        else:
            facts: Facts = described.facts
            return facts
    raise AssertionError(f"{folder}: it never stops asking")


@pytest.mark.engine
@pytest.mark.parametrize("case", list(CASES))
def test_three_dialects_agree_with_the_engine(
    case: str, image: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same options as a command line, as a Compose file, and as the engine itself reports them."""
    options, fields = CASES[case]
    name = f"{PREFIX}-{case.replace(' ', '-')}"
    options = options.replace("named:", f"{name}:")
    fields = fields.replace("named:", f"{name}:")
    (tmp_path / "profile.json").write_text(json.dumps(PROFILE))
    monkeypatch.chdir(tmp_path)
    line = f"docker create --name {name} {options} {image} /bin/busybox sleep 1000"
    subprocess.run(["sh", "-c", line], check=True, capture_output=True, timeout=60)
    try:
        inspected, _ = parse("docker://x", docker("inspect", name).encode())
        engine = docker_inspect.read(inspected, Surroundings())
        assert not engine.problems
        reported = engine.workloads[0].facts
    finally:
        docker("rm", "-f", "-v", name)
        subprocess.run(["docker", "volume", "rm", "-f", name], check=False, capture_output=True, timeout=60)
    asked = handed_over(docker_run.read, Document(str(tmp_path / "run.sh"), line), tmp_path)
    body = "\n".join("    " + row for row in fields.splitlines())
    text = (
        f"services:\n  web:\n    image: {image}\n{body}\n"
        "volumes: {onsrv: {driver_opts: {type: none, o: bind, device: /srv}}}\n"
    )
    described = handed_over(compose.read, parse(str(tmp_path / "compose.yaml"), text.encode())[0], tmp_path)
    for fact in COMPARED:
        truth = comparable(reported, fact)
        assert comparable(asked, fact) == truth, f"docker run: {fact.name}"
        assert comparable(described, fact) == truth, f"compose: {fact.name}"
    for facts in (asked, described):
        assert facts.value(declared.USER) in {reported.value(declared.USER), None}


@pytest.mark.engine
def test_the_mode_of_another_container_is_followed(image: str) -> None:
    first, second = f"{PREFIX}-first", f"{PREFIX}-second"
    try:
        docker("create", "--name", first, "--net", "host", "-v", "/etc:/e:ro", image, "/bin/busybox", "sleep", "9")
        docker(
            "create",
            "--name",
            second,
            "--net",
            f"container:{first}",
            "--volumes-from",
            first,
            image,
            "/bin/busybox",
            "sleep",
            "9",
        )
        document, _ = parse("docker://x", docker("inspect", first, second).encode())
    finally:
        for name in (first, second):
            subprocess.run(["docker", "rm", "-f", name], check=False, capture_output=True, timeout=60)
    facts = docker_inspect.read(document, Surroundings()).workloads[1].facts
    namespaces = facts.value(declared.NAMESPACES)
    assert namespaces is not None
    assert namespaces.has("net") is YES
    assert [(mount.source, mount.read_only) for mount in mounts(facts)] == [("/etc", True)]


@pytest.mark.engine
def test_inspected_images_networks_and_volumes_hold_no_workload(image: str) -> None:
    name = f"{PREFIX}-volume"
    docker("volume", "create", name)
    try:
        outputs = [
            docker("image", "inspect", image),
            docker("network", "inspect", "none"),
            docker("volume", "inspect", name),
        ]
    finally:
        docker("volume", "rm", name)
    for output in outputs:
        document, problems = parse("x", output.encode())
        assert not problems
        assert docker_inspect.recognises(document)
        assert docker_inspect.read(document, Surroundings()) == Reading()


def test_mounts_that_were_asked_for_count_where_the_engine_does_not_tell_of_them() -> None:
    text = json.dumps(
        [
            {
                "Id": "a" * 64,
                "Name": "/n",
                "Config": {"User": ""},
                "Mounts": [{"Type": "bind", "Source": "/srv/real", "Destination": "/told", "RW": True}],
                "HostConfig": {
                    "Binds": ["/srv/asked:/told/", "/etc:/bound:ro"],
                    "Mounts": [
                        {"Type": "bind", "Source": "/opt", "Target": "/long", "ReadOnly": True},
                        {"Type": "bind", "Source": "/other", "Target": "/told"},
                        {"Type": "tmpfs", "Target": "/t"},
                    ],
                },
            }
        ]
    )
    document, _ = parse("i.json", text.encode())
    (described,) = docker_inspect.read(document, Surroundings()).workloads
    mounts = described.facts.value(declared.MOUNTS) or ()
    assert [(one.source, one.target, one.read_only) for one in mounts] == [
        ("/srv/real", "/told", False),
        ("/etc", "/bound", True),
        ("/opt", "/long", True),
    ]
