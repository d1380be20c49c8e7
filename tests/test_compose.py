"""Compose files: what Compose v2 makes of them, as declared facts with their places."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.collect.parse import parse
from holdfast.model.errors import NotUnderstood
from holdfast.model.facts import Absent, Fact, Facts, Seen
from holdfast.model.place import Where
from holdfast.model.tree import Cursor, Document, Mapping, Node, Scalar, Sequence
from holdfast.model.truth import NO, UNKNOWN, YES, Truth
from holdfast.model.values import Members
from holdfast.model.words import declared
from holdfast.model.words.declared import Device, Mount
from holdfast.model.workload import Needs, Reading, Surroundings
from holdfast.platforms import compose
from holdfast.platforms._compose_interpolate import environment_file, interpolate

NAME = "/srv/shop/compose.yaml"
DATA = Path(__file__).parent / "data" / "compose"


def document(name: str, text: str) -> Document:
    parsed, problems = parse(name, text.encode())
    assert not problems, problems
    return parsed


def read(
    text: str,
    *,
    name: str = NAME,
    env: dict[str, str] | None = None,
    files: dict[str, str] | None = None,
    overlays: tuple[str, ...] = (),
    profiles: tuple[str, ...] | None = None,
) -> Reading:
    """Read as the program does: hand over what is asked for, until nothing is."""
    known: dict[str, Document | NotUnderstood | None] = {}
    later = tuple(document(f"/srv/shop/compose.{n}.yaml", body) for n, body in enumerate(overlays))
    for _ in range(12):
        try:
            return compose.read(document(name, text), Surroundings(known, later, env or {}, profiles))
        except Needs as needs:
            fresh = set(needs.names) - set(known)
            if not fresh:
                raise AssertionError("asked twice") from needs
            for wanted in needs.names:
                body = (files or {}).get(wanted)
                known[wanted] = None if body is None else document(wanted, body)
    raise AssertionError("it never stops asking")


def service(text: str, wanted: str = "web", **more: Any) -> Facts:
    reading = read(text, **more)
    assert not reading.problems, reading.problems
    return next(one.facts for one in reading.workloads if one.workload.name == wanted)


def one(fields: str, **more: Any) -> Facts:
    """Read one service with these fields, given at the indentation of a field."""
    body = "\n".join("    " + line for line in fields.strip("\n").splitlines())
    return service(f"services:\n  web:\n    image: nginx\n{body}\n", **more)


def mounts(facts: Facts) -> tuple[Mount, ...]:
    value = facts.value(declared.MOUNTS)
    assert value is not None
    return value


def reason(facts: Facts, fact: Fact[Any]) -> str:
    entry = facts.absent(fact)
    assert entry is not None, facts.table.get(fact)
    return entry.reason


# --- recognising ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text", "answer"),
    [
        ("a.yaml", "services: {web: {image: nginx}}", True),
        ("a.yaml", "services: {web: {build: .}}", True),
        ("docker-compose.override.yml", "services: {web: {labels: [a]}}", True),
        ("a.yaml", "services: {App\\Thing: {class: Foo}}", False),
        ("compose.yaml", "include: [other.yaml]", True),
        ("a.yaml", "include: [other.yaml]", False),
        ("docker-compose.yml", "web: {image: nginx}\ndb: {build: .}", True),
        ("values.yaml", "web: {image: nginx}\ndb: {build: .}", False),
        ("docker-compose.yml", "web: {image: nginx}\ndb: {replicas: 1}", False),
        ("a.yaml", "apiVersion: v1\nkind: Pod\nservices: {web: {image: nginx}}", False),
        (".gitlab-ci.yml", "image: x\nservices: [docker:dind]", False),
        ("a.yaml", "[1, 2]", False),
        ("compose.json", '{"services": {"web": {"image": "nginx"}}}', True),
    ],
)
def test_recognises(name: str, text: str, answer: bool) -> None:
    assert compose.recognises(document(name, text)) is answer


def test_an_empty_file_is_not_recognised() -> None:
    assert not compose.recognises(Document("compose.yaml"))


# --- the plain service ----------------------------------------------------------------------------------------------


def test_a_plain_service_answers_the_engine_defaults() -> None:
    facts = one("")
    assert facts.value(declared.ENGINE) == "docker"
    assert facts.value(declared.PRIVILEGED) is False
    assert facts.value(declared.CAPABILITIES_ADDED) == ()
    assert (
        facts.value(declared.SECCOMP)
        == facts.value(declared.APPARMOR)
        == facts.value(declared.SYSTEM_PATHS)
        == "default"
    )
    assert facts.value(declared.SELINUX) == ()
    assert facts.value(declared.USER_NAMESPACE) == facts.value(declared.RUNTIME) == "default"
    assert facts.value(declared.NETWORKS) == ("default",)
    assert facts.value(declared.MOUNTS) == facts.value(declared.DEVICES) == facts.value(declared.SYSCTLS) == ()
    assert facts.value(declared.NO_NEW_PRIVILEGES) is False
    assert facts.value(declared.CONTAINER_OS) == "linux"
    assert reason(facts, declared.USER) == "the image decides"
    namespaces = facts.value(declared.NAMESPACES)
    assert isinstance(namespaces, Members)
    assert [namespaces.has(name) for name in ("pid", "net", "ipc", "uts", "cgroup")] == [NO, NO, NO, NO, UNKNOWN]


def test_every_answer_has_a_place_in_the_file() -> None:
    reading = read((DATA / "monitoring.yaml").read_text(), name="m/compose.yaml")
    lines = (DATA / "monitoring.yaml").read_text().count("\n") + 1
    assert len(reading.workloads) == 4
    for described in reading.workloads:
        for entry in described.facts.table.values():
            assert entry.where is not None
            assert entry.where.document == "m/compose.yaml"
            assert 0 < entry.where.line <= lines


def test_a_stack_as_people_run_it() -> None:
    reading = read((DATA / "monitoring.yaml").read_text())
    assert not reading.problems
    by_name = {described.workload.name: described for described in reading.workloads}
    assert list(by_name) == ["node-exporter", "cadvisor", "portainer", "grafana"]
    exporter = by_name["node-exporter"]
    assert exporter.workload.image == "prom/node-exporter:v1.8.2"
    assert exporter.workload.kind == "compose service"
    assert exporter.workload.source == Where(NAME, "/services/node-exporter", 12)
    assert mounts(exporter.facts) == (Mount("bind", "/", "/host", True, "rslave"),)
    namespaces = exporter.facts.value(declared.NAMESPACES)
    assert namespaces is not None
    assert namespaces.has("pid") is namespaces.has("net") is YES
    assert by_name["cadvisor"].facts.value(declared.PRIVILEGED) is True
    assert by_name["cadvisor"].facts.value(declared.DEVICES) == (Device("/dev/kmsg", "/dev/kmsg"),)
    assert mounts(by_name["portainer"].facts)[0] == Mount("bind", "/var/run/docker.sock", "/var/run/docker.sock", True)
    assert by_name["portainer"].workload.labels == {"profiles": "admin"}
    grafana = by_name["grafana"].facts
    assert grafana.value(declared.READ_ONLY_ROOT) is True
    assert grafana.value(declared.CAPABILITIES_DROPPED) == ("ALL",)
    assert grafana.value(declared.NO_NEW_PRIVILEGES) is True
    assert grafana.value(declared.USER) == "472"


def test_parts_name_the_line_of_each_member() -> None:
    facts = one("cap_add:\n  - NET_ADMIN\n  - SYS_ADMIN\nvolumes:\n  - /etc:/e\n  - /var:/v")
    added = facts.seen(declared.CAPABILITIES_ADDED)
    assert added is not None
    assert added.parts["SYS_ADMIN"] == Where(NAME, "/services/web/cap_add/1", 6)
    mounted = facts.seen(declared.MOUNTS)
    assert mounted is not None
    assert mounted.parts[Mount("bind", "/var", "/v")].line == 9


# --- scalars --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("true", True), ("True", True), ("TRUE", True), ("false", False), ('"true"', True), ("'False'", False),
        ("yes", True), ("on", True), ("y", True), ("Off", False), ("no", False), ('"yes"', True), ("!!str true", True),
        ("${P:-on}", True), ("${P:-false}", False), ("null", False), ("", False), ("~", False),
    ],
)  # fmt: skip
def test_booleans_mean_what_compose_takes_them_for(written: str, value: bool) -> None:
    assert one(f"privileged: {written}").value(declared.PRIVILEGED) is value


@pytest.mark.parametrize("written", ["1", "0", '"1"', "maybe", "[true]", "{a: b}", '""', "1.5"])
def test_what_is_no_boolean_is_a_problem_and_no_answer(written: str) -> None:
    reading = read(f"services:\n  web:\n    image: nginx\n    privileged: {written}\n")
    facts = reading.workloads[0].facts
    assert isinstance(facts.table[declared.PRIVILEGED], Absent)
    assert [problem.line for problem in reading.problems] == [4]


@pytest.mark.parametrize(
    ("written", "user"),
    [("1000", "1000"), ('"0"', "0"), ("0:0", "0:0"), ("root", "root"), ("0x10", "16"), ("010", "8"), ("0o17", "15"),
     ("1_000", "1000"), ("node:${GID:-1000}", "node:1000")],
)  # fmt: skip
def test_a_user_is_text_however_it_is_written(written: str, user: str) -> None:
    assert one(f"user: {written}").value(declared.USER) == user


def test_a_key_that_stands_twice_has_no_answer() -> None:
    reading = read("services:\n  web:\n    image: a\n    privileged: true\n    privileged: false\n")
    assert "stands twice" in reason(reading.workloads[0].facts, declared.PRIVILEGED)
    assert [problem.line for problem in reading.problems] == [5]


def test_a_service_that_stands_twice_is_a_problem() -> None:
    reading = read("services:\n  web: {image: a, privileged: true}\n  web: {image: b}\n")
    assert "web" in reading.problems[0].what


@pytest.mark.parametrize(
    ("field", "fact"),
    [
        ("cap_add: SYS_ADMIN", declared.CAPABILITIES_ADDED),
        ("cap_add: {SYS_ADMIN: true}", declared.CAPABILITIES_ADDED),
        ("cap_add: [[SYS_ADMIN]]", declared.CAPABILITIES_ADDED),
        ("group_add: 0", declared.GROUPS),
        ("user: [0]", declared.USER),
        ("sysctls: 7", declared.SYSCTLS),
        ("security_opt: seccomp=unconfined", declared.SECCOMP),
        ("security_opt: {seccomp: unconfined}", declared.SECCOMP),
        ("userns_mode: [host]", declared.USER_NAMESPACE),
        ("runtime: {a: b}", declared.RUNTIME),
    ],
)
def test_a_value_of_the_wrong_kind_is_a_problem_and_no_answer(field: str, fact: Fact[Any]) -> None:
    reading = read(f"services:\n  web:\n    image: a\n    {field}\n")
    assert isinstance(reading.workloads[0].facts.table[fact], Absent)
    assert reading.problems
    assert reading.problems[0].line == 4


@pytest.mark.parametrize("field", ["volumes: /:/host", "volumes: [7]", "volumes: ['a:b:c:d']", "volumes: [[a]]"])
def test_a_volume_that_cannot_be_read_may_reach_anything(field: str) -> None:
    reading = read(f"services:\n  web:\n    image: a\n    {field}\n")
    assert not mounts(reading.workloads[0].facts)[0].source.startswith("/")
    assert reading.problems


# --- variables ------------------------------------------------------------------------------------------------------

ENV = {"SET": "x", "EMPTY": ""}


@pytest.mark.parametrize(
    ("text", "result", "unset"),
    [
        ("$SET", "x", []), ("${SET}", "x", []), ("a${SET}b", "axb", []), ("$SET.y", "x.y", []),
        ("$NONE", "", ["NONE"]), ("${NONE}", "", ["NONE"]),
        ("${NONE:-d}", "d", []), ("${NONE-d}", "d", []), ("${EMPTY:-d}", "d", []), ("${EMPTY-d}", "", []),
        ("${SET:-d}", "x", []), ("${SET:+d}", "d", []), ("${SET+d}", "d", []), ("${EMPTY:+d}", "", []),
        ("${EMPTY+d}", "d", []), ("${NONE+d}", "", []), ("${NONE:?why}", "", ["NONE"]), ("${EMPTY:?why}", "",
        ["EMPTY"]),
        ("${EMPTY?why}", "", []), ("${SET:?why}", "x", []), ("$$SET", "$SET", []), ("$${SET}", "${SET}", []),
        ("${NONE:-${SET}}", "x", []), ("${NONE:-${OTHER:-z}}", "z", []), ("${NONE:-${OTHER}}", "", ["OTHER"]),
        ("${NONE:-a:b}", "a:b", []), ("${NONE:-}", "", []), ("${NONE:-$SET/y}", "x/y", []), ("no variable",
        "no variable", []),
        ("${A:-b}${SET}", "bx", []), ("${NONE:-a-b?c+d}", "a-b?c+d", []),
    ],
)  # fmt: skip
def test_variables_are_replaced_as_compose_does(text: str, result: str, unset: list[str]) -> None:
    outcome = interpolate(text, ENV.get)
    assert (outcome.text, outcome.unset, outcome.error) == (result, unset, "")


@pytest.mark.parametrize(
    "text", ["$", "a$", "${", "${A", "${}", "$1", "${1A}", "${A!b}", "${A:=b}", "$-", "${NONE:-${B}"]
)
def test_what_compose_refuses_is_an_error(text: str) -> None:
    outcome = interpolate(text, ENV.get)
    assert outcome.error
    reading = read(f"services:\n  web:\n    image: a\n    user: '{text}'\n")
    assert reading.problems
    assert reading.problems[0].line == 4
    assert isinstance(reading.workloads[0].facts.table[declared.USER], Absent)


@pytest.mark.parametrize(
    ("field", "fact"),
    [
        ("privileged: ${VAR}", declared.PRIVILEGED),
        ("user: ${VAR}", declared.USER),
        ("cap_add: ['${VAR}']", declared.CAPABILITIES_ADDED),
        ("security_opt: ['seccomp=${VAR}']", declared.SECCOMP),
        ("security_opt: ['apparmor:${VAR}']", declared.APPARMOR),
        ("security_opt: ['$VAR']", declared.SELINUX),
        ("security_opt: ['$VAR']", declared.SYSTEM_PATHS),
        ("userns_mode: $VAR", declared.USER_NAMESPACE),
        ("runtime: $VAR", declared.RUNTIME),
        ("read_only: ${VAR:?set it}", declared.READ_ONLY_ROOT),
        ("sysctls: ['kernel.x=${VAR}']", declared.SYSCTLS),
        ("sysctls: {kernel.x: '${VAR}'}", declared.SYSCTLS),
    ],
)
def test_an_unset_variable_leaves_the_answer_absent_and_is_named(field: str, fact: Fact[Any]) -> None:
    facts = one(field)
    assert "VAR" in reason(facts, fact)


@pytest.mark.parametrize(
    ("key", "fact", "known"),
    [
        ("cap_add", declared.CAPABILITIES_ADDED, "SYS_ADMIN"),
        ("cap_drop", declared.CAPABILITIES_DROPPED, "MKNOD"),
        ("group_add", declared.GROUPS, "999"),
        ("device_cgroup_rules", declared.DEVICE_RULES, "b 8:* rwm"),
    ],
)
def test_an_unset_variable_leaves_the_other_elements_of_its_list(key: str, fact: Fact[Any], known: str) -> None:
    seen = one(f"{key}: ['{known}', '${{VAR}}']").seen(fact)
    assert seen is not None
    first, unread = seen.value
    assert first == known
    assert unread == "(${VAR}: the variable VAR is not set here)"
    assert seen.parts[unread].pointer == f"/services/web/{key}/1"


def test_the_image_decides_about_the_user_only_where_nothing_is_said() -> None:
    assert one("read_only: true").value(declared.USER_BY_IMAGE) is True
    assert declared.USER_BY_IMAGE not in one("user: $VAR")


@pytest.mark.parametrize(
    ("network", "shared"),
    [
        ("{external: true, name: host}", YES),
        ("{external: {name: host}}", YES),
        ("{external: true, name: '${VAR}'}", UNKNOWN),
        ("{external: true, name: proxy}", NO),
        ("{name: host}", NO),
        ("{external: false, name: host}", NO),
        ("{}", NO),
    ],
)
def test_the_engines_own_host_network_can_be_joined_under_another_name(network: str, shared: Truth) -> None:
    facts = service(f"services: {{web: {{image: x, networks: [out]}}}}\nnetworks: {{out: {network}}}\n")
    namespaces = facts.value(declared.NAMESPACES)
    assert namespaces is not None
    assert namespaces.has("net") is shared


def test_an_unset_variable_withholds_only_its_own_option() -> None:
    facts = one("security_opt: ['seccomp=${VAR}', 'no-new-privileges']")
    assert facts.value(declared.NO_NEW_PRIVILEGES) is True
    assert facts.value(declared.APPARMOR) == "default"
    assert isinstance(facts.table[declared.SECCOMP], Absent)


def test_a_namespace_of_an_unset_variable_may_be_the_hosts() -> None:
    namespaces = one("pid: $MODE\nipc: host").value(declared.NAMESPACES)
    assert namespaces is not None
    assert (namespaces.has("pid"), namespaces.has("ipc")) == (UNKNOWN, YES)


def test_the_environment_wins_over_the_env_file_and_both_over_the_default() -> None:
    text = "services:\n  web:\n    image: a\n    user: ${U:-1}\n    runtime: ${R:-runc}\n    ipc: ${I:-private}\n"
    facts = service(text, env={"U": "0"}, files={"/srv/shop/.env": "U=5\nR=runsc\n"})
    assert facts.value(declared.USER) == "0"
    assert facts.value(declared.RUNTIME) == "runsc"
    seen = facts.seen(declared.RUNTIME)
    assert seen is not None
    assert seen.where.line == 5


def test_a_default_is_noted() -> None:
    seen = one("user: ${APP_USER:-1000}").seen(declared.USER)
    assert seen is not None
    assert "APP_USER" in seen.note


def test_the_env_file_is_asked_for_only_where_it_can_answer() -> None:
    compose.read(document(NAME, "services: {web: {image: a, user: $U}}"), Surroundings(environment={"U": "1"}))
    compose.read(document(NAME, "services: {web: {image: a, environment: {X: $U}}}"), Surroundings())
    with pytest.raises(Needs) as caught:
        compose.read(document(NAME, "services: {web: {image: a, user: $U}}"), Surroundings())
    assert caught.value.names == ("/srv/shop/.env",)


def test_env_files_are_read_as_compose_does() -> None:
    text = (
        "# comment\nA=1\nexport B = two words  # why\nC='$A ${B}'\nD=\"$A-${B}\\n\"\nE: yaml\nF=\n"
        "G=a#b\nH=${X:-y}\nI=\"multi\nline\"\nJ='it'\nK\nL=end"
    )
    assert environment_file(text, {"Z": "z"}.get) == {
        "A": "1", "B": "two words", "C": "$A ${B}", "D": "1-two words\n", "E": "yaml", "F": "", "G": "a#b", "H": "y",
        "I": "multi\nline", "J": "it", "L": "end",
    }  # fmt: skip


def test_project_name_is_known_as_a_variable() -> None:
    assert mounts(one("volumes: ['/data/${COMPOSE_PROJECT_NAME}:/d']"))[0].source == "/data/shop"


# --- volumes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "mount"),
    [
        ("/etc:/e", Mount("bind", "/etc", "/e")),
        ("/etc:/e:ro", Mount("bind", "/etc", "/e", True)),
        ("/etc:/e:rw,z", Mount("bind", "/etc", "/e", False, "", frozenset({"z"}))),
        ("/mnt:/m:rshared", Mount("bind", "/mnt", "/m", False, "rshared")),
        ("/mnt:/m:ro,Z,rslave", Mount("bind", "/mnt", "/m", True, "rslave", frozenset({"Z"}))),
        ("./html:/h", Mount("bind", "/srv/shop/html", "/h")),
        (".:/app", Mount("bind", "/srv/shop", "/app")),
        ("../..:/up", Mount("bind", "/", "/up")),
        ("~/.aws:/a", Mount("bind", "/home/me/.aws", "/a")),
        ("~:/a", Mount("bind", "/home/me", "/a")),
        ("data:/d", Mount("volume", "data", "/d")),
        ("data:/d:ro", Mount("volume", "data", "/d", True)),
        ("/anonymous", Mount("volume", "", "/anonymous")),
        ("'C:\\data:/d'", Mount("bind", "C:\\data", "/d")),
        ("'C:/data:/d:ro'", Mount("bind", "C:/data", "/d", True)),
        ("'\\\\.\\pipe\\docker_engine:\\\\.\\pipe\\docker_engine'",
         Mount("bind", "\\\\.\\pipe\\docker_engine", "\\\\.\\pipe\\docker_engine")),
        ("${SRC:-/var}:/v:${MODE:-ro}", Mount("bind", "/var", "/v", True)),
        ("{type: bind, source: /etc, target: /e}", Mount("bind", "/etc", "/e")),
        ("{type: bind, source: ./x, target: /e, read_only: true, bind: {propagation: rshared, selinux: Z}}",
         Mount("bind", "/srv/shop/x", "/e", True, "rshared", frozenset({"Z"}))),
        ("{type: bind, source: /etc, target: /e, read_only: 'yes'}", Mount("bind", "/etc", "/e", True)),
        ("{type: volume, source: data, target: /d}", Mount("volume", "data", "/d")),
        ("{type: volume, target: /d}", Mount("volume", "", "/d")),
        ("{type: tmpfs, target: /t, tmpfs: {size: 1m}}", Mount("tmpfs", "", "/t")),
        ("{source: /etc, target: /e}", Mount("bind", "/etc", "/e")),
    ],
)  # fmt: skip
def test_volumes_in_short_and_long_syntax(written: str, mount: Mount) -> None:
    assert mounts(one(f"volumes:\n  - {written}", env={"HOME": "/home/me"})) == (mount,)


@pytest.mark.parametrize(
    ("written", "target", "read_only"),
    [
        ("${DATA}:/d", "/d", False),
        ("${DATA}:/d:ro", "/d", True),
        ("/var/lib/${DATA}:/d", "/d", False),
        ("${VOLUME}", "", False),
        ("~/x:/d", "/d", False),
        ("{type: bind, source: '${DATA}', target: /d, read_only: true}", "/d", True),
    ],
)
def test_a_source_that_nobody_can_tell_may_reach_anything(written: str, target: str, read_only: bool) -> None:
    (mount,) = mounts(one(f"volumes:\n  - {written}"))
    assert (mount.kind, mount.target, mount.read_only) == ("bind", target, read_only)
    assert not mount.source.startswith("/")


def test_known_mounts_stay_known_beside_an_unknown_one() -> None:
    found = mounts(one("volumes: ['${DATA}:/d', '/var/run/docker.sock:/s']"))
    assert [mount.source.startswith("/") for mount in found] == [False, True]


def test_relative_paths_need_the_working_directory_where_the_name_is_relative() -> None:
    text = "services: {web: {image: a, volumes: ['./d:/d']}}"
    assert mounts(service(text, name="shop/compose.yaml", env={"PWD": "/srv"}))[0].source == "/srv/shop/d"
    assert not mounts(service(text, name="shop/compose.yaml"))[0].source.startswith("/")


@pytest.mark.parametrize(
    ("options", "mount"),
    [
        ("type: none, o: bind, device: /etc", Mount("bind", "/etc", "/d")),
        ("type: none, o: 'bind,ro', device: /etc", Mount("bind", "/etc", "/d", True)),
        (
            "type: '', o: 'rbind,nosuid', device: ./x",
            Mount("bind", "/srv/shop/x", "/d", False, "", frozenset({"nosuid"})),
        ),
        ("type: tmpfs, device: tmpfs, o: size=1m", Mount("tmpfs", "", "/d", False, "", frozenset({"size=1m"}))),
        ("type: nfs, o: 'addr=10.0.0.1,rw', device: ':/x'", Mount("volume", "data", "/d")),
        ("type: proc, device: proc", Mount("bind", "/proc", "/d")),
        ("type: sysfs, device: sysfs", Mount("bind", "/sys", "/d")),
    ],
)
def test_a_named_volume_can_be_a_host_path(options: str, mount: Mount) -> None:
    text = f"services: {{web: {{image: a, volumes: ['data:/d']}}}}\nvolumes: {{data: {{driver_opts: {{{options}}}}}}}"
    assert mounts(service(text)) == (mount,)


def test_a_volume_on_a_block_device_may_hold_anything() -> None:
    text = "services: {web: {image: a, volumes: ['data:/d']}}\n"
    text += "volumes: {data: {driver_opts: {type: ext4, device: /dev/sda1}}}"
    (mount,) = mounts(service(text))
    assert mount.kind == "bind"
    assert not mount.source.startswith("/")


def test_a_volume_of_another_driver_is_no_host_path() -> None:
    text = "services: {web: {image: a, volumes: ['data:/d']}}\n"
    text += "volumes: {data: {driver: rexray, driver_opts: {device: /etc, o: bind}}}"
    assert mounts(service(text)) == (Mount("volume", "data", "/d"),)


def test_a_read_only_use_of_a_writable_bind_volume_is_read_only() -> None:
    text = (
        "services: {web: {image: a, volumes: ['data:/d:ro']}}\nvolumes: {data: {driver_opts: {o: bind, device: /etc}}}"
    )
    assert mounts(service(text)) == (Mount("bind", "/etc", "/d", True),)


def test_the_later_of_two_mounts_of_one_target_counts() -> None:
    assert mounts(one("volumes: ['/etc:/d', '/var:/v', 'safe:/d']")) == (
        Mount("volume", "safe", "/d"),
        Mount("bind", "/var", "/v"),
    )


def test_tmpfs_as_text_and_as_list() -> None:
    assert mounts(one("tmpfs: /run:size=1m,noexec")) == (
        Mount("tmpfs", "", "/run", False, "", frozenset({"size=1m", "noexec"})),
    )
    assert [mount.target for mount in mounts(one("tmpfs: [/a, /b]"))] == ["/a", "/b"]


def test_secrets_and_configs_are_files_of_the_host() -> None:
    text = """
