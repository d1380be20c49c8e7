"""Changes written into manifests: what is written is read back, and the other lines stay."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast.model.change import Change, Instead, with_, without
from holdfast.model.tree import Document
from holdfast.model.words import declared
from holdfast.model.words.declared import Mount
from holdfast.model.workload import Reading, Surroundings
from holdfast.model.written import Written
from holdfast.platforms import kubernetes
from writing_layout import Layout, Raw
from writing_made import Read, Tally, candidates, foreign_files, hold, own_files, parsed, same_but, together

NAME = "/srv/shop/web.yaml"


def reader(name: str = NAME) -> Read:
    """Return what reads a text as the program does."""

    def read(text: str) -> tuple[Document, Reading]:
        document = parsed(name, text)
        return document, kubernetes.read(document, Surroundings())

    return read


def written(text: str, workload: str, *changes: Change) -> Written:
    """Write changes into one container."""
    document, reading = reader()(text)
    described = next(one for one in reading.workloads if one.workload.name == workload)
    return kubernetes.write(text, document, described, changes)


def change(fact: Any, value: object) -> Change:
    return Change(fact, value, "a test")


# --- the law, over any manifest --------------------------------------------------------------------------------------

NAMES = st.lists(st.sampled_from(["SYS_ADMIN", "NET_ADMIN", "CAP_SYS_ADMIN", "ALL"]), min_size=1, unique=True)
PROFILE = st.sampled_from([
    {"type": "Unconfined"}, {"type": "RuntimeDefault"}, {"type": "Localhost", "localhostProfile": "p.json"},
])  # fmt: skip
LABELS = st.fixed_dictionaries({"type": st.just("spc_t")}, optional={"level": st.just("s0:c1,c2")})
CONTEXT = st.fixed_dictionaries(
    {},
    optional={
        "privileged": st.booleans(),
        "allowPrivilegeEscalation": st.booleans(),
        "readOnlyRootFilesystem": st.booleans(),
        "runAsNonRoot": st.booleans(),
        "runAsUser": st.sampled_from([0, 1000]),
        "runAsGroup": st.just(1000),
        "capabilities": st.fixed_dictionaries({}, optional={"add": NAMES | st.just([]), "drop": NAMES | st.none()}),
        "seccompProfile": PROFILE,
        "appArmorProfile": PROFILE,
        "procMount": st.sampled_from(["Default", "Unmasked"]),
        "seLinuxOptions": LABELS,
    },
)
POD_CONTEXT = st.fixed_dictionaries(
    {},
    optional={
        "runAsUser": st.just(1000),
        "runAsGroup": st.just(1000),
        "fsGroup": st.just(2000),
        "supplementalGroups": st.sampled_from([[5], [5, 6]]),
        "seccompProfile": PROFILE,
        "sysctls": st.just([{"name": "net.core.somaxconn", "value": "1024"}, {"name": "kernel.msgmax", "value": "1"}]),
        "seLinuxOptions": LABELS,
    },
)
VOLUMES: dict[str, Any] = {
    "root": {"hostPath": {"path": "/"}},
    "socket": {"hostPath": {"path": "/var/run/docker.sock", "type": "Socket"}},
    "data": {"persistentVolumeClaim": {"claimName": "data"}},
    "run": {"emptyDir": {}},
    "settings": {"configMap": {"name": "settings"}},
}
MOUNT = st.fixed_dictionaries(
    {"name": st.sampled_from(sorted(VOLUMES)), "mountPath": st.sampled_from(["/a", "/b", "/c", "/d"])},
    optional={"readOnly": st.booleans(), "mountPropagation": st.just("Bidirectional")},
)
CONTAINER = st.fixed_dictionaries(
    {"image": st.just("registry.example/app:1")},
    optional={
        "securityContext": CONTEXT | st.none() | st.just({}),
        "command": st.just(["sh", "-c", "x"]),
        "workingDir": st.just("/a\n# no comment\n"),
        "volumeMounts": st.lists(MOUNT, min_size=1, max_size=3, unique_by=lambda one: one["mountPath"]),
        "tty": st.booleans(),
        "args": st.just(["--privileged: true", "# no comment"]),
        "resources": st.just({"limits": {"memory": "128Mi"}}),
    },
)
SPEC = st.fixed_dictionaries(
    {"containers": st.lists(CONTAINER, min_size=1, max_size=2)},
    optional={
        "initContainers": st.lists(CONTAINER, min_size=1, max_size=1),
        "securityContext": POD_CONTEXT,
        "hostPID": st.booleans(),
        "hostNetwork": st.booleans(),
        "hostIPC": st.just(True),
        "hostUsers": st.booleans(),
        "runtimeClassName": st.just("kata"),
        "automountServiceAccountToken": st.booleans(),
    },
)


@st.composite
def manifests(draw: st.DrawFn) -> str:
    """Draw the text of a manifest with one or two objects."""
    texts: list[str] = []
    for number in range(draw(st.integers(1, 2))):
        spec: dict[str, Any] = draw(SPEC)
        shared = draw(st.sampled_from(["", "", "", "alias", "merge"]))
        used: list[str] = []
        for key in ("containers", "initContainers"):
            for index, body in enumerate(spec.get(key, [])):
                spec[key][index] = {"name": f"{key[0]}{index}", **body}
                used += [mount["name"] for mount in body.get("volumeMounts", [])]
        volumes = [
            {"name": name, **VOLUMES[name]} for name in dict.fromkeys([*used, draw(st.sampled_from(["root", "run"]))])
        ]
        spec["volumes"] = volumes
        pod: dict[str, Any] = {"metadata": {"labels": {"app": "x"}}, "spec": spec}
        if draw(st.booleans()):
            pod["metadata"]["annotations"] = {"container.apparmor.security.beta.kubernetes.io/c0": "unconfined"}
        tree: dict[str, Any] = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": f"d{number}"}}
        if shared and spec["containers"][0].get("securityContext"):
            first = spec["containers"][0]
            tree["metadata"]["x"] = {"&": "context", **first["securityContext"]}
            alias = Raw("*context")
            first["securityContext"] = alias if shared == "alias" else {"<<": alias, "runAsUser": 7}
        tree["spec"] = {"replicas": 1, "template": pod}
        texts.append(Layout.of(draw(st.integers(0, 2**32))).document(tree))
    if len(texts) == 1:
        return texts[0]
    bare = [text.removeprefix("\ufeff") for text in texts]
    first = bare[0] if bare[0].endswith("\n") else bare[0] + "\n"
    return first + ("" if bare[1].startswith("---") else "---\n") + bare[1]


@given(manifests())
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_what_is_written_is_read_back(text: str) -> None:
    hold(reader(), kubernetes.write, text, Tally(), kubernetes=True)


@given(manifests())
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_many_changes_are_written_at_once(text: str) -> None:
    read = reader()
    document, before = read(text)
    for index, described in enumerate(before.workloads):
        asked = together(candidates(described, kubernetes=True))
        done = kubernetes.write(text, document, described, asked)
        left = [one.change for one in done.left]
        same_but(read, text, done.text, before, index, [one for one in asked if one not in left], kubernetes=True)


# --- what it looks like ----------------------------------------------------------------------------------------------

POD = """\
apiVersion: v1
kind: Pod
metadata:
  name: p
