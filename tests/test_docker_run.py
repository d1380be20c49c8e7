"""``docker run`` command lines: finding them in text, the grammar of their options, and what they ask for."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.collect.parse import parse
from holdfast.model.facts import Absent, Fact, Facts, Seen
from holdfast.model.tree import Document
from holdfast.model.truth import NO, UNKNOWN, YES
from holdfast.model.words import declared
from holdfast.model.words.declared import Device, Mount
from holdfast.model.workload import Needs, Reading, Surroundings
from holdfast.platforms import docker_run
from holdfast.platforms._docker_run_shell import commands

DATA = Path(__file__).parent / "data" / "docker"


def found(text: str, name: str = "x.sh") -> list[tuple[str, int]]:
    """Return image and line of every command."""
    reading = docker_run.read_command(text, name)
    return [(described.workload.image, described.workload.source.line) for described in reading.workloads]


def one(options: str, engine: str = "docker") -> Facts:
    reading = docker_run.read_command(f"{engine} run {options} image command --privileged", "line")
    assert not reading.problems, reading.problems
    (described,) = reading.workloads
    assert described.workload.image == "image"
    return described.facts


def troubled(options: str, engine: str = "docker") -> Reading:
    reading = docker_run.read_command(f"{engine} run {options} image", "line")
    assert reading.problems
    return reading


def mounts(facts: Facts) -> tuple[Mount, ...]:
    value = facts.value(declared.MOUNTS)
    assert value is not None
    return value


# --- finding commands -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        "docker run img", "docker create img", "docker container run img", "podman run img", "nerdctl run img",
        "sudo docker run img", "sudo -E -u root docker run img", "FOO=1 BAR='a b' docker run img",
        "/usr/bin/docker run img", "docker --context x run img", "docker -H tcp://h:1 --tls run img",
        "docker --log-level=debug container create img", "nerdctl -n k8s.io run img", "podman --remote run img",
        "  docker run img", "\tdocker run img", "\t@docker run img", "\t-docker run img", "$ docker run img",
        "root@host:~# docker run img", "[root@host ~]# docker run img", "PS C:\\> docker run img", "> docker run img",
        "cd x && docker run img", "true; docker run img", "false || docker run img", "if docker run img; then",
        "then docker run img", "exec docker run img", "nohup docker run img &", "time docker run img",
        "X=$(docker run img)", 'X="$(docker run img)"', "X=`docker run img`",
        "echo $(docker run img)x && docker run img",
        "(docker run img)", "{ docker run img; }", "! docker run img", "target: ; docker run img",
        "ExecStart=/usr/bin/docker run img", "ExecStartPre=-/usr/bin/docker run img", "*/5 * * * * root docker run img",
        "@reboot docker run img", "- docker run img", "1. docker run img", "run: docker run img",
        "xargs docker run img",
        "ssh root@h docker run img", 'ssh -p 22 root@h "docker run img"', "sh -c 'docker run img'",
        "docker run img >/dev/null 2>&1", "docker run img &>/dev/null", "docker run img | tee x",
        "docker run img # why",
        "docker run -- img", "docker run 'img'", 'docker run "img"', "docker run \\\n img",
        "docker \\\n run \\\r\n img",
        "docker run `\n img", "docker.exe run img",
    ],
)  # fmt: skip
def test_a_command_is_found_wherever_it_begins(line: str) -> None:
    assert [image for image, _ in found(line)] == ["img"], line
    assert docker_run.recognises(Document("x.sh", line))


@pytest.mark.parametrize(
    "line",
    [
        "docker compose run img", "docker volume create img", "docker network create img", "docker service create img",
        "docker buildx create img", "docker start img", "docker exec img run", "# docker run img", "  # docker run img",
        "use docker run img", "mydocker run img", "docker-run img", "dockerrun img", "echo docker run img",
        "x=1 # docker run img", "docker", "docker run", "docker run --rm", "apt install docker", "",
        "see docker.run(img)",
    ],
)  # fmt: skip
def test_what_is_no_command_is_left_alone(line: str) -> None:
    assert found(line) == []


def test_only_text_with_such_a_line_is_recognised() -> None:
    assert not docker_run.recognises(Document("x.sh", ""))
    assert not docker_run.recognises(Document("x.sh", "docker ps\necho run"))
    assert not docker_run.recognises(parse("a.yaml", b"command: docker run img")[0])


def test_two_commands_on_the_lines_of_one_another() -> None:
    assert found("docker run \\\n  a \\\n  && docker run \\\n b; podman create c\n") == [("a", 1), ("b", 3), ("c", 4)]


def test_a_quoted_text_over_several_lines_hides_commands_and_keeps_the_count() -> None:
    text = "docker run a sh -c '\ndocker run no\n'\ndocker run b \"\n\"\ndocker run c\n"
    assert found(text) == [("a", 1), ("b", 4), ("c", 6)]


def test_a_script_as_people_write_it() -> None:
    document, problems = parse("deploy.sh", (DATA / "deploy.sh").read_bytes())
    assert not problems
    reading = docker_run.read(document, Surroundings())
    assert not reading.problems
    names = [(d.workload.name, d.workload.image, d.workload.source.line) for d in reading.workloads]
    assert names == [
        ("db", "postgres:16", 11), ("web", "registry.example/shop:1.4", 18), ("$UPDATER", "$UPDATER", 23),
        ("agent:2", "agent:2", 24), ("w$n", "busybox", 25),
    ]  # fmt: skip
    db, web, updater, agent, worker = (described.facts for described in reading.workloads)
    assert db.value(declared.CAPABILITIES_DROPPED) == ("ALL",)
    assert db.value(declared.NO_NEW_PRIVILEGES) is True
    assert mounts(db) == (Mount("volume", "db", "/var/lib/postgresql/data"),)
    assert mounts(web)[0] == Mount("bind", "/srv/data", "/data", True)
    seen = web.seen(declared.MOUNTS)
    assert seen is not None
    assert [seen.parts[mount].line for mount in seen.value] == [19, 20]
    assert web.value(declared.USER) == "1000:1000"
    namespaces = web.value(declared.NAMESPACES)
    assert namespaces is not None
    assert namespaces.has("net") is NO, "db has a network of its own"
    assert mounts(updater)[0].source == "/var/run/docker.sock"
    assert agent.value(declared.PRIVILEGED) is True
    assert worker.value(declared.TERMINAL) is True
    assert all(described.workload.kind == "docker run" for described in reading.workloads)


def test_in_markdown_only_code_blocks_count() -> None:
    text = (DATA / "README-sample.md").read_text()
    assert found(text, "README.md") == [("tool:latest", 6), ("root-prompt:1", 12), ("toolbox", 13), ("indented:1", 17)]


def test_the_workload_bears_the_name_or_the_image() -> None:
    reading = docker_run.read_command("docker run --name web nginx:1\npodman run docker.io/x/y@sha256:0\n", "s")
    assert [described.workload.name for described in reading.workloads] == ["web", "docker.io/x/y@sha256:0"]


# --- grammar --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "fact", "value"),
    [
        ("--privileged", declared.PRIVILEGED, True),
        ("--privileged=true", declared.PRIVILEGED, True),
        ("--privileged=false", declared.PRIVILEGED, False),
        ("--privileged=0", declared.PRIVILEGED, False),
        ("--privileged --privileged=F", declared.PRIVILEGED, False),
        ("", declared.PRIVILEGED, False),
        ("-t", declared.TERMINAL, True),
        ("-itd", declared.TERMINAL, True),
        ("-it=false", declared.TERMINAL, False),
        ("-i", declared.TERMINAL, False),
        ("--read-only", declared.READ_ONLY_ROOT, True),
        ("-u 5", declared.USER, "5"),
        ("-u5", declared.USER, "5"),
        ("-u=5", declared.USER, "5"),
        ("-itu 5", declared.USER, "5"),
        ("-itu5:6", declared.USER, "5:6"),
        ("--user 0", declared.USER, "0"),
        ("--user=root", declared.USER, "root"),
        ("-u 1 --user 2", declared.USER, "2"),
        ("-u --privileged", declared.USER, "--privileged"),
        ("--cap-add SYS_ADMIN --cap-add=NET_ADMIN", declared.CAPABILITIES_ADDED, ("SYS_ADMIN", "NET_ADMIN")),
        ("--cap-drop=ALL", declared.CAPABILITIES_DROPPED, ("ALL",)),
        ("--group-add 7 --group-add=video", declared.GROUPS, ("7", "video")),
        ("--runtime runsc", declared.RUNTIME, "runsc"),
        ("--device-cgroup-rule 'b 8:* rwm'", declared.DEVICE_RULES, ("b 8:* rwm",)),
        ("--sysctl kernel.x=1 --sysctl=net.y=2", declared.SYSCTLS, (("kernel.x", "1"), ("net.y", "2"))),
        ("--net host", declared.NETWORKS, ("host",)),
        ("--network=a --network name=b,alias=c", declared.NETWORKS, ("a", "b")),
        ("", declared.NETWORKS, ("bridge",)),
        ("--userns host", declared.USER_NAMESPACE, "host"),
        ("", declared.USER_NAMESPACE, "default"),
        ("--isolation hyperv", declared.CONTAINER_OS, "windows"),
        ("--platform linux/arm64", declared.CONTAINER_OS, "linux"),
        ("--security-opt seccomp=unconfined", declared.SECCOMP, "unconfined"),
        ("--security-opt seccomp:unconfined", declared.SECCOMP, "unconfined"),
        ("--security-opt=apparmor=unconfined", declared.APPARMOR, "unconfined"),
        ("--security-opt apparmor:mine", declared.APPARMOR, "mine"),
        ("--security-opt label=disable", declared.SELINUX, ("disable",)),
        ("--security-opt label:type:spc_t --security-opt label=level:s0", declared.SELINUX, ("type:spc_t", "level:s0")),
        ("--security-opt no-new-privileges", declared.NO_NEW_PRIVILEGES, True),
        ("--security-opt no-new-privileges:true", declared.NO_NEW_PRIVILEGES, True),
        ("--security-opt no-new-privileges=false", declared.NO_NEW_PRIVILEGES, False),
        ("--security-opt systempaths=unconfined", declared.SYSTEM_PATHS, "unconfined"),
        ("--security-opt writable-cgroups=true", declared.WRITABLE_CGROUPS, True),
        ("-e A=--privileged --env-file f -l x=y --label-file g -p 80:80 -w /w", declared.PRIVILEGED, False),
        ("--health-cmd 'curl x || exit 1' --ulimit nofile=1 --shm-size 1g", declared.PRIVILEGED, False),
    ],
)  # fmt: skip
def test_options(options: str, fact: Fact[Any], value: object) -> None:
    assert one(options).value(fact) == value


@pytest.mark.parametrize(
    ("options", "fact", "value"),
    [
        ("--cap-add A,B --cap-add C", declared.CAPABILITIES_ADDED, ("A", "B", "C")),
        ("--userns=keep-id", declared.USER_NAMESPACE, "private"),
        ("--userns=auto:size=9", declared.USER_NAMESPACE, "private"),
        ("--userns=host", declared.USER_NAMESPACE, "host"),
        ("--uidmap 0:1000:1", declared.USER_NAMESPACE, "private"),
        ("--security-opt unmask=ALL", declared.SYSTEM_PATHS, "unconfined"),
        ("--sysctl a=1,b=2", declared.SYSCTLS, (("a", "1"), ("b", "2"))),
        ("", declared.ENGINE, "podman"),
        ("--systemd=always --tls-verify=false --replace --pull always --umask 0", declared.PRIVILEGED, False),
    ],
)
def test_options_of_podman(options: str, fact: Fact[Any], value: object) -> None:
    assert one(options, "podman").value(fact) == value


def test_podman_can_unmask_some_paths() -> None:
    facts = one("--security-opt unmask=/proc/sys:/sys/fs/cgroup", "podman")
    assert isinstance(facts.table[declared.SYSTEM_PATHS], Absent)
    assert facts.value(declared.WRITABLE_CGROUPS) is True


def test_podmans_runtime_stands_before_the_subcommand() -> None:
    reading = docker_run.read_command("podman --runtime /usr/bin/crun run image", "x")
    assert reading.workloads[0].facts.value(declared.RUNTIME) == "/usr/bin/crun"


def test_docker_takes_one_capability_in_each_option() -> None:
    reading = troubled("--cap-add A,B")
    assert isinstance(reading.workloads[0].facts.table[declared.CAPABILITIES_ADDED], Absent)


def test_an_unknown_option_is_a_problem_and_leaves_open_what_was_not_said() -> None:
    reading = troubled("--privileged --magic wand --pid=host")
    facts = reading.workloads[0].facts
    assert "--magic" in reading.problems[0].what
    assert facts.value(declared.PRIVILEGED) is True
    assert isinstance(facts.table[declared.READ_ONLY_ROOT], Absent)
    namespaces = facts.value(declared.NAMESPACES)
    assert namespaces is not None
    assert namespaces.has("pid") is UNKNOWN
    assert not mounts(facts)[-1].source.startswith("/")


def test_an_unknown_option_with_its_value_leaves_the_rest_known() -> None:
    facts = troubled("--magic=wand --pid=host").workloads[0].facts
    namespaces = facts.value(declared.NAMESPACES)
    assert namespaces is not None
    assert namespaces.has("pid") is YES
    assert facts.value(declared.READ_ONLY_ROOT) is False


@pytest.mark.parametrize("options", ["--privileged=perhaps", "--read-only=2", "-t=x"])
def test_a_switch_that_is_neither_true_nor_false(options: str) -> None:
    facts = troubled(options).workloads[0].facts
    assert any(
        isinstance(facts.table[fact], Absent)
        for fact in (declared.PRIVILEGED, declared.READ_ONLY_ROOT, declared.TERMINAL)
    )


# --- namespaces -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "shared"),
    [("--pid=host", "pid"), ("--pid host", "pid"), ("--ipc=host", "ipc"), ("--uts=host", "uts"), ("--net=host", "net"),
     ("--network host", "net"), ("--cgroupns=host", "cgroup")],
)  # fmt: skip
def test_shared_namespaces(options: str, shared: str) -> None:
    namespaces = one(options).value(declared.NAMESPACES)
    assert namespaces is not None
    assert namespaces.yes == {shared}


def test_namespaces_of_other_containers_in_the_same_text() -> None:
    text = (
        "docker run --name a --network container:b --pid container:gone i\n"
        "docker run --name b --network host --pid=ns:/x i\npodman run --pod p i"
    )
    first, second, third = (d.facts.value(declared.NAMESPACES) for d in docker_run.read_command(text, "x").workloads)
    assert first is not None
    assert second is not None
    assert third is not None
    assert [first.has(name) for name in ("net", "pid")] == [YES, UNKNOWN]
    assert second.has("pid") is UNKNOWN
    assert [third.has(name) for name in ("net", "ipc", "uts", "pid")] == [UNKNOWN, UNKNOWN, UNKNOWN, NO]


# --- mounts and devices ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "mount"),
    [
        ("-v /etc:/e", Mount("bind", "/etc", "/e")),
        ("-v/etc:/e:ro", Mount("bind", "/etc", "/e", True)),
        ("-itv /etc:/e:ro,z,rslave", Mount("bind", "/etc", "/e", True, "rslave", frozenset({"z"}))),
        ("--volume=data:/d", Mount("volume", "data", "/d")),
        ("-v /data", Mount("volume", "", "/data")),
        ("-v '/a b:/c'", Mount("bind", "/a b", "/c")),
        ("-v /etc/../:/e", Mount("bind", "/", "/e")),
        ("-v 'C:\\x:/y'", Mount("bind", "C:\\x", "/y")),
        ("--tmpfs /t:rw,size=1m", Mount("tmpfs", "", "/t", False, "", frozenset({"size=1m"}))),
        ("--tmpfs=/t", Mount("tmpfs", "", "/t")),
        ("--mount type=bind,src=/etc,dst=/e,ro,bind-propagation=rshared", Mount("bind", "/etc", "/e", True, "rshared")),
        ("--mount type=bind,source=/etc,target=/e,readonly=false", Mount("bind", "/etc", "/e")),
        ("--mount TYPE=bind,Source=/etc,destination=/e,readonly=1", Mount("bind", "/etc", "/e", True)),
        ("--mount source=data,target=/d", Mount("volume", "data", "/d")),
        ("--mount type=tmpfs,dst=/t,tmpfs-size=1m", Mount("tmpfs", "", "/t")),
        ("--mount 'type=bind,\"src=/a,b\",dst=/c'", Mount("bind", "/a,b", "/c")),
        ("--mount type=volume,dst=/v,volume-driver=local,volume-opt=type=none,volume-opt=o=bind,volume-opt=device=/etc",
         Mount("bind", "/etc", "/v")),
        ("--use-api-socket", Mount("bind", "/var/run/docker.sock", "/var/run/docker.sock")),
    ],
)  # fmt: skip
def test_mounts(options: str, mount: Mount) -> None:
    assert mounts(one(options)) == (mount,)


def test_podmans_overlay_mount_never_writes_to_the_host() -> None:
    assert mounts(one("-v /etc:/e:O", "podman"))[0].read_only is True
    assert mounts(one("--mount type=bind,src=/e,dst=/e,relabel=private", "podman"))[0].options == {"Z"}


@pytest.mark.parametrize(
    "options",
    ["-v $PWD:/x", "-v $(pwd):/x", '-v "`pwd`":/x', "-v ./x:/x", "-v .:/x", "-v ~/x:/x", "-v $ALL", "-v /var/$X:/x",
     "--mount type=bind,src=$X,dst=/x", "--mount type=$X,src=/a,dst=/x", "--volumes-from other", "--volumes-from $X",
     "--mount type=bind,dst=/x"],
)  # fmt: skip
def test_a_source_that_nobody_can_tell_may_reach_anything(options: str) -> None:
    found_mounts = mounts(one(options))
    assert len(found_mounts) == 1
    assert found_mounts[0].kind == "bind"
    assert not found_mounts[0].source.startswith("/")


def test_volumes_from_a_container_of_the_same_text() -> None:
    text = "docker create --name a -v /etc:/e -v vol:/v --tmpfs /t i\ndocker run --volumes-from a:ro -v /own:/v j\n"
    second = docker_run.read_command(text, "x").workloads[1].facts
    assert mounts(second) == (Mount("bind", "/own", "/v"), Mount("bind", "/etc", "/e", True))


@pytest.mark.parametrize(
    ("options", "device"),
    [
        ("--device /dev/sda", Device("/dev/sda", "/dev/sda")),
        ("--device=/dev/sda:/dev/x:r", Device("/dev/sda", "/dev/x", "r")),
        ("--device /dev/sda:rw", Device("/dev/sda", "/dev/sda", "rw")),
        ("--device nvidia.com/gpu=all", Device("nvidia.com/gpu=all", "nvidia.com/gpu=all")),
        ("--gpus all", Device("/dev/nvidia*", "/dev/nvidia*", "rw")),
        ("--gpus '\"device=0,1\"'", Device("/dev/nvidia*", "/dev/nvidia*", "rw")),
    ],
)
def test_devices(options: str, device: Device) -> None:
    assert one(options).value(declared.DEVICES) == (device,)


@pytest.mark.parametrize("options", ["-v a:b:c:d", "-v ::", "--device :x", "--device /a:/b:q", "--security-opt magic=1",
                                     "--mount type=magic,dst=/x"])  # fmt: skip
def test_what_cannot_be_read_is_a_problem(options: str) -> None:
    assert troubled(options).workloads


# --- variables ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "fact"),
    [
        ("--user=$U", declared.USER),
        ('--user "$(id -u):0"', declared.USER),
        ("-u `id -u`", declared.USER),
        ("--cap-add $C", declared.CAPABILITIES_ADDED),
        ("--privileged=$P", declared.PRIVILEGED),
        ("--security-opt seccomp=$S", declared.SECCOMP),
        ("--security-opt $S", declared.APPARMOR),
        ("--runtime ${R}", declared.RUNTIME),
        ("--userns $U", declared.USER_NAMESPACE),
        ("--sysctl x=$Y", declared.SYSCTLS),
        ("--group-add ${G:?}", declared.GROUPS),
    ],
)
def test_an_unresolved_variable_leaves_the_answer_absent(options: str, fact: Fact[Any]) -> None:
    entry = one(options).table[fact]
    assert isinstance(entry, Absent)
    assert "not known" in entry.reason


def test_variables_that_a_script_sets_once_are_known() -> None:
    text = "U=0\nreadonly P='--privileged -t'\nV=$U\nW=1\nW=2\ndocker run -u $U $P --runtime ${W} --ipc=${X:-host} i\n"
    (described,) = docker_run.read_command(text, "x").workloads
    facts = described.facts
    assert facts.value(declared.USER) == "0"
    assert facts.value(declared.PRIVILEGED) is facts.value(declared.TERMINAL) is True
    assert isinstance(facts.table[declared.RUNTIME], Absent), "set twice"
    namespaces = facts.value(declared.NAMESPACES)
    assert namespaces is not None
    assert namespaces.has("ipc") is YES


def test_makefile_variables_are_known() -> None:
    text = "IMG := shop:1\nrun:\n\t@docker run --rm -v $(CURDIR):/x --pid=host $(IMG) test\n"
    (described,) = docker_run.read_command(text, "Makefile").workloads
    assert described.workload.image == "shop:1"
    assert not mounts(described.facts)[0].source.startswith("/")


@pytest.mark.parametrize("options", ["$OPTS", '"$@"', '"${OPTS[@]}"', "$(options)", "${OPTS}"])
def test_a_variable_that_may_hold_options_leaves_everything_open(options: str) -> None:
    reading = docker_run.read_command(f"docker run {options} --privileged image cmd", "x")
    (described,) = reading.workloads
    assert described.workload.image == "image"
    facts = described.facts
    assert facts.value(declared.PRIVILEGED) is True
    for fact in (
        declared.USER,
        declared.SECCOMP,
        declared.CAPABILITIES_ADDED,
        declared.READ_ONLY_ROOT,
        declared.NETWORKS,
    ):
        assert isinstance(facts.table[fact], Absent), fact
    assert not mounts(facts)[0].source.startswith("/")


@pytest.mark.parametrize(
    "image", ["$IMAGE", '"$IMAGE"', "repo/$NAME:1", '"$(make image)"', "${DOCKER_IMAGE} sh -c x", "$X"]
)
def test_a_variable_in_the_place_of_the_image_is_the_image(image: str) -> None:
    (described,) = docker_run.read_command(f"docker run --rm {image}", "x").workloads
    assert described.workload.image.startswith(image.split(maxsplit=1)[0].strip('"')[:5])
    assert described.facts.value(declared.PRIVILEGED) is False


# --- seccomp profiles -----------------------------------------------------------------------------------------------


def test_a_profile_is_looked_for_beside_the_text() -> None:
    document = Document(
        "scripts/run.sh", "docker run --security-opt seccomp=p.json a; docker run --security-opt seccomp=/q b"
    )
    with pytest.raises(Needs) as caught:
        docker_run.read(document, Surroundings())
    assert caught.value.names == ("scripts/p.json", "/q")
    profile, _ = parse("scripts/p.json", b'{"defaultAction": "SCMP_ACT_ERRNO"}')
    reading = docker_run.read(document, Surroundings(files={"scripts/p.json": profile, "/q": None}))
    first, second = (described.facts for described in reading.workloads)
    assert first.value(declared.SECCOMP_PROFILE) == {"defaultAction": "SCMP_ACT_ERRNO"}
    assert isinstance(second.table[declared.SECCOMP_PROFILE], Absent)
    assert second.value(declared.SECCOMP) == "profile"


def test_read_command_asks_for_nothing() -> None:
    reading = docker_run.read_command("docker run --security-opt seccomp=p.json a", "x")
    assert reading.workloads[0].facts.value(declared.SECCOMP) == "profile"


# --- bad input ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "docker run " * 40_000,
        "docker " * 60_000,
        "docker run '" + "x" * 400_000,
        'docker run "$(' * 20_000,
        "/a" * 150_000 + "/docker run x",
        "A=" * 100_000 + " docker run x",
        "a" * 300_000 + "$ docker run x",
        "docker run a\n" * 20_000,
        "docker run -" + "i" * 200_000 + " x",
        "$(" * 100_000 + "docker run x",
        "docker run ${" * 20_000,
    ],
    ids=range(11),
)
def test_hostile_text_is_read_soon(text: str) -> None:
    begin = time.process_time()
    docker_run.recognises(Document("x.sh", text))
    docker_run.read_command(text, "x.sh")
    assert time.process_time() - begin < 5


PIECES = st.sampled_from([
    "docker", "podman", " ", " ", "\n", "\\\n", "run", "create", "--privileged", "=", "-v", "/a:/b", "$", "${", "}",
    "$(",
    ")", "`", "'", '"', "--mount", "type=bind,src=", ",", ":", "-it", "--net", "host", "image", "#", ";", "&&", "|",
    ">",
    "--security-opt", "seccomp={", "label", "--", "-", "--gpus", "--device", "X=1", "$X", "\t", "\r\n", "é",
])  # fmt: skip


@given(
    st.lists(st.one_of(PIECES, st.text(max_size=3)), max_size=40).map("".join),
    st.sampled_from(["a.sh", "b.md", "Makefile"]),
)
@settings(max_examples=400, deadline=None)
def test_no_text_raises_anything_but_a_question(text: str, name: str) -> None:
    docker_run.recognises(Document(name, text))
    reading = docker_run.read_command("docker run " + text, name)
    lines = text.count("\n") + 1
    for described in reading.workloads:
        assert 1 <= described.workload.source.line <= lines
        for entry in described.facts.table.values():
            assert isinstance(entry, Seen | Absent)
            assert entry.where is not None
            assert 1 <= entry.where.line <= lines


@given(
    st.lists(
        st.sampled_from(["a b", "$x", "it's", 'say "x"', "back\\slash", "", "\n", "#", ";", "`", "é"]),
        min_size=1,
        max_size=5,
    )
)
def test_quoted_words_come_back_as_they_were(words: list[str]) -> None:
    import shlex

    line = "docker run " + " ".join(shlex.quote(word) for word in words)
    (command,) = commands(line, "x.sh")
    assert [word.text for word in command.words] == ["run", *words]
    assert not any(word.unknown for word in command.words)


# --- where a command is started -------------------------------------------------------------------------------------


def started(text: str, name: str = "/srv/shop/run.sh") -> list[str]:
    """Return the host paths that the only command of a text mounts."""
    document, _ = parse(name, text.encode())
    surroundings = Surroundings(environment={"PWD": "/project", "HOME": "/home/kim"})
    (described,) = docker_run.read(document, surroundings).workloads
    return [mount.source for mount in described.facts.value(declared.MOUNTS) or ()]


@pytest.mark.parametrize(
    ("source", "path"),
    [
        ("$(pwd)", "/srv/shop"),
        ("`pwd`", "/srv/shop"),
        ("$PWD/data", "/srv/shop/data"),
        ('"${PWD}"/../x', "/srv/x"),
        ("./data", "/srv/shop/data"),
        (".", "/srv/shop"),
        ("~/data", "/home/kim/data"),
        ("$HOME/.cache", "/home/kim/.cache"),
        ("/etc/../srv", "/srv"),
    ],
)
def test_a_command_is_taken_to_be_started_beside_its_file(source: str, path: str) -> None:
    assert started(f"docker run -v {source}:/d x\n") == [path]


def test_a_relative_name_of_the_file_starts_from_the_working_directory() -> None:
    assert started("docker run -v ./d:/d x\n", "sub/run.sh") == ["/project/sub/d"]


@pytest.mark.parametrize("line", ["cd /tmp", "pushd $DIR >/dev/null", "true && cd x", "(cd ..)", "\tcd build"])
def test_a_file_that_goes_elsewhere_leaves_the_folder_open(line: str) -> None:
    (source,) = started(f"{line}\ndocker run -v $(pwd):/d x\n")
    assert not source.startswith("/")


@pytest.mark.parametrize("line", ['cd "$(dirname "$0")"', "cd ${BASH_SOURCE%/*}", "abcd /tmp", "# we do not cd here"])
def test_a_file_that_goes_to_its_own_folder_stays_there(line: str) -> None:
    assert started(f"{line}\ndocker run -v $(pwd):/d x\n") == ["/srv/shop"]


def test_a_unit_is_not_started_beside_its_file() -> None:
    (source,) = started("[Service]\nExecStart=/usr/bin/docker run -v ./d:/d x\n", "/etc/systemd/system/x.service")
    assert source == "./d"


def test_what_a_script_sets_itself_wins() -> None:
    assert started("PWD=/data\ndocker run -v $PWD:/d x\n") == ["/data"]


def test_a_guessed_folder_is_told() -> None:
    document, _ = parse("/srv/run.sh", b"docker run -u $PWD x\n")
    (described,) = docker_run.read(document, Surroundings(environment={"PWD": "/"})).workloads
    seen = described.facts.seen(declared.USER)
    assert seen is not None
    assert "beside this file" in seen.note


@pytest.mark.parametrize(
    "text",
    [
        "start() { docker run --privileged x; }",
        "function start() { docker run --privileged x; }",
        "start() {\n  docker run --privileged x\n}",
        "alias d='docker run --privileged x'",
        'alias d="docker run --privileged x"; true',
        "docker run ^\n  --privileged ^\r\n  x\n",
    ],
)
def test_functions_aliases_and_the_windows_shell(text: str) -> None:
    (workload,) = docker_run.read(Document("x.sh", text), Surroundings()).workloads
    assert workload.workload.image == "x"
    assert workload.facts.value(declared.PRIVILEGED) is True


def test_an_option_that_nobody_knows_leaves_known_capabilities() -> None:
    document = Document("x.sh", "docker run --cap-add SYS_ADMIN $MORE x\n")
    (workload,) = docker_run.read(document, Surroundings()).workloads
    assert (workload.facts.value(declared.CAPABILITIES_ADDED) or ())[0] == "SYS_ADMIN"


@pytest.mark.parametrize(
    ("text", "engine"),
    [
        ("$DOCKER run --privileged x", "docker"),
        ("${DOCKER} run --privileged x", "docker"),
        ('"$DOCKER" run --privileged x', "docker"),
        ("${DOCKER:-docker} run --privileged x", "docker"),
        ("run:\n\t@$(DOCKER) run --privileged x", "docker"),
        ("ENGINE=podman\nsudo $ENGINE run --privileged x", "podman"),
        ("CMD=/usr/bin/nerdctl\n$CMD container run --privileged x", "containerd"),
        ("${PODMAN_CMD} create --privileged x", "podman"),
        ("ExecStart=/bin/sh -c 'docker run --privileged x'", "docker"),
        ("case $1 in\n  start|up) docker run --privileged x ;;\nesac", "docker"),
        ("docker run --privileged $'x'", "docker"),
    ],
)
def test_engines_behind_variables_and_shells(text: str, engine: str) -> None:
    (workload,) = docker_run.read(Document("x.sh", text), Surroundings()).workloads
    assert workload.workload.image == "x"
    assert workload.facts.value(declared.ENGINE) == engine
    assert workload.facts.value(declared.PRIVILEGED) is True


@pytest.mark.parametrize(
    "text", ["$NPM run --privileged x", "${MAKE} run x", "CMD=yarn\n$CMD run x", "echo $DOCKER run"]
)
def test_other_programs_behind_variables_start_no_container(text: str) -> None:
    assert not docker_run.read(Document("x.sh", text), Surroundings()).workloads


def test_a_quoted_path_in_the_manner_of_c() -> None:
    assert started("docker run -v $'/etc':/e x\n") == ["/etc"]


@pytest.mark.parametrize("quote", ['"', "'"])
def test_a_quote_that_is_never_closed_is_told_and_hides_no_other_command(quote: str) -> None:
    text = f"docker run -v {quote}/:/host first\ndocker run --privileged second\ndocker run third"
    reading = docker_run.read_command(text, "a.sh")
    assert [one.workload.source.line for one in reading.workloads] == [1, 2, 3]
    assert [(one.what, one.line) for one in reading.problems] == [("a quote is opened and never closed", 1)]
    first, second, third = (one.facts for one in reading.workloads)
    assert first.absent(declared.PRIVILEGED) is not None
    assert second.value(declared.PRIVILEGED) is True
    assert third.value(declared.PRIVILEGED) is False