services:
  web:
    image: a
    secrets:
      - pw
      - {source: key, target: /etc/key}
      - {source: sock, target: s}
    configs: [conf, {source: conf, target: /other}]
secrets:
  pw: {file: ./pw.txt}
  key: {environment: KEY}
  sock: {file: /var/run/docker.sock}
configs:
  conf: {file: "${NONE}"}
"""
    found = mounts(service(text))
    assert found[0] == Mount("projected", "/srv/shop/pw.txt", "/run/secrets/pw", True)
    assert found[1] == Mount("projected", "", "/etc/key", True)
    assert found[2] == Mount("projected", "/var/run/docker.sock", "/run/secrets/s", True)
    assert found[3].target == "/conf"
    assert found[3].kind == "bind"
    assert not found[3].source.startswith("/")


@pytest.mark.parametrize("name", ["compose.yaml", NAME])
def test_use_api_socket_mounts_the_docker_socket(name: str) -> None:
    assert mounts(one("use_api_socket: true", name=name)) == (
        Mount("bind", "/var/run/docker.sock", "/var/run/docker.sock"),
    )
    assert mounts(one("use_api_socket: false", name=name)) == ()
    assert not mounts(one("use_api_socket: $X", name=name))[0].source.startswith("/")


def test_volumes_from_another_service() -> None:
    text = """
