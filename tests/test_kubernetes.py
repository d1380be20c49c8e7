"""Kubernetes manifests: scalars, kinds, combined contexts, volumes, claims, places, and what is broken."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.collect.parse import parse
from holdfast.model.facts import Absent, Fact, Facts, Seen
from holdfast.model.place import Where
from holdfast.model.tree import Cursor, Document, Mapping, Node, Scalar, Sequence
from holdfast.model.values import Members
from holdfast.model.words import declared
from holdfast.model.words.declared import Device, Mount
from holdfast.model.workload import Described, Reading, Surroundings
from holdfast.platforms import _kubernetes_scalars as scalars
from holdfast.platforms import kubernetes

DATA = Path(__file__).parent / "data" / "kubernetes"
AROUND = Surroundings()
_HEAD = "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\n"


def read(text: str | bytes, name: str = "pod.yaml") -> Reading:
    document, problems = parse(name, text.encode() if isinstance(text, str) else text)
    assert not problems, problems
    return kubernetes.read(document, AROUND)


def recorded(name: str) -> Reading:
    return read((DATA / name).read_bytes(), name)


def pod(container: str = "", spec: str = "", metadata: str = "") -> Reading:
    """Read a Pod with lines of its single container (8 spaces deep), of its spec (2) and of its metadata (2)."""
    return read(
        f"apiVersion: v1\nkind: Pod\nmetadata:\n  name: p\n{metadata}spec:\n{spec}  containers:\n"
        f"    - name: c\n      image: i\n{container}"
    )


def table(reading: Reading) -> Facts:
    assert len(reading.workloads) == 1, reading
    return reading.workloads[0].facts


def one(reading: Reading, fact: Fact[Any]) -> Any:
    """Return the value; for an absent fact its reason."""
    entry = table(reading).table[fact]
    return entry.value if isinstance(entry, Seen) else entry


def quiet(reading: Reading) -> Reading:
    assert not reading.problems, reading.problems
    return reading


def by_name(reading: Reading) -> dict[str, Described]:
    return {described.workload.name: described for described in reading.workloads}


# --- scalars -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *((text, True) for text in ("y", "Y", "yes", "Yes", "YES", "on", "On", "ON", "true", "True", "TRUE")),
        *((text, False) for text in ("n", "N", "no", "No", "NO", "off", "Off", "OFF", "false", "False", "FALSE")),
        *((text, None) for text in ("", "~", "null", "Null", "NULL")),
        *((text, text) for text in ("yEs", "oN", "tRue", "nULL", "t", "f", "_1", "0x", "0o8", "0b2", "1e400")),
        *((text, text) for text in ("-", "+", ".")),
        *((text, text) for text in ("2001-01-01", "1:30", "12:30:45", "0x1p3", "1.5.2", "v1", "10.0.0.1", "1" * 90)),
        ("0", 0), ("00", 0), ("0o0", 0), ("0x0", 0), ("0b0", 0), ("-0", 0), ("+0", 0), ("0_0", 0), ("0e0", 0),
        (".0", 0), ("0.", 0), ("-0.0", 0),
        ("010", 8), ("0o10", 8), ("0O10", 8), ("08", 8), ("09.5", 9.5), ("0x1F", 31), ("0XfF", 255), ("0b101", 5),
        ("-0b11", -3),
        ("1_000", 1000), ("+5", 5), ("1e3", 1000), ("1.0", 1), ("1.5", 1.5), ("-.5", -0.5), ("9" * 30, int("9" * 30)),
        (".inf", float("inf")), ("-.INF", float("-inf")),
    ],
)  # fmt: skip
def test_plain_scalars_mean_what_they_mean_to_go_yaml(text: str, value: object) -> None:
    found = scalars.meaning(Scalar(text))
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("scalar", "value"),
    [
        (Scalar("yes", plain=False), "yes"),
        (Scalar("yes", tag="!!str"), "yes"),
        (Scalar("yes", plain=False, tag="!!bool"), True),
        (Scalar("7", plain=False, tag="!!int"), 7),
        (Scalar("7", tag="!!float"), 7),
        (Scalar("yes", tag="!!int"), "yes"),
        (Scalar("1", tag="!custom"), "1"),
        (Scalar("on", value="on", typed=True), "on"),
        (Scalar("1.0", value=1.0, typed=True), 1),
        (Scalar("null", value=None, typed=True), None),
    ],
)
def test_tags_quotes_and_json(scalar: Scalar, value: object) -> None:
    assert scalars.meaning(scalar) == value


@given(st.text(alphabet="0123456789abcdefxXoO_+-.eEinfNy~", max_size=12))
def test_no_scalar_makes_it_fail(text: str) -> None:
    assert isinstance(scalars.meaning(Scalar(text)), bool | int | float | str | None)


@pytest.mark.parametrize("text", ["yes", "on", "y", "True", "TRUE", "true", "!!bool 'on'"])
def test_what_is_true_to_kubectl_is_true(text: str) -> None:
    reading = pod(f"      securityContext: {{privileged: {text}}}\n", f"  hostPID: {text}\n")
    assert one(reading, declared.PRIVILEGED) is True
    assert one(reading, declared.NAMESPACES) == Members.of("pid")
    expected = 0 if text.lower() == "true" else 2
    assert len(reading.problems) == expected, "an ambiguous spelling is told"


def test_an_ambiguous_scalar_is_told_with_its_line() -> None:
    reading = pod("      securityContext:\n        runAsUser: 0o0\n        privileged: yes\n")
    place, end = "/spec/containers/0/securityContext", "; other YAML programs may read it otherwise"
    assert [(problem.line, problem.what) for problem in reading.problems] == [
        (11, f"{place}/privileged: kubectl reads 'yes' as true{end}"),
        (10, f"{place}/runAsUser: kubectl reads '0o0' as 0{end}"),
    ]
    assert {problem.where for problem in reading.problems} == {"pod.yaml:10", "pod.yaml:11"}
    assert one(reading, declared.USER) == "0"


@pytest.mark.parametrize(
    "text", ["'true'", '"yes"', "1", "0", "maybe", "[]", "{}", "[true]", "!!str true", "2001-01-01"]
)
def test_a_boolean_of_another_type_is_unknown_not_no(text: str) -> None:
    reading = pod(
        f"      tty: {text}\n      securityContext:\n        privileged: {text}\n        runAsNonRoot: {text}\n"
        f"        readOnlyRootFilesystem: {text}\n        allowPrivilegeEscalation: {text}\n",
        f"  hostNetwork: {text}\n  hostUsers: {text}\n  automountServiceAccountToken: {text}\n",
    )
    for fact in (
        declared.PRIVILEGED, declared.RUN_AS_NON_ROOT, declared.READ_ONLY_ROOT, declared.NO_NEW_PRIVILEGES,
        declared.TERMINAL, declared.USER_NAMESPACE, declared.SERVICE_ACCOUNT_TOKEN,
    ):  # fmt: skip
        entry = one(reading, fact)
        assert isinstance(entry, Absent), fact
        assert entry.where is not None
        assert entry.where.line
    assert one(reading, declared.NAMESPACES) == Members(maybe=frozenset({"net"}))
    assert len(reading.problems) == 8
    assert all(problem.line and problem.next for problem in reading.problems)


@pytest.mark.parametrize("text", ["'0'", "root", "-1", "1.5", "true", "4294967296", "[0]"])
def test_a_user_of_another_type_is_unknown(text: str) -> None:
    reading = pod(f"      securityContext: {{runAsUser: {text}}}\n", "  securityContext: {runAsUser: 1000}\n")
    assert isinstance(one(reading, declared.USER), Absent), "the Pod's user does not step in for a broken one"
    assert reading.problems


def test_json_types_count() -> None:
    text = json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "p"},
            "spec": {"hostPID": "true", "hostIPC": True, "containers": [{"name": "on", "image": "yes"}]},
        },
        indent=1,
    )
    reading = read(text)
    assert one(reading, declared.NAMESPACES) == Members.of("ipc", maybe=["pid"])
    assert [problem.line for problem in reading.problems] == [8]
    assert reading.workloads[0].workload.name == "p/on"


def test_a_repeated_key_is_told_and_the_last_wins() -> None:
    reading = pod("      securityContext:\n        privileged: false\n        privileged: true\n")
    assert one(reading, declared.PRIVILEGED) is True
    assert [problem.line for problem in reading.problems] == [11]
    assert "twice" in reading.problems[0].what


def test_a_late_merge_key_wins_as_in_kubectl() -> None:
    text = "  x: &x {privileged: true}\n"
    reading = pod("      securityContext:\n        privileged: false\n        <<: *x\n", text)
    assert one(reading, declared.PRIVILEGED) is True
    assert reading.problems
    reading = pod("      securityContext:\n        <<: *x\n        privileged: false\n", text)
    assert one(reading, declared.PRIVILEGED) is False
    assert not reading.problems


# --- kinds -------------------------------------------------------------------------------------------------------


def test_every_kind_with_a_pod_is_read() -> None:
    reading = recorded("kinds.yaml")
    assert [(described.workload.name, described.workload.kind) for described in reading.workloads] == [
        ("run-*/c", "Pod"), ("rs/c", "ReplicaSet"), ("rc/c", "ReplicationController"), ("sts/c", "StatefulSet"),
        ("ds/c", "DaemonSet"), ("job/c", "Job"), ("cron/c", "CronJob"), ("pt/c", "PodTemplate"), ("in-list/c", "Pod"),
        ("in-pod-list/c", "Pod"), ("rollout/c", "Rollout"), ("knative/0", "Service"), ("jobset/c", "JobSet"),
        ("jobset/d", "JobSet"), ("volcano/c", "Job"),
    ]  # fmt: skip
    assert [problem.what.split(":")[0] for problem in reading.problems] == ["/spec/template/spec/containers/0"]
    assert {described.workload.image for described in reading.workloads} == {"i"}


def test_pointers_lead_to_the_container() -> None:
    reading = recorded("kinds.yaml")
    places = [described.workload.source for described in reading.workloads]
    assert places[6] == Where("kinds.yaml", "/spec/jobTemplate/spec/template/spec/containers/0", 34)
    assert places[8] == Where("kinds.yaml", "/items/0/spec/containers/0", 47)
    assert places[13].pointer == "/spec/replicatedJobs/1/template/spec/template/spec/containers/0"


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("apiVersion: v1\nkind: Pod\n", True),
        ("apiVersion: example/v1\nkind: Anything\n", True),
        ("a: 1\n---\napiVersion: v1\nkind: Pod\n", True),
        ("kind: PodList\nmetadata: {}\nitems: []\n", True),
        ("services: {web: {image: x}}\n", False),
        ("- apiVersion: v1\n  kind: Pod\n", False),
        ("kind: Pod\n", False),
        ("kind: [Pod]\napiVersion: v1\n", False),
        ("ociVersion: 1.0.2\n", False),
        ("", False),
    ],
)
def test_what_is_recognised(text: str, answer: bool) -> None:
    assert kubernetes.recognises(parse("x", text.encode())[0]) is answer


def test_live_pods_bear_their_container_ids() -> None:
    reading = quiet(recorded("live_pod.json"))
    app, debugger = reading.workloads
    assert app.workload.name == "web/shop-5d9/app"
    assert app.workload.key == "0123456789abcdef" * 4
    assert app.workload.source == Where("live_pod.json", "/spec/containers/0", 11)
    assert (debugger.workload.kind, debugger.workload.key) == ("Pod (ephemeral container)", "")
    assert app.facts.seen(declared.PRIVILEGED) == Seen(
        True, Where("live_pod.json", "/spec/containers/0/securityContext/privileged", 15)
    )
    assert app.facts.value(declared.SERVICE_ACCOUNT_TOKEN) is True
    assert debugger.facts.value(declared.SERVICE_ACCOUNT_TOKEN) is False
    assert debugger.facts.value(declared.CAPABILITIES_ADDED) == ("SYS_PTRACE",)
    for described in reading.workloads:
        assert described.facts.value(declared.NAMESPACES) == Members.of("net", maybe=["uts"])


def test_roles() -> None:
    kinds = {name: described.workload.kind for name, described in by_name(recorded("combination.yaml")).items()}
    assert kinds == {
        "web/shop/first": "Deployment",
        "web/shop/second": "Deployment",
        "web/shop/third": "Deployment",
        "web/shop/prepare": "Deployment (init container)",
        "web/shop/proxy": "Deployment (sidecar container)",
    }


# --- what a Pod asks for -----------------------------------------------------------------------------------------


def test_a_pod_that_asks_for_nothing() -> None:
    facts = table(quiet(pod()))
    values = {fact: entry.value for fact, entry in facts.table.items() if isinstance(entry, Seen)}
    assert values == {
        declared.ENGINE: "cri",
        declared.RUNTIME: "default",
        declared.CONTAINER_OS: "linux",
        declared.PRIVILEGED: False,
        declared.RUN_AS_NON_ROOT: False,
        declared.READ_ONLY_ROOT: False,
        declared.NO_NEW_PRIVILEGES: False,
        declared.GROUPS: (),
        declared.CAPABILITIES_ADDED: (),
        declared.CAPABILITIES_DROPPED: (),
        declared.SECCOMP: "default",
        declared.APPARMOR: "default",
        declared.SELINUX: (),
        declared.SYSTEM_PATHS: "default",
        declared.NAMESPACES: Members(),
        declared.USER_NAMESPACE: "host",
        declared.USER_BY_IMAGE: True,
        declared.MOUNTS: (),
        declared.DEVICES: (),
        declared.DEVICE_RULES: (),
        declared.SYSCTLS: (),
        declared.SERVICE_ACCOUNT: "default",
        declared.SERVICE_ACCOUNT_TOKEN: True,
        declared.TERMINAL: False,
    }
    assert facts.absent(declared.USER) == Absent(
        "the image decides which user it is", Where("pod.yaml", "/spec/containers/0", 7)
    )
    for entry in facts.table.values():
        assert entry.where == Where("pod.yaml", "/spec/containers/0", 7)
        assert isinstance(entry, Absent) or entry.note, "a default says why"


def test_contexts_combine_field_by_field() -> None:
    workloads = by_name(quiet(recorded("combination.yaml")))
    first, second, third = (workloads[f"web/shop/{name}"].facts for name in ("first", "second", "third"))
    assert [facts.value(declared.USER) for facts in (first, second, third)] == ["1000:3000", "0:3000", "1000:3000"]
    assert [facts.value(declared.RUN_AS_NON_ROOT) for facts in (first, second, third)] == [True, False, True]
    assert [facts.value(declared.SECCOMP) for facts in (first, second, third)] == [
        "runtime/default", "localhost:profiles/own.json", "unconfined",
    ]  # fmt: skip
    assert [facts.value(declared.APPARMOR) for facts in (first, second, third)] == ["tight", "unconfined", "other"]
    assert first.value(declared.SELINUX) == ("type:spc_t", "level:s0:c1,c2")
    assert second.value(declared.SELINUX) == ("level:s0:c9",), "the whole structure is replaced"
    assert second.value(declared.CAPABILITIES_ADDED) == ("NET_BIND_SERVICE", "SYS_PTRACE")
    assert second.value(declared.CAPABILITIES_DROPPED) == ("ALL",)
    assert second.value(declared.NO_NEW_PRIVILEGES) is True
    assert second.value(declared.SYSTEM_PATHS) == "unconfined"
    assert second.value(declared.READ_ONLY_ROOT) is True
    assert second.value(declared.TERMINAL) is True
    proxy = workloads["web/shop/proxy"].facts
    assert proxy.value(declared.APPARMOR) == "default"
    for facts in (first, second, third, proxy):
        assert facts.value(declared.GROUPS) == ("4000", "5000", "2000")
        assert facts.value(declared.SYSCTLS) == (("kernel.shm_rmid_forced", "1"),)
        assert facts.value(declared.NAMESPACES) == Members.of("ipc")
        assert facts.value(declared.USER_NAMESPACE) == "private"
        assert facts.value(declared.RUNTIME) == "gvisor"
        assert facts.value(declared.SERVICE_ACCOUNT) == "web/robot"
        assert facts.value(declared.SERVICE_ACCOUNT_TOKEN) is False


def test_every_place_is_the_line_of_its_key() -> None:
    lines = (DATA / "combination.yaml").read_text().splitlines()
    second = by_name(recorded("combination.yaml"))["web/shop/second"].facts
    for fact, words in (
        (declared.PRIVILEGED, "privileged: false"),
        (declared.USER, "runAsUser: 0"),
        (declared.SECCOMP, "localhostProfile: profiles/own.json"),
        (declared.SYSTEM_PATHS, "procMount: Unmasked"),
        (declared.NO_NEW_PRIVILEGES, "allowPrivilegeEscalation: false"),
        (declared.USER_NAMESPACE, "hostUsers: false"),
        (declared.RUNTIME, "runtimeClassName: gvisor"),
        (declared.APPARMOR, "second: unconfined"),
        (declared.SYSCTLS, "sysctls:"),
        (declared.CAPABILITIES_ADDED, "add:"),
    ):
        seen = second.seen(fact)
        assert seen is not None
        assert words in lines[seen.where.line - 1]
    added = second.seen(declared.CAPABILITIES_ADDED)
    assert added is not None
    place = added.parts["SYS_PTRACE"]
    assert place.pointer == "/spec/template/spec/containers/1/securityContext/capabilities/add/1"
    assert lines[place.line - 1].strip() == "- SYS_PTRACE"
    namespaces = second.seen(declared.NAMESPACES)
    assert namespaces is not None
    assert lines[namespaces.parts["ipc"].line - 1].strip() == "hostIPC: true"
    apparmor = second.seen(declared.APPARMOR)
    assert apparmor is not None
    assert apparmor.where.pointer.endswith("/annotations/container.apparmor.security.beta.kubernetes.io~1second")


@pytest.mark.parametrize("key", ["privileged: true", "capabilities: {add: [CAP_SYS_ADMIN]}"])
def test_escalation_cannot_be_switched_off_for_these(key: str) -> None:
    reading = pod(f"      securityContext:\n        allowPrivilegeEscalation: false\n        {key}\n")
    assert one(reading, declared.NO_NEW_PRIVILEGES) is False
    assert "API server refuses" in reading.problems[0].what


def test_sys_admin_without_prefix_does_not_force_escalation() -> None:
    text = "      securityContext: {allowPrivilegeEscalation: false, capabilities: {add: [SYS_ADMIN]}}\n"
    assert one(quiet(pod(text)), declared.NO_NEW_PRIVILEGES) is True


@pytest.mark.parametrize(
    ("profile", "value"),
    [
        ("{type: RuntimeDefault}", "runtime/default"),
        ("{type: Unconfined}", "unconfined"),
        ("{type: Localhost, localhostProfile: a/b.json}", "localhost:a/b.json"),
        ("{type: Localhost}", None),
        ("{type: runtime/default}", None),
        ("{type: yes}", None),
        ("{}", None),
        ("[]", None),
        ("RuntimeDefault", None),
    ],
)
def test_seccomp_profiles(profile: str, value: str | None) -> None:
    reading = pod(
        f"      securityContext: {{seccompProfile: {profile}}}\n",
        "  securityContext: {seccompProfile: {type: RuntimeDefault}}\n",
    )
    found = one(reading, declared.SECCOMP)
    assert found == value or (value is None and isinstance(found, Absent))
    assert bool(reading.problems) is (value is None)


@pytest.mark.parametrize(
    ("annotation", "value"),
    [("unconfined", "unconfined"), ("runtime/default", None), ("docker/default", None), ("localhost/x.json", None)],
)
def test_seccomp_annotations_do_not_protect_any_more(annotation: str, value: str | None) -> None:
    for key in ("seccomp.security.alpha.kubernetes.io/pod", "container.seccomp.security.alpha.kubernetes.io/c"):
        reading = pod(metadata=f"  annotations:\n    {key}: {annotation}\n")
        found = one(reading, declared.SECCOMP)
        assert found == value or (value is None and isinstance(found, Absent))
        assert "1.27" in reading.problems[0].what
        reading = pod(
            "      securityContext: {seccompProfile: {type: RuntimeDefault}}\n",
            metadata=f"  annotations:\n    {key}: {annotation}\n",
        )
        assert one(quiet(reading), declared.SECCOMP) == "runtime/default"


def test_an_apparmor_annotation_of_another_container_does_not_count() -> None:
    text = "  annotations:\n    container.apparmor.security.beta.kubernetes.io/d: unconfined\n"
    assert one(quiet(pod(metadata=text)), declared.APPARMOR) == "default"
    reading = pod(metadata=text.replace("/d: unconfined", "/c: nonsense"))
    assert isinstance(one(reading, declared.APPARMOR), Absent)
    assert reading.problems


@pytest.mark.parametrize(
    ("spec", "value"),
    [
        ("  os: {name: windows}\n", "windows"),
        ("  nodeSelector: {kubernetes.io/os: windows}\n", "windows"),
        ("  os: {name: linux}\n  nodeSelector: {kubernetes.io/os: windows}\n", "linux"),
    ],
)
def test_the_system(spec: str, value: str) -> None:
    assert one(quiet(pod(spec=spec)), declared.CONTAINER_OS) == value


def test_a_shared_process_namespace_is_not_the_hosts() -> None:
    assert one(quiet(pod(spec="  shareProcessNamespace: true\n")), declared.NAMESPACES) == Members()


# --- volumes -----------------------------------------------------------------------------------------------------


def test_volumes() -> None:
    reading = quiet(recorded("volumes.yaml"))
    app, beside = reading.workloads
    bind, volume = "bind", "volume"
    assert app.facts.value(declared.MOUNTS) == (
        Mount(bind, "/var/run/docker.sock", "/var/run/docker.sock"),
        Mount(bind, "/var/log/", "/logs", read_only=True, options=frozenset({"rro"})),
        Mount(bind, "/var/log/containers", "/sub"),
        Mount(bind, "/var/log/pods/x", "/known"),
        Mount(bind, "", "/open"),
        Mount(bind, "/mnt", "/shared", propagation="rshared"),
        Mount(bind, "/mnt", "/slave", propagation="rslave"),
        Mount("claim", "data", "/claim", read_only=True, options=frozenset({"subpath:deep"})),
        Mount("claim", "*-own", "/own"),
        Mount(volume, "scratch", "/scratch"),
        Mount("tmpfs", "memory", "/dev/shm"),
        Mount("projected", "settings", "/settings", read_only=True),
        Mount("projected", "token", "/token", read_only=True),
        Mount(volume, "network", "/network", options=frozenset({"nfs"})),
        Mount(
            volume, "inline", "/inline", read_only=True, options=frozenset({"csi", "driver:secrets-store.csi.k8s.io"})
        ),
        Mount(volume, "source", "/source", options=frozenset({"gitRepo"})),
        Mount(volume, "model", "/model", read_only=True, options=frozenset({"image"})),
        Mount(volume, "flex", "/flex", options=frozenset({"flexVolume", "driver:example/lvm"})),
        Mount(volume, "bare", "/bare"),
    )
    devices = app.facts.value(declared.DEVICES)
    assert devices is not None
    assert devices[0] == Device("claim:disk", "/dev/xvda")
    assert {device.source for device in devices[1:]} >= {"/dev/nvidia0", "/dev/nvidiactl"}
    assert app.facts.value(declared.SERVICE_ACCOUNT_TOKEN) is True
    assert beside.facts.value(declared.MOUNTS) == (), "a volume that is not mounted reaches nobody"
    assert beside.facts.value(declared.DEVICES) == ()


def test_each_mount_has_its_line() -> None:
    lines = (DATA / "volumes.yaml").read_text().splitlines()
    seen = recorded("volumes.yaml").workloads[0].facts.seen(declared.MOUNTS)
    assert seen is not None
    for mount in seen.value:
        line = lines[seen.parts[mount].line - 1]
        assert f"mountPath: {mount.target}" in line
    assert seen.parts[seen.value[0]].pointer == "/spec/containers/0/volumeMounts/0"


@pytest.mark.parametrize(
    ("volume", "mount"),
    [
        ("hostPath: /x", "{name: v, mountPath: /m}"),
        ("hostPath: {}", "{name: v, mountPath: /m}"),
        ("hostPath: {path: 5}", "{name: v, mountPath: /m}"),
        ("hostPaht: {path: /x}", "{name: v, mountPath: /m}"),
        ("hostPath: {path: /x}", "{name: w, mountPath: /m}"),
        ("hostPath: {path: /x}", "{mountPath: /m}"),
        ("hostPath: {path: /x}", "v"),
        ("configMap: [x]", "{name: v, mountPath: /m}"),
        ("secret: x", "{name: v, mountPath: /m}"),
    ],
)
def test_a_mount_that_is_not_understood_may_be_anything(volume: str, mount: str) -> None:
    reading = pod(f"      volumeMounts: [{mount}]\n", f"  volumes:\n    - name: v\n      {volume}\n")
    (found,) = one(reading, declared.MOUNTS)
    assert found.kind == "bind"
    assert not found.source.startswith("/")
    assert reading.problems
    assert all(problem.line for problem in reading.problems)


def test_of_two_kinds_the_host_path_counts() -> None:
    reading = pod(
        "      volumeMounts: [{name: v, mountPath: /m, readOnly: 'true', mountPropagation: Shared}]\n",
        "  volumes: [{name: v, emptyDir: {}, hostPath: {path: /etc}}]\n",
    )
    assert one(reading, declared.MOUNTS) == (Mount("bind", "/etc", "/m", propagation="rshared"),)
    assert len(reading.problems) == 3


def test_a_volume_of_a_null_kind_is_an_empty_directory() -> None:
    reading = pod("      volumeMounts: [{name: v, mountPath: /m}]\n", "  volumes: [{name: v, hostPath: null}]\n")
    assert one(quiet(reading), declared.MOUNTS) == (Mount("volume", "v", "/m"),)


def test_a_volume_over_the_token_hides_it() -> None:
    mount = "      volumeMounts: [{name: v, mountPath: /var/run/secrets/kubernetes.io/serviceaccount/}]\n"
    assert one(quiet(pod(mount, "  volumes: [{name: v, emptyDir: {}}]\n")), declared.SERVICE_ACCOUNT_TOKEN) is False


# --- other objects -----------------------------------------------------------------------------------------------


def _check_claims(reader: Facts, database: Facts) -> None:
    host, remote = frozenset({"host"}), frozenset({"remote"})
    assert reader.value(declared.MOUNTS) == (
        Mount("claim", "web/task", "/task", options=host | {"subpath:inner"}),
        Mount("bind", "/mnt/data/inner", "/task"),
        Mount("claim", "web/named", "/named", read_only=True, options=host),
        Mount("bind", "/srv/disk", "/named", read_only=True),
        Mount("claim", "web/reserved", "/reserved", options=host),
        Mount("bind", "/etc", "/reserved"),
        Mount("claim", "web/remote", "/remote", options=remote),
        Mount("claim", "web/somewhere", "/unknown"),
    )
    assert database.value(declared.MOUNTS) == (
        Mount("claim", "web/data-db-*", "/data", options=host),
        Mount("bind", "/var/lib/set", "/data"),
    )
    assert reader.value(declared.RUNTIME) == "runsc"
    assert reader.value(declared.SERVICE_ACCOUNT_TOKEN) is False
    assert database.value(declared.SERVICE_ACCOUNT_TOKEN) is True
    seen = reader.seen(declared.MOUNTS)
    assert seen is not None
    assert seen.parts[seen.value[1]].pointer == "/spec/containers/0/volumeMounts/0"
    assert "by-class (hostPath, " in seen.note


def test_what_stands_behind_claims_in_one_file() -> None:
    reader, database = quiet(recorded("claims.yaml")).workloads
    _check_claims(reader.facts, database.facts)


@pytest.mark.parametrize("backwards", [False, True])
def test_what_stands_behind_claims_in_many_files(backwards: bool) -> None:
    text = (DATA / "claims.yaml").read_text()
    readings = [quiet(read(part, f"{index}.yaml")) for index, part in enumerate(text.split("---\n"))]
    found = [described for reading in readings for described in reading.workloads]
    assert all(kubernetes.waits(described) for described in found)
    shared = [reading.shared for reading in readings]
    join = kubernetes.others(reversed(shared) if backwards else shared)
    done = [join(described) for described in found]
    _check_claims(done[0].facts, done[1].facts)
    assert [join(described) for described in done] == done, "joining twice changes nothing"


def test_a_claim_of_another_namespace_is_another_claim() -> None:
    volume = (
        "apiVersion: v1\nkind: PersistentVolume\nmetadata: {name: v}\n"
        "spec: {hostPath: {path: /}, claimRef: {namespace: %s, name: c}}\n---\n"
    )
    rest = (
        "apiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: web}\nspec:\n  containers: [{name: c, image: i, "
        "volumeMounts: [{name: v, mountPath: /m}]}]\n  volumes: [{name: v, persistentVolumeClaim: {claimName: c}}]\n"
    )
    assert len(one(read(volume % "other" + rest), declared.MOUNTS)) == 1
    assert len(one(read(volume % "web" + rest), declared.MOUNTS)) == 2


@pytest.mark.parametrize(
    ("claim", "found"),
    [
        ("storageClassName: manual", True),
        ("storageClassName: manual, resources: {requests: {storage: 20Gi}}", False),
        ("storageClassName: manual, resources: {requests: {storage: 10G}}", True),
        ("storageClassName: manual, accessModes: [ReadWriteMany]", False),
        ("storageClassName: manual, selector: {matchLabels: {disk: fast}}", True),
        ("storageClassName: manual, selector: {matchLabels: {disk: slow}}", False),
        ("storageClassName: other", False),
        ("storageClassName: ''", False),
        ("accessModes: [ReadWriteOnce]", False),
    ],
)
def test_a_volume_that_fits_a_claim(claim: str, found: bool) -> None:
    reading = read(
        "apiVersion: v1\nkind: PersistentVolume\nmetadata: {name: v, labels: {disk: fast}}\n"
        "spec: {storageClassName: manual, capacity: {storage: 10Gi}, accessModes: [ReadWriteOnce], "
        "hostPath: {path: /}}\n---\n"
        f"apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {{name: c}}\nspec: {{{claim}}}\n---\n"
        "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n  containers: [{name: c, image: i, volumeDevices: "
        "[{name: v, devicePath: /dev/x}]}]\n  volumes: [{name: v, persistentVolumeClaim: {claimName: c}}]\n"
    )
    assert one(reading, declared.DEVICES) == (Device("/" if found else "claim:c", "/dev/x"),)


def test_many_claims_and_volumes_take_bounded_time() -> None:
    volumes = "".join(
        f"- {{apiVersion: v1, kind: PersistentVolume, metadata: {{name: v{n}}}, "
        "spec: {storageClassName: c, hostPath: {path: /}}}\n"
        for n in range(3000)
    )
    claims = "".join(
        f"- {{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {{name: c{n}}}, "
        "spec: {storageClassName: c, resources: {requests: {storage: 1Gi}}}}\n"
        for n in range(3000)
    )
    listed = ", ".join(f"{{name: v{n}, persistentVolumeClaim: {{claimName: c{n}}}}}" for n in range(3000))
    mounted = ", ".join(f"{{name: v{n}, mountPath: /{n}}}" for n in range(3000))
    pod_text = f"- {_HEAD}spec: {{containers: [{{name: c, volumeMounts: [{mounted}]}}], volumes: [{listed}]}}\n"
    text = "apiVersion: v1\nkind: List\nitems:\n" + volumes + claims + pod_text.strip().replace("\n", "\n  ") + "\n"
    started = time.process_time()
    assert all(mount.kind == "claim" for mount in one(read(text), declared.MOUNTS))
    assert time.process_time() - started < 20


@pytest.mark.parametrize(
    ("resources", "sources"),
    [
        ("limits: {cpu: 1, memory: 1Gi, ephemeral-storage: 1Gi, vpc.amazonaws.com/pod-eni: 1}", []),
        ("limits: {amd.com/gpu: 0}", []),
        ("limits: {devices.kubevirt.io/kvm: '1'}", ["/dev/kvm"]),
        ("limits: {smarter-devices/bus_usb: 1}, requests: {smarter-devices/bus_usb: 1}", ["/dev/bus/usb"]),
        ("requests: {github.com/fuse: 1}", ["/dev/fuse"]),
        ("limits: {vendor.example/thing: 1}", ["vendor.example/thing"]),
        ("claims: [{name: gpu}]", ["resourceclaim/gpu"]),
    ],
)
def test_devices_of_plugins(resources: str, sources: list[str]) -> None:
    found = one(quiet(pod(f"      resources: {{{resources}}}\n")), declared.DEVICES)
    assert [device.source for device in found] == sources


def test_waiting() -> None:
    assert not kubernetes.waits(pod().workloads[0])
    assert kubernetes.waits(pod(spec="  serviceAccountName: robot\n").workloads[0])
    assert kubernetes.waits(pod(spec="  runtimeClassName: kata\n").workloads[0])
    spec = "  serviceAccountName: robot\n  automountServiceAccountToken: false\n"
    assert not kubernetes.waits(pod(spec=spec).workloads[0])


# --- broken ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (_HEAD + "spec: []\n", 4),
        (_HEAD, 1),
        (_HEAD + "spec: {containers: {name: c}}\n", 4),
        (_HEAD + "spec: {containers: []}\n", 4),
        (_HEAD + "spec: {containers: [c, 1, [x]]}\n", 4),
        (_HEAD + "spec: {containers: null}\n", 4),
        ("kind: Pod\napiVersion: v1\nspec: {containers: [{name: c}]}\n", 1),
        ("kind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: c}]}\n", 1),
        ("apiVersion: v1\nkind: Pod\nmetadata: [p]\nspec: {containers: [{name: c}]}\n", 3),
        ("apiVersion: v1\nmetadata: {name: p}\nspec: {}\n", 1),
        ("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\nspec: {replicas: 1}\n", 4),
        ("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\nspec: {template: x}\n", 4),
        ("apiVersion: v1\nkind: List\nitems: {a: b}\n", 3),
        ("apiVersion: v1\nkind: List\nitems:\n- x\n", 4),
        (_HEAD + "spec: {volumes: x, containers: [{name: c}]}\n", 4),
        (_HEAD + "spec:\n  containers:\n  - image: i\n", 6),
        (_HEAD + "spec:\n  containers:\n  - name: c\n  - name: c\n", 7),
        (_HEAD + "spec:\n  containers:\n  - name: 5\n", 6),
        (_HEAD + "spec:\n  containers:\n  - name: c\n    volumeMounts: {name: x}\n", 7),
        (_HEAD + "spec:\n  securityContext: [x]\n  containers:\n  - name: c\n", 5),
    ],
)
def test_broken_manifests_are_told_with_their_line(text: str, line: int) -> None:
    reading = read(text)
    assert reading.problems
    assert line in {problem.line for problem in reading.problems}
    assert all(problem.where.startswith("pod.yaml") and problem.next for problem in reading.problems)


def test_a_broken_context_leaves_everything_it_decides_unknown() -> None:
    reading = pod("      securityContext: [privileged]\n")
    entries = table(reading).table
    broken = {fact for fact, entry in entries.items() if isinstance(entry, Absent)}
    assert broken == {
        declared.PRIVILEGED, declared.READ_ONLY_ROOT, declared.RUN_AS_NON_ROOT, declared.USER,
        declared.NO_NEW_PRIVILEGES, declared.CAPABILITIES_ADDED, declared.CAPABILITIES_DROPPED,
        declared.SECCOMP, declared.APPARMOR, declared.SELINUX, declared.SYSTEM_PATHS,
    }  # fmt: skip
    assert len(reading.problems) == 1


def test_a_broken_context_of_the_pod_leaves_only_its_own_fields_unknown() -> None:
    reading = pod("      securityContext: {runAsUser: 5}\n", "  securityContext: x\n")
    assert one(reading, declared.USER) == "5"
    assert one(reading, declared.PRIVILEGED) is False
    assert isinstance(one(reading, declared.RUN_AS_NON_ROOT), Absent)
    assert isinstance(one(reading, declared.SYSCTLS), Absent)
    assert len(reading.problems) == 1


@pytest.mark.parametrize("listed", ["add: NET_ADMIN", "add: {a: b}"])
def test_broken_capabilities_are_unknown(listed: str) -> None:
    reading = pod(f"      securityContext: {{capabilities: {{{listed}}}}}\n")
    assert isinstance(one(reading, declared.CAPABILITIES_ADDED), Absent)
    assert one(reading, declared.CAPABILITIES_DROPPED) == ()
    assert len(reading.problems) == 1


@pytest.mark.parametrize("broken", ["5", "[x]", "on", "{a: b}"])
def test_a_broken_capability_leaves_the_others_of_its_list(broken: str) -> None:
    reading = pod(f"      securityContext: {{capabilities: {{add: [NET_ADMIN, {broken}, SYS_TIME]}}}}\n")
    first, unread, last = one(reading, declared.CAPABILITIES_ADDED)
    assert (first, last) == ("NET_ADMIN", "SYS_TIME")
    assert unread.startswith("(")
    assert len(reading.problems) == 1


def test_a_user_that_is_written_wrongly_is_not_left_to_the_image() -> None:
    reading = pod("      securityContext: {runAsUser: '1000'}\n")
    assert isinstance(one(reading, declared.USER), Absent)
    assert declared.USER_BY_IMAGE not in reading.workloads[0].facts


def test_ten_thousand_containers() -> None:
    text = _HEAD + "spec:\n  containers:\n" + "".join(f"  - {{name: c{n}, image: i}}\n" for n in range(10_000))
    reading = quiet(read(text))
    assert len(reading.workloads) == 10_000
    assert reading.workloads[-1].workload.source.line == 10_005


def test_troubles_are_bounded() -> None:
    text = _HEAD + "spec:\n  containers:\n" + "  - x\n" * 5000
    problems = read(text).problems
    assert len(problems) == 501
    assert "more troubles" in problems[-1].what


def test_lists_within_lists() -> None:
    text = "{apiVersion: v1, kind: List, items: [" * 20 + "]}" * 20
    assert "within lists" in read(text).problems[0].what


# --- laws --------------------------------------------------------------------------------------------------------

_KEY_WORDS = """
apiVersion kind metadata spec template jobTemplate items name generateName namespace annotations containers
initContainers ephemeralContainers securityContext privileged runAsUser runAsGroup runAsNonRoot capabilities add drop
seccompProfile appArmorProfile type localhostProfile seLinuxOptions procMount allowPrivilegeEscalation sysctls value
supplementalGroups fsGroup volumes hostPath path persistentVolumeClaim claimName emptyDir projected sources
serviceAccountToken csi driver volumeMounts mountPath subPath subPathExpr mountPropagation readOnly recursiveReadOnly
volumeDevices devicePath hostPID hostNetwork hostUsers os nodeSelector runtimeClassName serviceAccountName status
containerStatuses containerID resources limits nvidia.com/gpu env ephemeral volumeClaimTemplate volumeClaimTemplates
claimRef capacity storage accessModes selector matchLabels storageClassName volumeName handler x~/y
"""
_VALUE_WORDS = """
Pod Deployment CronJob List PodList PersistentVolume PersistentVolumeClaim StatefulSet ServiceAccount RuntimeClass
Rollout v1 apps/v1 yes true false 0 010 -1 ~ a /etc ../x $(X) Unconfined Localhost Always Memory windows
0o0 1e3 .inf runtime/default nvidia 10Gi {} 99999999999999999999
"""
_KEYS = st.sampled_from(_KEY_WORDS.split())
_WORDS = st.sampled_from(_VALUE_WORDS.split()) | st.text(max_size=5)
_TAGS = st.sampled_from(["", "", "", "!!str", "!!bool", "!!int", "!x"])
_SCALARS = st.builds(Scalar, _WORDS, st.just(3), st.booleans(), _TAGS) | (
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=3)).map(
        lambda value: Scalar(str(value), 2, False, "", value, True)
    )
)


def _mappings(inner: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    return st.builds(
        Mapping,
        st.dictionaries(_KEYS, inner, max_size=8),
        st.just(1),
        st.dictionaries(_KEYS, st.integers(1, 9), max_size=2),
        st.lists(st.tuples(_KEYS, st.integers(1, 9)), max_size=1),
        st.just(""),
        st.none() | st.dictionaries(_KEYS, inner, max_size=2),
    )


_TREES: st.SearchStrategy[Node] = st.recursive(
    _SCALARS,
    lambda inner: _mappings(inner) | st.builds(Sequence, st.lists(inner, max_size=3), st.just(1)),
    max_leaves=30,
)


def _whole(reading: Reading) -> None:
    """Check what holds for every reading."""
    assert isinstance(reading, Reading)
    for described in reading.workloads:
        assert described.workload.name
        assert described.workload.source.line
        for fact, entry in described.facts.table.items():
            if isinstance(entry, Seen):
                assert isinstance(entry.value, fact.kind), fact
                assert all(isinstance(place, Where) for place in entry.parts.values())
                hash(entry.value)
        kubernetes.waits(described)
        assert kubernetes.others((reading.shared,))(described) == described


@settings(max_examples=300)
@given(st.lists(_TREES, max_size=3))
def test_no_tree_makes_it_fail(trees: list[Node]) -> None:
    document = Document("x", roots=tuple(Cursor(tree, Where("x", "", 1)) for tree in trees))
    kubernetes.recognises(document)
    _whole(kubernetes.read(document, AROUND))


_SEEDS = [
    root.node
    for name in ("combination.yaml", "volumes.yaml", "claims.yaml", "live_pod.json")
    for root in parse(name, (DATA / name).read_bytes())[0].roots
]


@settings(max_examples=300)
@given(st.sampled_from(_SEEDS), st.data())
def test_no_damage_to_a_real_manifest_makes_it_fail(seed: Node, data: st.DataObject) -> None:
    """Replace one node, wherever it stands, by any tree."""

    def damaged(node: Node) -> Node:
        if isinstance(node, Mapping) and node.entries and data.draw(st.integers(0, 9)):
            key = data.draw(st.sampled_from(list(node.entries)))
            return Mapping({**node.entries, key: damaged(node.entries[key])}, node.line, node.key_lines)
        if isinstance(node, Sequence) and node.elements and data.draw(st.integers(0, 9)):
            index = data.draw(st.integers(0, len(node.elements) - 1))
            return Sequence([damaged(one) if n == index else one for n, one in enumerate(node.elements)], node.line)
        return data.draw(_TREES)

    document = Document("x", roots=(Cursor(damaged(seed), Where("x", "", 1)),))
    _whole(kubernetes.read(document, AROUND))


@pytest.mark.parametrize(
    "spec",
    [
        "templates: [{name: e, container: {image: x, securityContext: {privileged: true}}}]",
        "steps: [{name: s, image: x, volumeMounts: [{name: h, mountPath: /h}]}]",
        "image: x\n  securityContext: {privileged: true}",
    ],
)
def test_a_container_outside_of_a_pod_template_is_no_silence(spec: str) -> None:
    text = f"apiVersion: tekton.dev/v1\nkind: Task\nmetadata: {{name: w}}\nspec:\n  {spec}\n"
    reading = read(text)
    assert not reading.workloads
    assert ["not judged" in one.what for one in reading.problems] == [True]


def test_a_custom_resource_that_only_names_an_image_is_no_trouble() -> None:
    text = "apiVersion: x.io/v1\nkind: Thing\nmetadata: {name: w}\nspec: {image: x, replicas: 2}\n"
    assert not read(text).problems
