"""What the raw records of a process answer: cgroup paths, mount tables, status, namespaces."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.model.errors import Error, NotPermitted
from holdfast.model.facts import Absent, Fact, Seen
from holdfast.model.truth import NO, UNKNOWN, YES
from holdfast.model.words import observed
from holdfast.platforms._procfs_cgroup import membership
from holdfast.platforms._procfs_mounts import mounts
from holdfast.platforms._procfs_record import (
    INITIAL,
    Folder,
    HostView,
    Neighbour,
    Node,
    ProcessRecord,
    Sightings,
)
from holdfast.platforms._procfs_status import CAPABILITIES, capability_names
from holdfast.platforms.procfs import read_process, read_sightings

ID = "3f8c3e6620620e2f55c9dbdf8c307277915909b2754f56d814e14e5759234ea5"
OTHER = "e58269c3007ed50d807e5d81188ada412fa636431730e383e6d119a0cc85ded0"
HOST_TABLE = """27 1 254:0 / / rw,relatime - ext4 /dev/vda rw
22 27 0:21 / /proc rw,relatime - proc proc rw
30 27 0:24 / /run rw - tmpfs tmpfs rw,mode=755
42 27 254:0 /var/lib/docker /var/lib/docker rw,relatime shared:1 - ext4 /dev/vda rw
50 42 0:39 / /var/lib/docker/overlay2/8408/merged rw - overlay overlay rw
60 27 254:16 / /srv\\040data rw - xfs /dev/vdb rw
"""
TABLE = """72 48 0:39 / / rw,relatime master:2 - overlay overlay rw,lowerdir=/a,upperdir=/var/lib/docker/8408/diff
73 72 0:42 / /proc rw,nosuid,nodev,noexec,relatime - proc proc rw
74 72 0:43 / /dev rw,nosuid - tmpfs tmpfs rw,size=65536k,mode=755
90 72 254:0 /etc /host/etc ro,relatime - ext4 /dev/vda rw
91 72 254:16 /web /data rw,relatime shared:7 - xfs /dev/vdb rw
92 72 0:24 /docker.sock /run/docker.sock rw - tmpfs tmpfs rw,mode=755
"""
STATUS = """Name:\tsleep
Umask:\t0022
Tgid:\t9627
Uid:\t0\t0\t0\t0
Gid:\t0\t0\t0\t0
Groups:\t0 44 
VmSize:\t    2268 kB
CapInh:\t0000000000000000
CapPrm:\t00000000a80425fb
CapEff:\t00000000a80425fb
CapBnd:\t00000000a80425fb
CapAmb:\t0000000000000000
NoNewPrivs:\t0
Seccomp:\t2
Seccomp_filters:\t1
"""  # noqa: W291 - as the kernel prints it
DOCKER_DEFAULT = {
    "CHOWN", "DAC_OVERRIDE", "FSETID", "FOWNER", "MKNOD", "NET_RAW", "SETGID", "SETUID", "SETFCAP", "SETPCAP",
    "NET_BIND_SERVICE", "SYS_CHROOT", "KILL", "AUDIT_WRITE",
}  # fmt: skip
HOST = HostView(
    {**INITIAL, "mnt": "mnt:[4026531840]", "net": "net:[4026531992]"},
    HOST_TABLE,
    "/proc/1/mountinfo",
    whole_cgroups=True,
)
TEXTS: dict[str, str | Error] = {
    "status": STATUS,
    "uid_map": "         0          0 4294967295\n",
    "gid_map": "         0          0 4294967295\n",
    "attr/current": "docker-default (enforce)\n",
    "mountinfo": TABLE,
    "cgroup": f"0::/system.slice/docker-{ID}.scope\n",
    "comm": "sleep\n",
    "cmdline": "/bin/sleep\x00600\x00",
}
LINKS: dict[str, str | Error] = {
    **{f"ns/{name}": text for name, text in INITIAL.items()},
    "ns/mnt": "mnt:[4026532180]",
    "ns/net": "net:[4026532184]",
    "ns/pid": "pid:[4026532183]",
    "ns/ipc": "ipc:[4026532182]",
    "ns/uts": "uts:[4026532181]",
    "exe": "/bin/busybox",
}
RECORD = ProcessRecord(
    9627,
    ID,
    ID,
    texts=TEXTS,
    links=LINKS,
    nodes=(Node("/dev/null", "char", 1, 3),),
    filters=(b"12345678",),
    neighbours={},
)


def told(record: ProcessRecord, fact: Fact[Any], host: HostView = HOST) -> Any:
    return read_process(record, host).facts.value(fact)


def absent(record: ProcessRecord, fact: Fact[Any], host: HostView = HOST) -> Absent:
    found = read_process(record, host).facts.absent(fact)
    assert found is not None, fact
    return found


def with_text(name: str, text: str | Error) -> ProcessRecord:
    return replace(RECORD, texts={**TEXTS, name: text})


def with_link(name: str, text: str | Error) -> ProcessRecord:
    return replace(RECORD, links={**LINKS, name: text})


def test_an_ordinary_docker_container() -> None:
    described = read_process(RECORD, HOST)
    assert described.workload.name == f"sleep ({ID[:12]})"
    assert (described.workload.kind, described.workload.key) == ("process", ID)
    facts = described.facts
    assert facts.value(observed.RUNTIME) == "docker"
    assert facts.value(observed.CONTAINER_ID) == ID
    assert facts.value(observed.HOST_USER_ID) == 0
    assert facts.value(observed.CAPABILITIES_EFFECTIVE) == {f"CAP_{name}" for name in DOCKER_DEFAULT}
    assert facts.value(observed.CAPABILITIES_AMBIENT) == frozenset()
    assert facts.value(observed.NO_NEW_PRIVILEGES) is False
    assert facts.value(observed.SECCOMP_MODE) == 2
    assert facts.value(observed.SECCOMP_FILTERS) == (b"12345678",)
    assert facts.value(observed.LSM_LABEL) == "docker-default (enforce)"
    assert facts.value(observed.USER_MAP) == ((0, 0, 4294967295),)
    assert facts.value(observed.OWN_USER_NAMESPACE) is False
    assert facts.value(observed.CGROUP) == f"/system.slice/docker-{ID}.scope"
    assert facts.value(observed.CGROUP_V1_ROOT) is False
    assert facts.value(observed.DEVICE_NODES) == (observed.DeviceNode("/dev/null", "char", 1, 3),)
    assert facts.value(observed.OUTSIDE_FDS) == ()
    assert facts.value(observed.SAME_USER_ON_HOST) is False
    groups = facts.value(observed.HOST_GROUP_IDS)
    assert groups is not None
    assert groups.yes == {0, 44}
    seen = facts.seen(observed.CAPABILITIES_EFFECTIVE)
    assert seen is not None
    assert seen.where.document == "/proc/9627/status"


def test_every_observed_word_has_an_answer_or_a_reason() -> None:
    words = {value for value in vars(observed).values() if isinstance(value, Fact)}
    assert words - set(read_process(RECORD, HOST).facts.table) == set()


def test_namespaces() -> None:
    shared = told(RECORD, observed.SHARED_NAMESPACES)
    assert {name: shared.has(name) for name in ("pid", "net", "ipc", "uts", "mnt", "cgroup", "time")} == {
        "pid": NO, "net": NO, "ipc": NO, "uts": NO, "mnt": NO, "cgroup": YES, "time": YES,
    }  # fmt: skip
    assert told(with_link("ns/pid", INITIAL["pid"]), observed.SHARED_NAMESPACES).has("pid") is YES
    assert told(with_link("ns/net", HOST.namespaces["net"]), observed.SHARED_NAMESPACES).has("net") is YES
    refused = with_link("ns/net", NotPermitted("no", "/proc/9627/ns/net"))
    assert told(refused, observed.SHARED_NAMESPACES).has("net") is UNKNOWN
    nobody_told = HostView(dict(INITIAL), HOST_TABLE)
    assert told(RECORD, observed.SHARED_NAMESPACES, nobody_told).has("net") is UNKNOWN
    assert told(RECORD, observed.SHARED_NAMESPACES, nobody_told).has("pid") is NO


def test_an_own_user_namespace() -> None:
    record = replace(
        RECORD,
        texts={**TEXTS, "uid_map": "0 100000 65536\n", "status": STATUS.replace("Uid:\t0\t0", "Uid:\t100000\t100000")},
        links={**LINKS, "ns/user": "user:[4026532500]"},
    )
    assert told(record, observed.OWN_USER_NAMESPACE) is True
    assert told(record, observed.USER_MAP) == ((0, 100000, 65536),)
    assert told(record, observed.HOST_USER_ID) == 100000


def test_the_host_path_behind_a_mount() -> None:
    paths = {mount.target: mount.host_path for mount in told(RECORD, observed.MOUNTS)}
    assert paths == {
        "/": "/var/lib/docker/overlay2/8408/merged",
        "/proc": "",
        "/dev": "",
        "/host/etc": "/etc",
        "/data": "/srv data/web",
        "/run/docker.sock": "/run/docker.sock",
    }
    seen = read_process(RECORD, HOST).facts.seen(observed.MOUNTS)
    assert seen is not None
    assert [seen.parts[mount].line for mount in seen.value] == [1, 2, 3, 4, 5, 6]
    data = seen.value[4]
    assert (data.peers, data.fstype, data.device, data.root) == (("shared:7",), "xfs", "254:16", "/web")


def test_the_mount_of_the_root_directory_tells_the_host_path() -> None:
    nested = "1 1 8:1 / / rw - ext4 /dev/sda rw\n2 1 8:1 /home /mnt/homes rw - ext4 /dev/sda rw\n"
    found = mounts("9 1 8:1 /home/ann /x rw - ext4 /dev/sda rw\n", nested)
    assert found[0].host_path == "/home/ann"
    root = mounts("9 1 8:1 / /x rw - ext4 /dev/sda rw\n", nested)
    assert root[0].host_path == "/"
    prefix = mounts("9 1 8:1 /homestead /x rw - ext4 /dev/sda rw\n", nested)
    assert prefix[0].host_path == "/homestead"


def test_a_mount_that_another_hides_shows_nothing() -> None:
    hidden = "1 1 8:1 / / rw - ext4 a rw\n2 1 8:2 / /mnt rw - ext4 b rw\n3 1 8:3 / /mnt rw - ext4 c rw\n"
    assert mounts("9 1 8:2 /x /x rw - ext4 b rw\n", hidden)[0].host_path == ""


@pytest.mark.parametrize(
    ("text", "identity", "starter", "name"),
    [
        (f"0::/docker/{ID}\n", ID, "docker", ""),
        (f"0::/system.slice/docker-{ID}.scope\n", ID, "docker", ""),
        (f"5:devices:/docker/{ID}\n0::/\n", ID, "docker", ""),
        (f"0::/docker/{OTHER}/docker/{ID}\n", ID, "docker", ""),
        (f"0::/kubepods.slice/kubepods-pod1_2.slice/cri-containerd-{ID}.scope\n", ID, "containerd", ""),
        (f"0::/kubepods/besteffort/pod7c7d/{ID}\n", ID, "cri", ""),
        (f"0::/kubepods.slice/kubepods-besteffort.slice/crio-{ID}.scope\n", ID, "cri-o", ""),
        (f"0::/machine.slice/libpod-{ID}.scope/container\n", ID, "podman", ""),
        (f"0::/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{ID}.scope\n", ID, "podman", ""),
        (f"1:devices:/libpod_parent/libpod-{ID}\n", ID, "podman", ""),
        (f"0::/system.slice/nerdctl-{ID}.scope\n", ID, "nerdctl", ""),
        ("0::/lxc.payload.web/init.scope\n", "", "lxc", "web"),
        ("4:devices:/lxc/web\n", "", "lxc", "web"),
        ("0::/machine.slice/systemd-nspawn@web.service/payload\n", "", "systemd-nspawn", "web"),
        ("0::/machine.slice/machine-web.scope\n", "", "systemd-nspawn", "web"),
        ("0::/user.slice/user-1000.slice/session-3.scope\n", "", "", ""),
        ("0::/system.slice/cron.service\n", "", "", ""),
        ("", "", "", ""),
        ("garbage\n:::\n7\n", "", "", ""),
    ],
)
def test_cgroup_paths(text: str, identity: str, starter: str, name: str) -> None:
    found = membership(text)
    assert (found.container_id, found.starter, found.name, found.monitor) == (identity, starter, name, False)


@pytest.mark.parametrize("path", [f"/machine.slice/libpod-conmon-{ID}.scope", f"/system.slice/crio-conmon-{ID}.scope"])
def test_a_monitor_is_not_inside(path: str) -> None:
    assert membership(f"0::{path}\n").monitor


def test_the_root_group_of_a_version_1_hierarchy() -> None:
    record = with_text("cgroup", f"5:devices:/docker/{ID}\n4:memory:/\n0::/\n")
    assert told(record, observed.CGROUP_V1_ROOT) is True
    assert told(with_text("cgroup", "0::/\n"), observed.CGROUP_V1_ROOT) is False
    inside = replace(HOST, whole_cgroups=False)
    assert "cgroup namespace" in absent(record, observed.CGROUP_V1_ROOT, inside).reason


def test_a_directory_outside_the_root() -> None:
    folders = (Folder(3, "/app", "72"), Folder(7, "/", "27"))
    assert told(replace(RECORD, folders=folders), observed.OUTSIDE_FDS) == ("/",)
    assert "could not be told" in absent(replace(RECORD, folders=(Folder(3, "/app", ""),)), observed.OUTSIDE_FDS).reason


def neighbour(
    uid: int = 0, permitted: str = "0" * 16, owner: int | None = None, user: str = INITIAL["user"]
) -> Neighbour:
    text = f"Uid:\t{uid}\t{uid}\t{uid}\t{uid}\nGid:\t{uid}\t{uid}\t{uid}\t{uid}\nVmSize:\t1 kB\nCapPrm:\t{permitted}\n"
    return Neighbour(text, user, uid if owner is None else owner)


OUTSIDE = [
    (neighbour(), True),
    (neighbour(permitted="000001ffffffffff"), False),
    (neighbour(uid=1000), False),
    (neighbour(user="user:[4026532999]"), False),
    (neighbour(user=""), None),
    (neighbour(user="", permitted="000001ffffffffff"), False),
]


@pytest.mark.parametrize(("outside", "wanted"), OUTSIDE)
def test_a_process_of_another_container_is_told_apart(outside: Neighbour, wanted: bool | None) -> None:
    record = replace(RECORD, neighbours={77: replace(outside, container="web")})
    assert told(record, observed.SAME_USER_IN_CONTAINER) is wanted
    assert told(record, observed.SAME_USER_ON_HOST) is False


@pytest.mark.parametrize(("outside", "wanted"), OUTSIDE)
def test_the_same_user_outside(outside: Neighbour, wanted: bool | None) -> None:
    assert told(replace(RECORD, neighbours={77: outside}), observed.SAME_USER_ON_HOST) is wanted


def test_signals_ask_for_the_users_number_only() -> None:
    """Seen in a virtual machine: user 1000 with group 0 may not look into a process 1000:1000, but may stop it."""
    mine = with_text("status", STATUS.replace("Uid:\t0\t0\t0\t0", "Uid:\t1000\t1000\t1000\t1000"))
    record = replace(mine, neighbours={77: neighbour(1000, permitted="000001ffffffffff")})
    assert told(record, observed.SAME_USER_ID_ON_HOST) is True
    assert told(record, observed.SAME_USER_ON_HOST) is False
    assert told(replace(mine, neighbours={77: neighbour(0)}), observed.SAME_USER_ID_ON_HOST) is False
    inside = replace(neighbour(1000), container="web")
    assert told(replace(mine, neighbours={77: inside}), observed.SAME_USER_ID_ON_HOST) is False
    assert "could not be compared" in absent(replace(mine, neighbours=None), observed.SAME_USER_ID_ON_HOST).reason


def test_a_process_that_is_not_dumpable_is_out_of_reach() -> None:
    mine = STATUS.replace("Uid:\t0\t0\t0\t0", "Uid:\t1000\t1000\t1000\t1000").replace(
        "Gid:\t0\t0\t0\t0", "Gid:\t1000\t1000\t1000\t1000"
    )
    record = with_text("status", mine)
    assert told(replace(record, neighbours={77: neighbour(1000)}), observed.SAME_USER_ON_HOST) is True
    assert told(replace(record, neighbours={77: neighbour(1000, owner=0)}), observed.SAME_USER_ON_HOST) is False


@pytest.mark.parametrize(
    ("program", "line", "doubtful"),
    [
        (NotPermitted("refused", "/proc/1/exe"), "runsc-sandbox\0boot\0", True),
        (NotPermitted("refused", "/proc/1/exe"), "nginx\0", False),
        ("/bin/busybox", "runsc-sandbox\0boot\0", False),
    ],
)
def test_a_name_of_a_sandbox_whose_program_was_not_seen(program: str | Error, line: str, doubtful: bool) -> None:
    record = replace(RECORD, texts={**TEXTS, "cmdline": line}, links={**LINKS, "exe": program})
    assert (told(record, observed.RUNTIME) is None) is doubtful


def test_nobody_looked_outside() -> None:
    assert "could not be compared" in absent(replace(RECORD, neighbours=None), observed.SAME_USER_ON_HOST).reason


def test_filters() -> None:
    assert "nobody tried" in absent(replace(RECORD, filters=None), observed.SECCOMP_FILTERS).reason
    refused = replace(RECORD, filters=NotPermitted("The kernel refuses", "/proc/9627", "run as root"))
    assert "run as root" in absent(refused, observed.SECCOMP_FILTERS).reason
    bare = replace(with_text("status", STATUS.replace("Seccomp:\t2", "Seccomp:\t0")), filters=None)
    assert told(bare, observed.SECCOMP_FILTERS) == ()


def test_no_security_module() -> None:
    error = NotPermitted("Cannot be read: Invalid argument", "/proc/9627/attr/current")
    assert told(with_text("attr/current", error), observed.LSM_LABEL) == ""
    other = NotPermitted("Cannot be read: Permission denied", "/proc/9627/attr/current", "run as root to see it")
    assert "run as root" in absent(with_text("attr/current", other), observed.LSM_LABEL).reason


@pytest.mark.parametrize(("sandbox", "runtime"), [("gvisor", "runsc"), ("kata", "kata")])
def test_a_sandbox_answers_for_nothing_but_itself(sandbox: str, runtime: str) -> None:
    facts = read_process(with_link("sandbox", sandbox), HOST).facts
    seen = {fact for fact, entry in facts.table.items() if isinstance(entry, Seen)}
    assert seen == {
        observed.PID, observed.CONTAINER_ID, observed.RUNTIME, observed.CGROUP, observed.CGROUP_V1_ROOT,
    }  # fmt: skip
    assert facts.value(observed.RUNTIME) == runtime


def test_a_further_process_says_so() -> None:
    workload = read_process(replace(RECORD, first=False), HOST).workload
    assert workload.name == f"sleep ({ID[:12]}), process 9627"
    assert workload.labels["further"] == "yes"
    assert workload.key == ID


def test_without_privilege_everything_refused_is_absent_with_its_reason() -> None:
    error = NotPermitted("Cannot be read: Permission denied", "/proc/9627/x", "run as root to see it")
    record = ProcessRecord(
        9627, ID, ID, texts=dict.fromkeys(TEXTS, error), links=dict.fromkeys(LINKS, error), folders=error, nodes=error
    )
    reading = read_sightings(Sightings(HOST, (record,)))
    facts = reading.workloads[0].facts
    assert {fact for fact, entry in facts.table.items() if isinstance(entry, Seen)} == {
        observed.PID,
        observed.CONTAINER_ID,
    }
    assert "run as root" in absent(record, observed.MOUNTS).reason
    assert reading.problems


@given(st.integers(min_value=0, max_value=2**64 - 1))
def test_capability_sets(bits: int) -> None:
    names = capability_names(bits)
    assert len(names) == bits.bit_count()
    known = {f"CAP_{name}": 1 << number for number, name in enumerate(CAPABILITIES)}
    assert sum(known.get(name) or 1 << int(name.removeprefix("CAP_")) for name in names) == bits


@given(st.dictionaries(st.sampled_from(sorted(TEXTS)), st.text(max_size=120)), st.text(max_size=200))
def test_no_text_breaks_the_reader(changes: dict[str, str], table: str) -> None:
    read_process(replace(RECORD, texts={**TEXTS, **changes}), replace(HOST, mountinfo=table))


def test_a_volume_that_is_a_bind_mount_does_not_hide_where_the_place_lies() -> None:
    host = (
        "21 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
        "22 21 8:1 /etc /var/lib/docker/volumes/x/_data rw - ext4 /dev/sda1 rw\n"
        "23 21 8:2 /@home /home rw - btrfs /dev/sdb rw\n"
        "24 21 8:2 / /mnt/pool rw - btrfs /dev/sdb rw\n"
    )
    own = (
        "90 80 8:1 /etc /conf rw - ext4 /dev/sda1 rw\n"
        "91 80 8:1 /etc/ssl /ssl rw - ext4 /dev/sda1 rw\n"
        "92 80 8:2 /@home/app /data rw - btrfs /dev/sdb rw\n"
        "93 80 8:9 / /other rw - ext4 /dev/sdc rw\n"
    )
    assert [mount.host_path for mount in mounts(own, host)] == ["/etc", "/etc/ssl", "/home/app", ""]