services:
  web: {image: a, volumes: ["/own:/own", "/x:/etc"], volumes_from: ["db:ro", "container:side"]}
  db: {image: b, volumes: ["/etc:/etc", "/data:/data"], tmpfs: /t}
  side: {image: c, container_name: side, volumes: ["/s:/s"]}
"""
    assert mounts(service(text)) == (
        Mount("bind", "/own", "/own"),
        Mount("bind", "/x", "/etc"),
        Mount("bind", "/data", "/data", True),
        Mount("bind", "/s", "/s"),
    )


def test_volumes_from_in_a_circle_end_soon_and_in_doubt() -> None:
    names = [f"s{n}" for n in range(40)]
    lines = [
        f"  {name}: {{image: a, volumes: ['/{name}:/{name}'], volumes_from: [{', '.join(names)}]}}" for name in names
    ]
    found = mounts(service("services:\n" + "\n".join(lines), "s0"))
    assert any(not mount.source.startswith("/") for mount in found)
    assert Mount("bind", "/s39", "/s39") in found


def test_volumes_from_a_container_nobody_saw_may_reach_anything() -> None:
    (mount,) = mounts(one("volumes_from: ['container:elsewhere']"))
    assert not mount.source.startswith("/")


# --- devices --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "device"),
    [
        ("/dev/sda", Device("/dev/sda", "/dev/sda")),
        ("/dev/sda:/dev/xvda", Device("/dev/sda", "/dev/xvda")),
        ("/dev/sda:r", Device("/dev/sda", "/dev/sda", "r")),
        ("/dev/sda:/dev/xvda:rw", Device("/dev/sda", "/dev/xvda", "rw")),
        ("{source: /dev/sda, target: /dev/x, permissions: r}", Device("/dev/sda", "/dev/x", "r")),
        ("{source: /dev/sda}", Device("/dev/sda", "/dev/sda")),
        ("vendor.com/gpu=0", Device("vendor.com/gpu=0", "vendor.com/gpu=0")),
    ],
)
def test_devices(written: str, device: Device) -> None:
    assert one(f"devices:\n  - {written}").value(declared.DEVICES) == (device,)


@pytest.mark.parametrize("written", ["${DEV}:/dev/x", "$DEV"])
def test_a_device_of_an_unset_variable_may_be_any(written: str) -> None:
    devices = one(f"devices: ['{written}', /dev/null]").value(declared.DEVICES)
    assert devices is not None
    assert [device.source.startswith("/") for device in devices] == [False, True]


@pytest.mark.parametrize(
    "fields",
    [
        "gpus: all",
        "gpus: [{driver: nvidia, count: 2}]",
        "deploy: {resources: {reservations: {devices: [{driver: nvidia, count: all, capabilities: [gpu]}]}}}",
    ],
)
def test_gpus(fields: str) -> None:
    assert one(fields).value(declared.DEVICES) == (Device("/dev/nvidia*", "/dev/nvidia*", "rw"),)


def test_device_rules_groups_and_sysctls() -> None:
    facts = one("device_cgroup_rules: ['b 8:* rwm']\ngroup_add: [999, video]\nsysctls:\n  - net.core.somaxconn=1\n")
    assert facts.value(declared.DEVICE_RULES) == ("b 8:* rwm",)
    assert facts.value(declared.GROUPS) == ("999", "video")
    assert facts.value(declared.SYSCTLS) == (("net.core.somaxconn", "1"),)
    assert one("sysctls: {kernel.msgmax: 65536}").value(declared.SYSCTLS) == (("kernel.msgmax", "65536"),)


# --- security options -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "fact", "value"),
    [
        (["seccomp:unconfined"], declared.SECCOMP, "unconfined"),
        (["seccomp=unconfined"], declared.SECCOMP, "unconfined"),
        (["seccomp=builtin"], declared.SECCOMP, "builtin"),
        (["apparmor:unconfined"], declared.APPARMOR, "unconfined"),
        (["apparmor=mine"], declared.APPARMOR, "mine"),
        (["apparmor=unconfined", "apparmor=mine"], declared.APPARMOR, "mine"),
        (["label:disable"], declared.SELINUX, ("disable",)),
        (["label=type:spc_t", "label:level:s0"], declared.SELINUX, ("type:spc_t", "level:s0")),
        (["no-new-privileges"], declared.NO_NEW_PRIVILEGES, True),
        (["no-new-privileges:true"], declared.NO_NEW_PRIVILEGES, True),
        (["no-new-privileges=true"], declared.NO_NEW_PRIVILEGES, True),
        (["no-new-privileges=1"], declared.NO_NEW_PRIVILEGES, True),
        (["no-new-privileges:false"], declared.NO_NEW_PRIVILEGES, False),
        (["systempaths=unconfined"], declared.SYSTEM_PATHS, "unconfined"),
        (["writable-cgroups=true"], declared.WRITABLE_CGROUPS, True),
    ],
)
def test_security_options(options: list[str], fact: Fact[Any], value: object) -> None:
    assert one("security_opt: [" + ", ".join(f"'{option}'" for option in options) + "]").value(fact) == value


@pytest.mark.parametrize("field", ["privileged: true", "pid: host", "ipc: host"])
def test_the_engine_labels_no_container_of_these(field: str) -> None:
    assert one(field).value(declared.SELINUX) == ("disable",)
    assert one(field + "\nsecurity_opt: ['label=type:mine']").value(declared.SELINUX) == ("type:mine",)


def test_an_unknown_security_option_is_a_problem() -> None:
    reading = read("services: {web: {image: a, security_opt: [magic=1, no-new-privileges=perhaps]}}")
    assert len(reading.problems) == 2
    assert isinstance(reading.workloads[0].facts.table[declared.NO_NEW_PRIVILEGES], Absent)


def test_a_seccomp_profile_is_read_beside_the_project() -> None:
    text = "services: {web: {image: a, security_opt: ['seccomp:./s.json']}}"
    facts = service(text, files={"/srv/shop/s.json": '{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": []}'})
    assert facts.value(declared.SECCOMP) == "profile"
    assert facts.value(declared.SECCOMP_PROFILE) == {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": []}
    seen = facts.seen(declared.SECCOMP_PROFILE)
    assert seen is not None
    assert seen.where.document == "/srv/shop/s.json"


def test_a_seccomp_profile_that_is_missing_leaves_its_content_absent() -> None:
    facts = one("security_opt: ['seccomp=/gone.json']")
    assert facts.value(declared.SECCOMP) == "profile"
    assert "/gone.json" in reason(facts, declared.SECCOMP_PROFILE)


def test_a_seccomp_profile_that_is_no_object_is_a_problem() -> None:
    reading = read("services: {web: {image: a, security_opt: ['seccomp=s.json']}}", files={"/srv/shop/s.json": "[1]"})
    assert reading.problems
    assert isinstance(reading.workloads[0].facts.table[declared.SECCOMP_PROFILE], Absent)


# --- namespaces -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "shared"),
    [
        ("pid: host", {"pid"}),
        ("ipc: host", {"ipc"}),
        ("uts: host", {"uts"}),
        ("cgroup: host", {"cgroup"}),
        ("network_mode: host", {"net"}),
        ("network_mode: none", set()),
        ("ipc: shareable", set()),
        ("cgroup: private", set()),
    ],
)
def test_shared_namespaces(fields: str, shared: set[str]) -> None:
    namespaces = one(fields).value(declared.NAMESPACES)
    assert namespaces is not None
    assert namespaces.yes == shared
    assert namespaces.maybe == (set() if "cgroup" in fields else {"cgroup"})


def test_a_namespace_of_another_service_may_be_the_hosts() -> None:
    text = """
