"""A replica is like its target, and says in what it is not."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from holdfast import techniques
from holdfast.app import drill as use_case
from holdfast.app import drill_targets
from holdfast.app.drill_targets import Wanted
from holdfast.app.predicting import Predictor
from holdfast.app.settings import Settings
from holdfast.drill.boxes import Box
from holdfast.drill.exercise import Drill, Target
from holdfast.drill.ground import Ground
from holdfast.drill.likeness import replica_of
from holdfast.drill.oci_bundle import config
from holdfast.drill.probe_file import probe
from holdfast.drill.session import Session
from holdfast.drill.staging import staged
from holdfast.model.errors import NotReachable
from holdfast.model.facts import Fact, Facts, Seen
from holdfast.model.place import Where
from holdfast.model.replica import Bind, Node, Replica
from holdfast.model.values import Members
from holdfast.model.words import declared
from holdfast.model.words.declared import Device, Mount
from holdfast.reason.catalogue import Catalogue

HERE = Where("test")


def made_of(answers: Mapping[Fact[Any], object], **more: Any) -> tuple[Replica, str]:
    facts = Facts({fact: Seen(value, HERE) for fact, value in answers.items()})
    replica, differs = replica_of(facts, **more)
    return replica, "\n".join(differs)


def test_a_pod_without_a_profile_has_no_filter_and_a_container_of_docker_has_the_default() -> None:
    for engine in ("cri", "containerd", "cri-o"):
        answers = {declared.ENGINE: engine, declared.SECCOMP: "default", declared.USER: "0"}
        assert made_of(answers)[0].seccomp == "unconfined", engine
        assert made_of({**answers, declared.SECCOMP: "runtime/default"})[0].seccomp == "default", engine
    assert made_of({declared.ENGINE: "docker", declared.SECCOMP: "default", declared.USER: "0"})[0].seccomp == "default"


def test_a_profile_that_could_not_be_read_is_told() -> None:
    replica, differs = made_of({declared.SECCOMP: "localhost:x.json", declared.USER: "0"})
    assert replica.seccomp == "default"
    assert "x.json" in differs
    replica, differs = made_of({declared.SECCOMP: "default", declared.USER: "0"}, engine="oci")
    assert replica.seccomp == "unconfined"
    assert "seccomp" in differs


def test_the_defaults_of_another_engine_are_spelled_out() -> None:
    replica, differs = made_of({declared.ENGINE: "podman", declared.USER: "0"}, engine="docker")
    assert replica.capabilities_dropped == {"ALL"}
    assert "CAP_NET_RAW" not in replica.capabilities_added
    assert "CAP_CHOWN" in replica.capabilities_added
    replica, differs = made_of({declared.ENGINE: "cri", declared.USER: "0"}, engine="docker")
    assert "CAP_MKNOD" in replica.capabilities_added
    assert "CAP_MKNOD" in differs
    replica, differs = made_of({declared.ENGINE: "docker", declared.USER: "0"}, engine="docker")
    assert (replica.capabilities_added, replica.capabilities_dropped, differs) == (frozenset(), frozenset(), "")


def test_a_drop_wins_over_an_addition_where_the_targets_engine_says_so() -> None:
    answers = {
        declared.ENGINE: "cri-o", declared.USER: "0",
        declared.CAPABILITIES_ADDED: ("SYS_ADMIN",), declared.CAPABILITIES_DROPPED: ("SYS_ADMIN",),
    }  # fmt: skip
    assert "CAP_SYS_ADMIN" not in made_of(answers)[0].capabilities_added
    every = {**answers, declared.CAPABILITIES_ADDED: ("ALL",), declared.CAPABILITIES_DROPPED: ("NET_RAW",)}
    replica = made_of(every)[0]
    assert replica.capabilities_added == {"ALL"}
    assert replica.capabilities_dropped == {"CAP_NET_RAW"}


def test_a_container_that_is_never_root_has_no_replica_that_is() -> None:
    for user in ({}, {declared.USER: "0"}, {declared.USER: "root"}, {declared.USER: ""}):
        replica, differs = made_of({declared.RUN_AS_NON_ROOT: True, **user})
        assert replica.user == "65534:65534", user
        assert "the user" in differs
    assert made_of({declared.RUN_AS_NON_ROOT: True, declared.USER: "1000"}) == (
        replace(Replica(), user="1000", network="bridge"), "",
    )  # fmt: skip


def test_a_user_that_only_the_image_knows() -> None:
    assert "the image decides" in made_of({})[1]
    replica, differs = made_of({declared.USER: "app", declared.GROUPS: ("wheel", "7")})
    assert (replica.user, replica.groups) == ("65534:65534", ("7",))
    assert "app" in differs
    assert "wheel" in differs
    replica, differs = made_of({declared.USER: "app", declared.GROUPS: ("wheel", "7")}, image="x")
    assert (replica.user, replica.groups, differs) == ("app", ("wheel", "7"), "")


def test_the_cgroup_namespace_is_left_to_the_engine_where_nothing_is_asked() -> None:
    def own(engine: str, members: Members) -> frozenset[str]:
        answers = {declared.ENGINE: engine, declared.NAMESPACES: members, declared.USER: "0"}
        return made_of(answers)[0].own_namespaces

    assert own("docker", Members.of(maybe=["cgroup"])) == frozenset()
    assert own("docker", Members.of()) == {"cgroup"}
    assert own("cri", Members.of()) == frozenset()


def test_a_namespace_that_may_be_the_hosts_is_told() -> None:
    replica, differs = made_of({declared.NAMESPACES: Members.of("net", maybe=["pid"]), declared.USER: "0"})
    assert replica.namespaces == {"net"}
    assert "pid" in differs


def test_a_sandbox_that_is_not_here_is_not_replaced_by_none() -> None:
    assert made_of({declared.RUNTIME: "kata", declared.USER: "0"})[0].runtime == "kata"
    assert (
        made_of({declared.RUNTIME: "gvisor", declared.USER: "0"}, runtimes=frozenset({"runsc"}))[0].runtime == "runsc"
    )
    replica, differs = made_of({declared.RUNTIME: "crun", declared.USER: "0"})
    assert replica.runtime == ""
    assert "crun" in differs


def test_a_user_namespace_of_its_own_is_given_or_told() -> None:
    answers = {declared.ENGINE: "cri", declared.USER_NAMESPACE: "private", declared.USER: "0"}
    replica, _ = made_of(answers, runtimes=frozenset({"runc"}))
    assert (replica.engine, replica.user_map) == ("oci", ((0, 100000, 65536),))
    replica, differs = made_of(answers)
    assert (replica.engine, replica.user_map) == ("docker", ())
    assert "user namespace" in differs
    host = made_of({declared.USER_NAMESPACE: "host", declared.USER: "0"}, engine="oci")[0]
    assert host.namespaces == frozenset()


EXACT = {
    declared.USER: "1000:1000",
    declared.CAPABILITIES_EXACT: frozenset({"CAP_KILL"}),
    declared.CAPABILITIES_BOUNDING: frozenset({"CAP_KILL", "CAP_CHOWN"}),
    declared.CAPABILITIES_AMBIENT: frozenset({"CAP_KILL"}),
    declared.SECCOMP: "unconfined",
    declared.SYSTEM_PATHS: "exact",
    declared.MASKED_PATHS: ("/proc/keys",),
    declared.READONLY_PATHS: ("/proc/bus", "/sys"),
}


def test_a_bundle_is_written_as_it_was_read() -> None:
    replica, differs = made_of(EXACT, engine="oci")
    assert differs == ""
    written = config(replica, ["/x"], "/g")
    assert written["linux"]["maskedPaths"] == ["/proc/keys"]
    assert written["linux"]["readonlyPaths"] == ["/proc/bus"]
    sysfs = next(mount for mount in written["mounts"] if mount["destination"] == "/sys")
    assert "ro" in sysfs["options"]
    held = written["process"]["capabilities"]
    assert held["bounding"] == ["CAP_CHOWN", "CAP_KILL"]
    for kind in ("effective", "permitted", "inheritable", "ambient"):
        assert held[kind] == ["CAP_KILL"], kind
    open_, _ = made_of({**EXACT, declared.READONLY_PATHS: (), declared.WRITABLE_CGROUPS: True}, engine="oci")
    mounts = {mount["destination"]: mount["options"] for mount in config(open_, ["/x"], "/g")["mounts"][1:]}
    assert "ro" not in mounts["/sys"]
    assert "ro" not in mounts["/sys/fs/cgroup"]


def test_lists_of_its_own_are_told_where_an_engine_has_no_word_for_them() -> None:
    _, differs = made_of(EXACT, engine="docker")
    assert "paths of its own" in differs
    ordinary = {
        declared.ENGINE: "docker", declared.USER: "0", declared.SYSTEM_PATHS: "exact",
        declared.MASKED_PATHS: ("/proc/kcore", "/sys/firmware"), declared.READONLY_PATHS: ("/proc/sys",),
    }  # fmt: skip
    assert made_of(ordinary)[1] == ""


def test_devices_of_a_bundle_are_made_by_number() -> None:
    device = Device("/dev/x", "/dev/x", "r", "c 1:3")
    silent = Device("/dev/y", "/dev/y", "", "c 1:5")
    replica, _ = made_of({**EXACT, declared.DEVICES: (device, silent)}, engine="oci")
    linux = config(replica, ["/x"], "/g")["linux"]
    assert [(each["path"], each["major"], each["minor"]) for each in linux["devices"]] == [
        ("/dev/x", 1, 3), ("/dev/y", 1, 5),
    ]  # fmt: skip
    assert {"allow": True, "type": "c", "major": 1, "minor": 3, "access": "r"} in linux["resources"]["devices"]
    assert not [rule for rule in linux["resources"]["devices"] if rule.get("access") == ""]


def test_what_the_engine_makes_for_it_alone_is_told() -> None:
    mounts = (
        Mount("volume", "v", "/data"), Mount("claim", "c", "/claim"), Mount("tmpfs", "", "/tmp"),
        Mount("bind", "/srv", "/srv", options=frozenset({"nosuid"})), Mount("bind", "${X}", "/x"),
    )  # fmt: skip
    replica, differs = made_of({declared.MOUNTS: mounts, declared.USER: "0"})
    assert [bind.target for bind in replica.binds] == ["/data", "/claim", "/tmp", "/srv"]
    for word in ("/data", "/claim", "/srv is nosuid", "${X}"):
        assert word in differs, word
    assert "/tmp" not in differs


# --- real ones ---------------------------------------------------------------------------------------------------

ANYWHERE = frozenset(
    {
        "container.host_paths",
        "container.host_paths_suid",
        "container.host_paths_writable",
        "container.host_paths_shared",
    }
)
"""A stand-in has mounts of its own where the host has none: sockets of engines. What that decides, verdicts show."""


@pytest.fixture(scope="module")
def made() -> Iterator[tuple[Drill, Ground]]:
    probe()
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory(prefix="hf") as folder:
        Path(folder).chmod(0o711)
        patch.setenv("HOLDFAST_STATE", folder)
        left: list[str] = []
        with use_case.run(use_case.Plan((), explain=False), Settings(), lambda _text: None, left) as pair:
            yield pair
    assert left == []


@pytest.fixture(scope="module")
def judge() -> Predictor:
    return Predictor(Catalogue(techniques.load().values()))


@pytest.fixture(scope="module")
def image() -> Iterator[str]:
    """Return an image with a user of its own, by name."""
    name = f"holdfast-test-likeness:{uuid.uuid4().hex[:8]}"
    busybox = shutil.which("busybox")
    assert busybox is not None
    files = {
        "bin/busybox": Path(busybox).read_bytes(),
        "etc/passwd": b"root:x:0:0::/:/\napp:x:1234:1234::/:/\n",
        "etc/group": b"root:x:0:\napp:x:1234:\nextra:x:77:app\n",
    }
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        for path, content in files.items():
            entry = tarfile.TarInfo(path)
            entry.mode, entry.size = 0o755, len(content)
            archive.addfile(entry, io.BytesIO(content))
    subprocess.run(
        ["docker", "import", "--change", "USER app", "-", name], input=data.getvalue(), check=True, capture_output=True
    )
    yield name
    subprocess.run(["docker", "rmi", "--force", name], check=True, capture_output=True)


def status(pid: int) -> dict[str, str]:
    rows = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    names = ("Uid", "Gid", "Groups", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp")
    return {name: rows[name].strip() for name in names}


def shared(pid: int) -> set[str]:
    kinds = ("pid", "net", "ipc", "uts", "cgroup", "user")
    return {
        kind
        for kind in kinds
        if Path(f"/proc/{pid}/ns/{kind}").stat().st_ino == Path(f"/proc/self/ns/{kind}").stat().st_ino
    }


def masked(pid: int) -> set[tuple[str, str, bool]]:
    found = set()
    for line in Path(f"/proc/{pid}/mountinfo").read_text().splitlines():
        head, _, tail = line.partition(" - ")
        words = head.split(" ")
        if words[4].startswith(("/proc", "/sys")) and not words[4].startswith("/sys/fs/cgroup/"):
            found.add((words[4], tail.split(" ")[0], "ro" in words[5].split(",")))
    return found


CASES: dict[str, list[str]] = {
    "plain": ["--user", "0"],
    "image's user": [],
    "user by name": ["--user", "app"],
    "groups": ["--user", "1000:1000", "--group-add", "extra", "--group-add", "88"],
    "capabilities": ["--user", "0", "--cap-drop", "ALL", "--cap-add", "NET_RAW", "--cap-add", "SYS_ADMIN"],
    "profile": ["--user", "0", "--security-opt", "seccomp={profile}"],
    "unconfined": ["--user", "0", "--security-opt", "seccomp=unconfined", "--security-opt", "systempaths=unconfined"],
    "no new privileges": ["--user", "0", "--security-opt", "no-new-privileges"],
    "namespaces": ["--user", "0", "--network", "host", "--ipc", "host", "--uts", "host", "--cgroupns", "private"],
    "no network": ["--user", "0", "--network", "none"],
    "read-only root": ["--user", "0", "--read-only", "--tmpfs", "/tmp"],
    "host's /etc": ["--user", "0", "--volume", "/etc:/mnt/etc:ro"],
    "host's /run": ["--user", "0", "--volume", "/run:/mnt/run"],
    "engine's files": ["--user", "0", "--volume", "/var/lib/docker:/mnt/docker"],
    "kernel": ["--user", "0", "--volume", "/sys:/mnt/sys"],
    "devices": ["--user", "0", "--device", "/dev/null:/dev/xnull:r", "--device-cgroup-rule", "b 8:* rwm"],
    "setting": ["--user", "0", "--network", "none", "--sysctl", "net.ipv4.ip_forward=1"],
    "nothing behind": ["--user", "0", "--volume", "/dev/null:/etc/hidden"],
}


@pytest.mark.root
@pytest.mark.engine
@pytest.mark.parametrize("case", CASES)
def test_a_container_and_its_replica(
    case: str, made: tuple[Drill, Ground], judge: Predictor, image: str, tmp_path: Path
) -> None:
    profile = tmp_path / "p.json"
    rule = {"names": ["bpf"], "action": "SCMP_ACT_ERRNO"}
    profile.write_text(json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]}))
    name = f"holdfast-test-{uuid.uuid4().hex[:10]}"
    words = [word.format(profile=profile) for word in CASES[case]]
    line = ["docker", "run", "--detach", "--rm", "--name", name, *words, image, "/bin/busybox", "sleep", "120"]
    subprocess.run(line, check=True, capture_output=True)
    try:
        asked = subprocess.run(
            ["docker", "inspect", "--format", "{{.State.Pid}}", name], check=True, capture_output=True, text=True
        )
        pid = int(asked.stdout)
        (target,) = drill_targets.wanted((f"docker://{name}",), Settings(), [])
        assert target.differs == ()
        # What a drill places on networks depends on who else is there, and a container does not say that of itself.
        alike = Replica(network=target.replica.network, namespaces=target.replica.namespaces)
        original = Box(Session([]), pid, name, alike)
        compared(made, judge, target, original)
    finally:
        subprocess.run(["docker", "kill", name], check=False, capture_output=True)


@pytest.mark.root
@pytest.mark.engine
def test_a_container_that_is_named_by_its_process(made: tuple[Drill, Ground], image: str) -> None:
    name = f"holdfast-test-{uuid.uuid4().hex[:10]}"
    line = ["docker", "run", "--detach", "--rm", "--name", name, "--cap-add", "SYS_ADMIN", "--volume", "/etc:/e:ro"]
    subprocess.run([*line, image, "/bin/busybox", "sleep", "120"], check=True, capture_output=True)
    try:
        asked = subprocess.run(
            ["docker", "inspect", "--format", "{{.State.Pid}}", name], check=True, capture_output=True, text=True
        )
        pid = int(asked.stdout)
        (target,) = drill_targets.wanted((f"proc://{pid}",), Settings(), [])
        assert [each.partition(":")[0] for each in target.differs] == ["the network", "the root file system"]
        placed, _ = staged(target.replica, made[1])
        with made[0]._around(Target("x", "made", "test", placed)) as box:
            assert status(box.pid) == status(pid)
            assert shared(box.pid) == shared(pid)
            assert masked(box.pid) == masked(pid)
    finally:
        subprocess.run(["docker", "kill", name], check=False, capture_output=True)


def test_a_process_that_nothing_describes_is_no_target() -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        try:
            with pytest.raises(NotReachable, match="Nothing describes"):
                list(drill_targets.wanted((f"proc://{process.pid}",), Settings(), []))
        finally:
            process.kill()


def compared(made: tuple[Drill, Ground], judge: Predictor, target: Wanted, original: Box) -> None:
    placed, differs = staged(target.replica, made[1])
    assert differs == ()
    first, said = judge.facts(original), judge.predict(original)
    with made[0]._around(Target("x", "made", "test", placed)) as box:
        second, again = judge.facts(box), judge.predict(box)
        assert status(box.pid) == status(original.pid)
        assert shared(box.pid) == shared(original.pid)
        assert masked(box.pid) == masked(original.pid)
    assert first is not None
    assert second is not None
    told = [
        {str(fact.name): str(getattr(seen, "value", "")) for fact, seen in facts.table.items()}
        for facts in (first, second)
    ]
    assert {name: told[1].get(name) for name in told[0].keys() - ANYWHERE} == {
        name: told[0][name] for name in told[0].keys() - ANYWHERE
    }
    assert again == said


Edit = Callable[[dict[str, Any]], object]


def _ambient(document: dict[str, Any]) -> None:
    document["process"]["user"] = {"uid": 1000, "gid": 1000, "additionalGids": [7]}
    kinds = ("bounding", "effective", "permitted", "inheritable", "ambient")
    document["process"]["capabilities"] = {kind: ["CAP_NET_RAW", "CAP_SYS_ADMIN"] for kind in kinds}


def _masked(document: dict[str, Any]) -> None:
    document["linux"]["maskedPaths"] = ["/proc/keys"]
    document["linux"]["readonlyPaths"] = ["/proc/bus"]


def _writable(document: dict[str, Any]) -> None:
    for mount in document["mounts"]:
        mount["options"] = [option for option in mount.get("options", ()) if option != "ro"]


def _devices(document: dict[str, Any]) -> None:
    node = {"path": "/dev/xnull", "type": "c", "major": 1, "minor": 3, "fileMode": 0o666, "uid": 0, "gid": 0}
    document["linux"]["devices"] = [node]
    document["linux"]["resources"]["devices"].append({"allow": True, "type": "b", "major": 8, "access": "rw"})


BUNDLES: dict[str, Edit] = {
    "plain": lambda _document: None,
    "ambient": _ambient,
    "masked": _masked,
    "writable": _writable,
    "devices": _devices,
    "filter": lambda document: document["linux"].update(
        seccomp={
            "defaultAction": "SCMP_ACT_ALLOW",
            "architectures": ["SCMP_ARCH_X86_64"],
            "syscalls": [{"names": ["bpf"], "action": "SCMP_ACT_ERRNO"}],
        }
    ),
    "host's processes": lambda document: document["linux"].update(
        namespaces=[each for each in document["linux"]["namespaces"] if each["type"] != "pid"]
    ),
}


@pytest.fixture
def bundle() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="hfb"))
    folder.chmod(0o755)
    root = folder / "rootfs"
    for name in ("bin", "proc", "sys", "dev", "tmp", "etc"):
        (root / name).mkdir(parents=True)
    busybox = shutil.which("busybox")
    assert busybox is not None
    shutil.copy(busybox, root / "bin/busybox")
    subprocess.run(["runc", "spec"], cwd=folder, check=True)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.root
@pytest.mark.engine
@pytest.mark.parametrize("case", BUNDLES)
def test_a_bundle_and_its_replica(case: str, made: tuple[Drill, Ground], bundle: Path) -> None:
    path = bundle / "config.json"
    document = json.loads(path.read_text())
    document["process"].update(terminal=False, args=["/bin/busybox", "sleep", "120"])
    BUNDLES[case](document)
    path.write_text(json.dumps(document))
    words, name = ["runc", "--root", str(bundle / "state")], f"holdfast-test-{uuid.uuid4().hex[:10]}"
    with (bundle / "told").open("w") as told:
        # Its output is not a pipe, which would stay open with the container.
        ran = subprocess.run(
            [*words, "run", "--detach", "--bundle", str(bundle), name], stdin=subprocess.DEVNULL, stdout=told,
            stderr=told, check=False,
        )  # fmt: skip
    assert ran.returncode == 0, (bundle / "told").read_text()
    try:
        state = subprocess.run([*words, "state", name], check=True, capture_output=True, text=True)
        pid = json.loads(state.stdout)["pid"]
        (target,) = drill_targets.wanted((str(path),), Settings(), [])
        placed, differs = staged(target.replica, made[1])
        assert (*target.differs, *differs) == ()
        with made[0]._around(Target("x", "made", "test", placed)) as box:
            assert status(box.pid) == status(pid)
            assert shared(box.pid) == shared(pid)
            assert masked(box.pid) == masked(pid)
            if case == "devices":
                seen = Path(f"/proc/{box.pid}/root/dev/xnull").stat()
                assert (os.major(seen.st_rdev), os.minor(seen.st_rdev)) == (1, 3)
    finally:
        subprocess.run([*words, "delete", "--force", name], check=False, capture_output=True)


@pytest.mark.root
@pytest.mark.engine
def test_a_mount_that_is_read_only_or_nosuid_on_the_host_is_so_in_the_replica(
    made: tuple[Drill, Ground], tmp_path: Path
) -> None:
    fixed, plain = tmp_path / "fixed", tmp_path / "plain"
    for place, options in ((fixed, "ro,nosuid"), (plain, "nosuid,nodev")):
        place.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "holdfast", str(place)], check=True)
    try:
        binds = (Bind(str(fixed), "/mnt/fixed"), Bind(str(plain), "/mnt/plain"), Bind(str(tmp_path), "/mnt/all"))
        placed, _ = staged(Replica(binds=binds), made[1])
        with made[0]._around(Target("x", "made", "test", placed)) as box:
            rows = [line.split(" ") for line in Path(f"/proc/{box.pid}/mountinfo").read_text().splitlines()]
            options = {row[4]: set(row[5].split(",")) for row in rows}
    finally:
        for place in (fixed, plain):
            subprocess.run(["umount", str(place)], check=True)
    assert "ro" in options["/mnt/fixed"]
    assert options["/mnt/plain"] >= {"rw", "nosuid", "nodev"}
    assert "nosuid" not in options["/mnt/all"]
    assert options["/mnt/all/plain"] >= {"rw", "nosuid", "nodev"}
    assert options["/mnt/all/fixed"] >= {"ro", "nosuid"}


def test_a_node_of_a_bundle_is_a_node_by_number() -> None:
    assert Node("/dev/x", "/dev/x", number="c 1:3") != Node("/dev/x", "/dev/x")
