"""What is shipped to run the sensor elsewhere: it fits the program, and our own scanner says what it is."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import yaml

from cli_program import holdfast
from holdfast.cli.main import build_parser
from holdfast.reason.effective.capabilities import NAMES
from holdfast.sensor import privileges

DEPLOY = Path(__file__).parents[1] / "deploy"
UNIT = (DEPLOY / "holdfast-watch.service").read_text()
PARSER = build_parser("watch")


def manifest(kind):
    (found,) = [one for one in yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text()) if one["kind"] == kind]
    return found


def of_unit(key):
    return [line.partition("=")[2] for line in UNIT.splitlines() if line.startswith(f"{key}=")]


def test_the_unit_calls_the_program_as_it_is() -> None:
    (line,) = of_unit("ExecStart")
    words = shlex.split(line)
    assert words[:2] == ["/usr/bin/holdfast", "watch"]
    options = PARSER.parse_args(words[1:])
    assert (options.quiet, options.metrics, options.policy) == (True, "127.0.0.1:9101", "/etc/holdfast/policy.yaml")
    assert of_unit("Type") == ["notify"]
    for section in ("[Unit]", "[Service]", "[Install]"):
        assert UNIT.count(f"\n{section}\n") == 1


def test_the_unit_grants_what_is_needed_and_no_more() -> None:
    (granted,) = (set(line.split()) for line in of_unit("CapabilityBoundingSet"))
    assert granted == {"CAP_SYS_RESOURCE"} | privileges.START | privileges.RUN | privileges.RESPOND
    assert of_unit("NoNewPrivileges") == ["yes"]
    for key in ("ProtectProc", "PrivateUsers", "PrivateNetwork", "RestrictNamespaces", "ProtectKernelTunables"):
        assert not of_unit(key), f"{key} would blind the sensor"


def test_the_daemon_set_calls_the_program_as_it_is() -> None:
    pod = manifest("DaemonSet")["spec"]["template"]["spec"]
    (box,) = pod["containers"]
    options = PARSER.parse_args(["watch", *box["args"]])
    mounted = {one["mountPath"]: one["name"] for one in box["volumeMounts"]}
    assert mounted.keys() >= {str(Path(options.spool).parent), str(Path(options.policy).parent)}
    assert set(mounted.values()) == {one["name"] for one in pod["volumes"]}
    assert {f"CAP_{one}" for one in box["securityContext"]["capabilities"]["add"]} == privileges.START
    assert pod["automountServiceAccountToken"] is False
    (named,) = box["env"]
    assert options.node == f"$({named['name']})"
    assert named["valueFrom"] == {"fieldRef": {"fieldPath": "spec.nodeName"}}


def test_the_policies_that_are_shipped_are_good(tmp_path) -> None:
    (tmp_path / "k.yaml").write_text(manifest("ConfigMap")["data"]["policy.yaml"])
    for path in (DEPLOY / "policy.yaml", tmp_path / "k.yaml"):
        ended = holdfast("watch", "--policy", str(path), "--check-policy", folder=tmp_path)
        assert ended.code == 0, ended.err
        assert ended.out.startswith("mode audit;")


def test_our_own_scanner_says_what_the_daemon_set_is(tmp_path) -> None:
    ended = holdfast("scan", str(DEPLOY / "kubernetes.yaml"), "--format", "json", folder=tmp_path)
    (found,) = ended.report["assessments"]
    ways = {one["technique"] for one in found["findings"] if one["verdict"] == "yes"}
    assert ways
    # To see all processes is its trade; the engine's socket, the host's disk and its kernel are none of it.
    assert not [one for one in ways if not one.startswith("host-pid-")], ways


@pytest.mark.parametrize("word", ["holdfast", "libbpf1", "ENTRYPOINT", "--cap-drop ALL"])
def test_the_image_holds_the_program_and_its_library(word) -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    assert word in text
    command = re.findall(r"^(?:ENTRYPOINT|CMD) (\[.*\])$", text, re.MULTILINE)
    words = [one for part in command for one in yaml.safe_load(part)]
    assert PARSER.parse_args(words[1:]).format == "json"
    added = {f"CAP_{one}" for one in re.findall(r"--cap-add (\w+)", text)}
    assert added == privileges.START


def test_every_capability_is_one() -> None:
    assert all(NAMES[number] == name.removeprefix("CAP_") or NAMES[number] == name
               for name, number in privileges.NUMBERS.items())  # fmt: skip


def test_the_policy_of_the_page_is_good_and_its_options_exist(tmp_path) -> None:
    page = (DEPLOY.parent / "docs" / "watch.md").read_text()
    (block,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    (tmp_path / "p.yaml").write_text(block)
    (tmp_path / "r.yaml").write_text(
        "- {rule: Name of a Falco rule, desc: d, condition: evt.type = dup, output: o, priority: notice}\n"
    )
    ended = holdfast("watch", "--policy", "p.yaml", "--rules", "r.yaml", "--check-policy", folder=tmp_path)
    assert ended.code == 0, ended.err
    known = set(re.findall(r"--[a-z][a-z-]+", holdfast("watch", "--help", folder=tmp_path).out))
    assert set(re.findall(r"`(--[a-z][a-z-]+)", page)) <= known