services:
  web: {image: a, network_mode: "service:mid", pid: "container:far", ipc: "service:gone"}
  mid: {image: b, network_mode: "service:end"}
  end: {image: c, network_mode: host}
  far-service: {image: d, container_name: far, pid: host}
"""
    namespaces = service(text).value(declared.NAMESPACES)
    assert namespaces is not None
    assert [namespaces.has(name) for name in ("net", "pid", "ipc", "uts")] == [YES, YES, UNKNOWN, NO]


def test_namespaces_in_a_circle_end_in_doubt() -> None:
    namespaces = service('services: {web: {image: a, pid: "service:b"}, b: {image: b, pid: "service:web"}}').value(
        declared.NAMESPACES
    )
    assert namespaces is not None
    assert namespaces.has("pid") is UNKNOWN


@pytest.mark.parametrize(("written", "value"), [("host", "host"), ('""', "default"), ("private", "private")])
def test_user_namespaces(written: str, value: str) -> None:
    assert one(f"userns_mode: {written}").value(declared.USER_NAMESPACE) == value


def test_networks_by_name() -> None:
    assert one("networks: [front, back]").value(declared.NETWORKS) == ("front", "back")
    assert one("networks: {front: {aliases: [x]}, back: }").value(declared.NETWORKS) == ("front", "back")
    assert one("network_mode: none").value(declared.NETWORKS) == ("none",)


@pytest.mark.parametrize(
    ("fields", "system"),
    [("isolation: hyperv", "windows"), ("isolation: default", "linux"), ("platform: windows/amd64", "windows"),
     ("platform: linux/arm64", "linux"), ("credential_spec: {file: a.json}", "windows")],
)  # fmt: skip
def test_the_operating_system(fields: str, system: str) -> None:
    assert one(fields).value(declared.CONTAINER_OS) == system


def test_a_built_image_hides_its_user() -> None:
    assert "build" in reason(service("services: {web: {build: .}}"), declared.USER)


def test_profiles_choose_only_where_somebody_said_which() -> None:
    text = "services: {web: {image: a}, dev: {image: b, profiles: [dev]}, ops: {image: c, profiles: [ops, all]}}"

    def names(profiles: tuple[str, ...] | None) -> list[str]:
        return [described.workload.name for described in read(text, profiles=profiles).workloads]

    assert names(None) == ["web", "dev", "ops"]
    assert names(()) == ["web"]
    assert names(("ops",)) == ["web", "ops"]
    assert names(("*",)) == ["web", "dev", "ops"]


def test_a_service_that_is_no_mapping_is_a_problem() -> None:
    reading = read("services:\n  web:\n  db: {image: a}\n")
    assert [described.workload.name for described in reading.workloads] == ["db"]
    assert reading.problems[0].line == 2


def test_version_1_files() -> None:
    reading = read("web:\n  image: a\n  net: host\n  privileged: true\ndb:\n  build: .\n", name="docker-compose.yml")
    assert [described.workload.name for described in reading.workloads] == ["web", "db"]
    namespaces = reading.workloads[0].facts.value(declared.NAMESPACES)
    assert namespaces is not None
    assert namespaces.has("net") is YES


# --- several files --------------------------------------------------------------------------------------------------

BASE = """
services:
  web:
    image: a
    privileged: true
    cap_add: [NET_ADMIN]
    security_opt: [seccomp=unconfined]
    volumes: ["/etc:/d", "/var:/v"]
    devices: ["/dev/sda:/dev/x"]
    sysctls: {kernel.a: 1, kernel.b: 2}
    tmpfs: /t
    networks: [front]
