"""Changes written into manifests: what is written is read back, and the other lines stay."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast.model.change import Change
from holdfast.model.tree import Document
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
        "capabilities": st.fixed_dictionaries({}, optional={"add": NAMES, "drop": NAMES}),
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
        "securityContext": CONTEXT | st.none(),
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


# --- files of other people -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", own_files(kubernetes.recognises), ids=lambda path: path.name)
def test_the_law_holds_for_a_file_of_the_repository(path: Path) -> None:
    tally = Tally()
    hold(reader(str(path)), kubernetes.write, path.read_bytes().decode(), tally, kubernetes=True)
    assert tally.written > tally.refused


def test_the_law_holds_for_files_of_other_people() -> None:
    paths = foreign_files(kubernetes.recognises)
    if not paths:
        pytest.skip("no such file lies beside the repository or in HOLDFAST_CORPUS")
    tally = Tally()
    for path in paths:
        hold(reader(str(path)), kubernetes.write, path.read_bytes().decode(), tally, kubernetes=True)
    assert tally.written > tally.refused