spec:
  hostPID: true   # to see the node
  containers:
    - name: a
      image: a
      securityContext:
        privileged: true
      volumeMounts:
        - name: root
          mountPath: /host
        - {name: sock, mountPath: /var/run/docker.sock}
    - image: b
      name: b
      volumeMounts: [{name: sock, mountPath: /s}]
  volumes:
    # the whole node
    - name: root
      hostPath:
        path: /
    - name: sock
      hostPath: {path: /var/run/docker.sock}
"""
HARDENED = """\
apiVersion: v1
kind: Pod
metadata:
  name: p
spec:
  hostPID: false   # to see the node
  containers:
    - name: a
      image: a
      securityContext:
        privileged: false
        seccompProfile:
          type: RuntimeDefault
        capabilities:
          drop:
            - ALL
        runAsUser: 65532
        runAsGroup: 65532
        allowPrivilegeEscalation: false
      volumeMounts:
        - name: tmp
          mountPath: /tmp
    - image: b
      name: b
      volumeMounts: [{name: sock, mountPath: /s, readOnly: true}]
  volumes:
    # the whole node
    - name: sock
      hostPath: {path: /var/run/docker.sock}
    - name: tmp
      emptyDir:
        medium: Memory
  hostUsers: false
"""
SOCKET = Mount("bind", "/var/run/docker.sock", "/var/run/docker.sock")
OTHER = Mount("bind", "/var/run/docker.sock", "/s")


def test_a_file_stays_as_its_owner_wrote_it() -> None:
    done = written(
        POD,
        "p/a",
        change(declared.NO_NEW_PRIVILEGES, True),
        change(declared.PRIVILEGED, False),
        change(declared.USER_NAMESPACE, "private"),
        change(declared.NAMESPACES, without("pid")),
        change(declared.MOUNTS, without(Mount("bind", "/", "/host"))),
        change(declared.MOUNTS, without(SOCKET)),
        change(declared.MOUNTS, with_(Mount("tmpfs", "tmp", "/tmp"))),
        change(declared.SECCOMP, "runtime/default"),
        change(declared.CAPABILITIES_DROPPED, with_("ALL")),
        change(declared.USER, "65532:65532"),
    )
    assert not done.left
    done = written(
        done.text, "p/b", change(declared.MOUNTS, Instead(OTHER, Mount("bind", OTHER.source, "/s", read_only=True)))
    )
    assert not done.left
    lines = done.text.splitlines()
    assert sorted(lines) == sorted(HARDENED.splitlines())
    kept = [line for line in POD.splitlines() if line in lines]
    assert [line for line in lines if line in kept] == kept


def pod(context: str, container: str, *changes: Change) -> tuple[str, list[str]]:
    """Write into a Pod of one container; return what stands after its fixed lines."""
    head = "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n"
    text = f"{head}{context}  containers:\n  - name: a\n    image: a\n{container}"
    done = written(text, "p/a", *changes)
    return done.text.removeprefix(head).replace("  containers:\n  - name: a\n    image: a\n", "-\n"), [
        left.why for left in done.left
    ]


@pytest.mark.parametrize(
    ("context", "container", "asked", "expected"),
    [
        ("", "", change(declared.READ_ONLY_ROOT, True),
         "-\n    securityContext:\n      readOnlyRootFilesystem: true\n"),
        ("", "    securityContext: {}\n", change(declared.READ_ONLY_ROOT, True),
         "-\n    securityContext: {readOnlyRootFilesystem: true}\n"),
        ("", "    securityContext:\n      capabilities:\n        add: [A]\n",
         change(declared.CAPABILITIES_ADDED, without("A")), "-\n"),
        ("", "    securityContext: {seccompProfile: {type: Localhost, localhostProfile: p}}\n",
         change(declared.SECCOMP, "runtime/default"),
         "-\n    securityContext: {seccompProfile: {type: RuntimeDefault}}\n"),
        ("  securityContext: {runAsUser: 0}\n", "", change(declared.USER, "1:2"),
         "  securityContext: {runAsUser: 0}\n-\n    securityContext:\n      runAsUser: 1\n      runAsGroup: 2\n"),
        ("  securityContext: {seLinuxOptions: {type: spc_t}}\n", "",
         change(declared.SELINUX, without("type:spc_t")), "-\n"),
        ("", "", change(declared.RUNTIME, "gvisor"), "-\n  runtimeClassName: gvisor\n"),
        ("  runtimeClassName: kata\n", "", change(declared.RUNTIME, "default"), "-\n"),
        ("", "", change(declared.SERVICE_ACCOUNT_TOKEN, False), "-\n  automountServiceAccountToken: false\n"),
    ],
)  # fmt: skip
def test_one_change(context: str, container: str, asked: Change, expected: str) -> None:
    assert pod(context, container, asked) == (expected, [])


@pytest.mark.parametrize(
    ("context", "container", "asked", "why"),
    [
        ("", "    securityContext: {privileged: true}\n", change(declared.NO_NEW_PRIVILEGES, True), "API server"),
        ("  hostNetwork: true\n", "", change(declared.USER_NAMESPACE, "private"), "hostNetwork"),
        ("", "", change(declared.USER, "nobody"), "numbers"),
        ("", "", change(declared.DEVICE_RULES, ("a",)), "cannot be written"),
        ("", "    resources: {limits: {nvidia.com/gpu: 1}}\n", change(declared.DEVICES, ()), "plug-in"),
        ("", "", change(declared.MOUNTS, with_(Mount("bind", "/", "/x"))), "only empty directories"),
    ],
)
def test_what_cannot_be_written_is_handed_back_with_the_reason(
    context: str, container: str, asked: Change, why: str
) -> None:
    before = pod(context, container)[0]
    after, reasons = pod(context, container, asked)
    assert after == before
    assert len(reasons) == 1
    assert why in reasons[0]


def test_a_shared_security_context_is_merged_not_changed() -> None:
    text = (
        "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n  containers:\n"
        "  - name: a\n    image: a\n    securityContext: &context\n      privileged: true\n"
        "  - name: b\n    image: b\n    securityContext: *context  # the same\n"
    )
    done = written(text, "p/a", change(declared.PRIVILEGED, False))
    assert done.text == text
    assert "&context, which line 12 refers to" in done.left[0].why
    done = written(text, "p/b", change(declared.PRIVILEGED, False))
    assert done.text == text.replace("*context ", "{<<: *context, privileged: false} ")


def test_only_the_right_document_of_a_file_changes() -> None:
    document = (
        "apiVersion: v1\nkind: Pod\nmetadata: {name: %s}\nspec: {hostIPC: true, containers: [{name: a, image: a}]}\n"
    )
    text = "---\n".join(["# first\n", document % "x", document % "y", "broken: [\n"])
    done = written(text, "y/a", change(declared.NAMESPACES, without("ipc")))
    assert not done.left
    head, _, tail = text.rpartition("hostIPC: true")
    assert done.text == f"{head}hostIPC: false{tail}"


# --- files of other people -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", own_files(kubernetes.recognises), ids=lambda path: path.name)
def test_the_law_holds_for_a_file_of_the_repository(path: Path) -> None:
    tally = Tally()
    hold(reader(str(path)), kubernetes.write, path.read_bytes().decode(), tally, kubernetes=True)
    assert tally.written > tally.refused


def test_the_law_holds_for_files_of_other_people_where_there_are_some() -> None:
    tally = Tally()
    for path in (*own_files(kubernetes.recognises), *foreign_files(kubernetes.recognises)):
        hold(reader(str(path)), kubernetes.write, path.read_bytes().decode(), tally, kubernetes=True)
    assert tally.written > tally.refused