"""


def test_override_files_merge_as_compose_does() -> None:
    later = """
services:
  web:
    privileged: false
    cap_add: [SYS_ADMIN, NET_ADMIN]
    security_opt: [apparmor=unconfined]
    volumes: ["safe:/d"]
    devices: ["/dev/null:/dev/x"]
    sysctls: ["kernel.b=3"]
    tmpfs: [/u]
    networks: {back: {}}
  more: {image: b}
"""
    facts = service(BASE, overlays=(later,))
    assert facts.value(declared.PRIVILEGED) is False
    assert facts.value(declared.CAPABILITIES_ADDED) == ("NET_ADMIN", "SYS_ADMIN")
    assert (facts.value(declared.SECCOMP), facts.value(declared.APPARMOR)) == ("unconfined", "unconfined")
    found = mounts(facts)
    assert [(mount.kind, mount.source, mount.target) for mount in found] == [
        ("volume", "safe", "/d"), ("bind", "/var", "/v"), ("tmpfs", "", "/t"), ("tmpfs", "", "/u"),
    ]  # fmt: skip
    assert facts.value(declared.DEVICES) == (Device("/dev/null", "/dev/x"),)
    assert facts.value(declared.SYSCTLS) == (("kernel.a", "1"), ("kernel.b", "3"))
    assert facts.value(declared.NETWORKS) == ("front", "back")
    seen = facts.seen(declared.PRIVILEGED)
    assert seen is not None
    assert seen.where == Where("/srv/shop/compose.0.yaml", "/services/web/privileged", 4)
    assert read(BASE, overlays=(later,)).workloads[1].workload.name == "more"


def test_reset_and_override() -> None:
    later = """
services:
  web:
    privileged: !reset null
    cap_add: !override [SYS_TIME]
    volumes: !reset []
    security_opt: !override
      - apparmor=mine
"""
    facts = service(BASE, overlays=(later,))
    assert facts.value(declared.PRIVILEGED) is False
    assert facts.value(declared.CAPABILITIES_ADDED) == ("SYS_TIME",)
    assert [mount.target for mount in mounts(facts)] == ["/t"]
    assert facts.value(declared.SECCOMP) == "default"


def test_a_null_in_an_override_keeps_a_list() -> None:
    facts = service(BASE, overlays=("services: {web: {cap_add: , volumes: }}",))
    assert facts.value(declared.CAPABILITIES_ADDED) == ("NET_ADMIN",)


def test_what_cannot_be_merged_is_a_problem_and_no_answer() -> None:
    reading = read(BASE, overlays=("services: {web: {cap_add: SYS_ADMIN}}",))
    assert reading.problems
    assert isinstance(reading.workloads[0].facts.table[declared.CAPABILITIES_ADDED], Absent)


def test_relative_paths_of_an_override_start_at_the_project() -> None:
    facts = service("services: {web: {image: a}}", overlays=("services: {web: {volumes: ['./x:/x']}}",))
    assert mounts(facts)[0].source == "/srv/shop/x"


# --- extends --------------------------------------------------------------------------------------------------------


def test_extends_in_the_same_file() -> None:
    text = """
services:
  web: {extends: mid, user: "1"}
  mid: {extends: {service: base}, cap_add: [SYS_ADMIN]}
  base: {image: a, privileged: true, cap_add: [NET_ADMIN], user: "0"}
"""
    facts = service(text)
    assert facts.value(declared.PRIVILEGED) is True
    assert facts.value(declared.CAPABILITIES_ADDED) == ("NET_ADMIN", "SYS_ADMIN")
    assert facts.value(declared.USER) == "1"
    assert service(text, "mid").value(declared.USER) == "0"


def test_extends_in_another_file_keeps_its_places_and_its_directory() -> None:
    text = "services: {web: {extends: {file: common/base.yaml, service: app}, volumes: ['./mine:/m']}}"
    files = {
        "/srv/shop/common/base.yaml": "services:\n  app:\n    extends: {file: ../deep.yaml, service: deep}\n"
        "    image: a\n    volumes: ['./data:/d']\n",
        "/srv/shop/deep.yaml": "services:\n  deep:\n    privileged: true\n    volumes: ['./deep:/e']\n",
    }
    facts = service(text, files=files)
    assert {mount.target: mount.source for mount in mounts(facts)} == {
        "/d": "/srv/shop/common/data", "/e": "/srv/shop/deep", "/m": "/srv/shop/mine",
    }  # fmt: skip
    seen = facts.seen(declared.PRIVILEGED)
    assert seen is not None
    assert seen.where == Where("/srv/shop/deep.yaml", "/services/deep/privileged", 3)


@pytest.mark.parametrize(
    "extends",
    ["{file: gone.yaml, service: x}", "{service: gone}", "{file: 'https://x/y', service: z}",
     "{file: '$F', service: z}", "{file: other.yaml, service: gone}", "{file: empty.yaml, service: x}", "[a]", "web"],
)  # fmt: skip
def test_a_base_that_cannot_be_had_leaves_everything_open_that_the_service_does_not_say(extends: str) -> None:
    text = f"services:\n  web:\n    extends: {extends}\n    image: a\n    privileged: true\n    cap_add: [SYS_ADMIN]\n"
    reading = read(text, files={"/srv/shop/other.yaml": "services: {x: {image: y}}", "/srv/shop/empty.yaml": "a: b"})
    assert reading.problems
    facts = reading.workloads[0].facts
    assert facts.value(declared.PRIVILEGED) is True
    first, unread = facts.value(declared.CAPABILITIES_ADDED) or ("", "")
    assert first == "SYS_ADMIN"
    assert unread.startswith("(")
    for fact in (
        declared.SECCOMP,
        declared.READ_ONLY_ROOT,
        declared.USER,
        declared.CAPABILITIES_DROPPED,
        declared.SELINUX,
    ):
        assert isinstance(facts.table[fact], Absent), fact
    assert not mounts(facts)[-1].source.startswith("/")
    namespaces = facts.value(declared.NAMESPACES)
    assert namespaces is not None
    assert namespaces.has("pid") is UNKNOWN


def test_extends_in_a_circle_ends() -> None:
    reading = read("services: {a: {image: x, extends: b}, b: {image: x, extends: c}, c: {image: x, extends: a}}")
    assert any("circle" in problem.what for problem in reading.problems)
    text = "services: {a: {image: x, extends: {file: other.yaml, service: a}}}"
    back = "services: {a: {image: x, extends: {file: compose.yaml, service: a}}}"
    reading = read(text, files={"/srv/shop/other.yaml": back, "/srv/shop/compose.yaml": text})
    assert any("circle" in problem.what for problem in reading.problems)


def test_reset_in_a_service_that_extends() -> None:
    text = "services: {web: {extends: base, privileged: !reset null}, base: {image: a, privileged: true}}"
    assert service(text).value(declared.PRIVILEGED) is False


# --- include --------------------------------------------------------------------------------------------------------


def test_include_short_and_long() -> None:
    text = """
include:
  - db/compose.yaml
  - path: [q/one.yaml, q/two.yaml]
    project_directory: elsewhere
    env_file: q.env
services:
  web: {image: a, user: $U, volumes: ["named:/n"], network_mode: "service:db"}
"""
    files = {
        "/srv/shop/.env": "U=7",
        "/srv/shop/db/compose.yaml": "services:\n  db: {image: b, user: $U, runtime: $R, network_mode: host, "
        "volumes: ['./d:/d']}\n"
        "volumes: {named: {driver_opts: {o: bind, device: ./n}}}\n",
        "/srv/shop/db/.env": "U=8\nR=runsc",
        "/srv/shop/q/one.yaml": "services: {q: {image: c, user: $Q, privileged: true, volumes: ['./q:/q']}}",
        "/srv/shop/q/two.yaml": "services: {q: {privileged: false}}",
        "/srv/shop/q.env": "Q=9",
    }
    reading = read(text, files=files)
    assert not reading.problems
    by_name = {described.workload.name: described.facts for described in reading.workloads}
    assert set(by_name) == {"web", "db", "q"}
    assert by_name["web"].value(declared.USER) == "7"
    assert by_name["db"].value(declared.USER) == "7", "the including file's variables win"
    assert by_name["db"].value(declared.RUNTIME) == "runsc"
    assert mounts(by_name["db"])[0].source == "/srv/shop/db/d"
    assert by_name["q"].value(declared.USER) == "9"
    assert by_name["q"].value(declared.PRIVILEGED) is False
    assert mounts(by_name["q"])[0].source == "/srv/shop/elsewhere/q"
    namespaces = by_name["web"].value(declared.NAMESPACES)
    assert namespaces is not None
    assert namespaces.has("net") is YES


@pytest.mark.parametrize(
    "include", ["[gone.yaml]", "['$F']", "['oci://x/y']", "[{env_file: a}]", "[compose.yaml]", "7"]
)
def test_an_include_that_cannot_be_had_is_a_problem(include: str) -> None:
    text = f"include: {include}\nservices: {{web: {{image: a}}}}\n"
    reading = read(text, files={NAME: text})
    assert reading.problems
    assert [described.workload.name for described in reading.workloads] == ["web"]


def test_a_service_defined_here_and_in_an_include_is_a_problem() -> None:
    text = "include: [other.yaml]\nservices: {web: {image: a}}"
    reading = read(text, files={"/srv/shop/other.yaml": "services: {web: {image: b, privileged: true}}"})
    assert "web" in reading.problems[0].what
    assert len(reading.workloads) == 1


# --- bad input ------------------------------------------------------------------------------------------------------


def test_deep_nesting_is_refused_with_its_line() -> None:
    node: Node = Scalar("x", 3)
    for _ in range(3000):
        node = Sequence([node], 3)
    web = Mapping({"image": Scalar("a"), "volumes": node}, 2)
    root = Mapping({"services": Mapping({"web": web}, 1)}, 1)
    deep = Document(NAME, roots=(Cursor(root, Where(NAME)),))
    with pytest.raises(NotUnderstood) as caught:
        compose.read(deep, Surroundings())
    assert caught.value.line == 3


def test_an_alias_bomb_is_refused_soon() -> None:
    node: Node = Scalar("/etc:/e", 3)
    for _ in range(30):
        node = Sequence([node] * 10, 3)
    root = Mapping({"services": Mapping({"web": Mapping({"image": Scalar("a"), "volumes": node}, 2)}, 1)}, 1)
    with pytest.raises(NotUnderstood):
        compose.read(Document(NAME, roots=(Cursor(root, Where(NAME)),)), Surroundings())


KEYS = st.sampled_from([
    "services", "web", "image", "volumes", "secrets", "configs", "include", "extends", "file", "service", "cap_add",
    "privileged", "security_opt", "devices", "sysctls", "network_mode", "networks", "pid", "tmpfs", "deploy", "gpus",
    "volumes_from", "source", "target", "type", "driver_opts", "o", "device", "path", "env_file", "profiles", "user",
    "resources", "reservations", "bind", "read_only", "use_api_socket", "userns_mode", "name", "build", "a", "x-b",
])  # fmt: skip
TEXTS = st.one_of(
    st.sampled_from(["/:/h:ro", "web", "service:web", "container:web", "host", "${A:-b}", "$", "${", "seccomp={",
    "a:b:c:d",
                     "true", "1", "", "~", "./x", "seccomp=x.json", "no-new-privileges", "all", "*", "../a.yaml",
                     "none"]),
    st.text(max_size=12),
)  # fmt: skip
TAGS = st.sampled_from(["", "", "", "!reset", "!override", "!!str"])
LEAVES = st.builds(lambda text, tag, plain: Scalar(text, 1, plain, tag), TEXTS, TAGS, st.booleans())
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(lambda items, tag: Sequence(items, 2, tag), st.lists(inner, max_size=4), TAGS),
        st.builds(
            lambda entries, tag: Mapping(entries, 3, {}, [], tag), st.dictionaries(KEYS, inner, max_size=5), TAGS
        ),
    ),
    max_leaves=25,
)


@given(TREES, st.lists(TREES, max_size=2), st.dictionaries(KEYS, TREES, max_size=5))
@settings(max_examples=300, deadline=None)
def test_no_tree_raises_anything_but_a_question_or_a_refusal(
    root: Node, later: list[Node], body: dict[str, Node]
) -> None:
    def made(name: str, node: Node) -> Document:
        return Document(name, roots=(Cursor(node, Where(name)),))

    whole = Mapping({"services": Mapping({"web": Mapping(body), "other": root}), "volumes": root, "secrets": root})
    for node in (root, whole):
        first = made(NAME, node)
        compose.recognises(first)
        overlays = tuple(made(f"o{n}", other) for n, other in enumerate(later))
        files: dict[str, Document | NotUnderstood | None] = {}
        for _ in range(20):
            try:
                reading = compose.read(first, Surroundings(files, overlays, {"A": "$B"}))
            except Needs as needs:
                for wanted in needs.names:
                    files[wanted] = made(wanted, root) if len(files) % 2 else None
            except NotUnderstood:
                break
            else:
                assert all(
                    isinstance(entry, Seen | Absent) for d in reading.workloads for entry in d.facts.table.values()
                )
                break
        else:
            raise AssertionError("it never stops asking")


@given(st.text(alphabet="${}ABC:-?+ab_ ", max_size=30))
@settings(max_examples=300, deadline=None)
def test_interpolation_never_raises_and_leaves_no_variable(text: str) -> None:
    outcome = interpolate(text, {"A": "1"}.get)
    assert outcome.error or "$" not in outcome.text.replace("$", "", text.count("$$"))
    environment_file(text.replace("A", "A=").replace("b", "\n"), {}.get)
