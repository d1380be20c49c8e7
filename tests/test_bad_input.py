"""What nobody should write and somebody does: each becomes one entry that says what to do, and the rest goes on."""

from __future__ import annotations

import codecs
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from holdfast.app import scan
from holdfast.app.settings import FORMATS, Settings
from holdfast.model.report import Report

POD = (
    "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n"
    "spec: {containers: [{name: c, image: x, securityContext: {privileged: true}}]}\n"
)
JSON_POD = '{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"},"spec":{"containers":[{"name":"c","image":"x"}]}}'
ROOT = Path(__file__).parent.parent
SCHEMA = Draft202012Validator(json.loads((ROOT / "schema" / "report-1.json").read_text(encoding="utf-8")))
NO_TEXT = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")
SECONDS = 20
"""Far above what each takes (under two), so that a busy machine fails no test; an explosion takes hours."""


def judged(folder: Path, monkeypatch: pytest.MonkeyPatch, *targets: str) -> Report:
    """Scan files in a folder as a person who stands in it would, and hold the time."""
    monkeypatch.chdir(folder)
    began = time.process_time()
    report = scan.scan(targets, Settings(quiet=True))
    assert time.process_time() - began < SECONDS
    return report


def rendered(report: Report, format_: str) -> str:
    """Render a report; what comes out is UTF-8."""
    pieces: list[bytes] = []
    chosen = Settings(quiet=True, format=format_, verbose=True)
    scan.write_report(report, chosen, pieces.append, colour=False, width=100)
    return b"".join(pieces).decode()


def bomb() -> str:
    steps = "".join(f"b{i}: &b{i} [{','.join([f'*b{i - 1}'] * 9)}]\n" for i in range(1, 12))
    return f"apiVersion: v1\nkind: Pod\nmetadata: {{name: a}}\nb0: &b0 [x,x,x,x,x,x,x,x,x]\n{steps}spec: *b11\n"


def merge_bomb() -> str:
    steps = "".join(f"x{i}: &x{i} {{<<: [{','.join([f'*x{i - 1}'] * 9)}], k{i}: 1}}\n" for i in range(1, 40))
    return f"x0: &x0 {{a: 1}}\n{steps}services: {{w: {{<<: *x39, image: x}}}}\n"


REFUSED: dict[str, tuple[str, str | bytes, int | None]] = {
    # case: name of the file, content, line (None: any)
    "broken": ("a.yaml", "a: [1, 2\nb: }", 2),
    "tab": ("a.yaml", "apiVersion: v1\nkind: Pod\n\tmetadata: x\n", 3),
    "bomb": ("a.yaml", bomb(), None),
    "merge bomb": ("compose.yaml", merge_bomb(), None),
    "contains itself": ("a.yaml", "kind: Pod\napiVersion: v1\nspec: &a\n  containers: [*a]\n", 4),
    "deep flow": ("a.yaml", "[" * 100_000 + "]" * 100_000, 1),
    "deep flow mapping": ("a.yaml", "{a: " * 100_000 + "}" * 100_000, 1),
    "deep block": ("a.yaml", "".join(" " * depth + "a:\n" for depth in range(2000)), 201),
    "deep list": ("a.yaml", "- " * 100_000 + "x", 1),
    "deep json": ("a.json", "[" * 100_000 + "]" * 100_000, 1),
    "deep json object": ("a.json", '{"a":' * 100_000 + "1" + "}" * 100_000, 1),
    "many keys": ("a.yaml", "".join(f"k{number}: v\n" for number in range(1_000_000)), None),
    "many keys in json": ("a.json", "{" + ",".join(f'"k{n}":1' for n in range(1_000_000)) + "}", None),
    "latin-1": ("a.yaml", POD.encode() + b"# na\xefve\n", 5),
    "zero byte": ("a.yaml", POD.encode() + b"x: a\0b\n", 5),
    "control character": ("a.yaml", POD.replace("name: a", 'name: "a\x1b[31m"'), 3),
    "picture": ("a.yaml", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(range(256)) * 20, None),
    "gzip": ("a.json", b"\x1f\x8b\x08\0\0\0\0\0" + bytes(range(256)) * 20, None),
    "empty": ("a.yaml", "", 0),
    "blank": ("a.yaml", "\n\n---\n---\n...\n", 0),
    "complex key": ("a.yaml", "? [a, b]\n: c\napiVersion: v1\n", 1),
    "template": ("a.yaml", "apiVersion: v1\nkind: Pod\nmetadata:\n  name: {{ .Values.x }}\n", 4),
    "template block": ("a.yaml", "apiVersion: v1\nspec:\n{{- if .x }}\n  a: b\n{{- end }}\n", None),
    "CloudFormation": ("a.yaml", "Resources:\n  X:\n    Type: T\n    P: {I: !Sub '${A}', V: !GetAtt [a, b]}\n", 0),
    "Ansible": ("a.yaml", "- hosts: all\n  tasks: [{docker_container: {name: a, privileged: yes}}]\n", 0),
    "workflow": ("a.yaml", "on: [push]\njobs: {b: {services: {r: {image: redis}}, steps: [{run: make}]}}\n", 0),
    "trailing comma": ("a.json", JSON_POD.replace("}]", "},]"), 1),
    "cut json": ("a.json", '[{"Id":"a",\n"HostConfig":{"Privileged":tr', 2),
    "json with comments": ("a.json", '// x\n{"a": 1}', None),
    "not a number": ("a.json", JSON_POD.replace('"x"', "NaN"), 1),
    "number": ("a.json", "5", 0),
    "null": ("a.json", "null", 0),
    "no yaml character": ("a.yaml", "a: @x\n", 1),
    "executable": ("a.sh", b"\x7fELF" + bytes(range(256)) * 2000, 0),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_read_is_one_entry_and_the_rest_goes_on(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, content, line = REFUSED[case]
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    (tmp_path / "good.yaml").write_text(POD)
    report = judged(tmp_path, monkeypatch, name, "good.yaml")
    (trouble,) = report.not_understood
    assert trouble.where.split(":")[0] == name
    assert trouble.next
    assert line is None or trouble.line == line
    assert [assessment.workload.source.document for assessment in report.assessments] == ["good.yaml"]


READ: dict[str, tuple[str, bytes]] = {
    "utf-8 mark": ("a.yaml", codecs.BOM_UTF8 + POD.encode()),
    "utf-8 mark in json": ("a.json", codecs.BOM_UTF8 + JSON_POD.encode()),
    "utf-16": ("a.yaml", codecs.BOM_UTF16_LE + POD.encode("utf-16-le")),
    "utf-16 without mark": ("a.yaml", POD.encode("utf-16-be")),
    "utf-32": ("a.yaml", codecs.BOM_UTF32_LE + POD.encode("utf-32-le")),
    "carriage returns": ("a.yaml", POD.replace("\n", "\r").encode()),
    "windows lines": ("a.yaml", POD.replace("\n", "\r\n").encode()),
    "latin-1 in a script": ("a.sh", b"# na\xefve\ndocker run --privileged x\n"),
    "script with a load": ("a.sh", b"#!/bin/sh\ndocker run --privileged x\nexit\n" + bytes(range(256)) * 9000),
    "tag directive": ("a.yaml", b"%TAG ! tag:x,2000:\n---\n" + POD.encode()),
    "capitals": ("a.YAML", POD.encode()),
}


@pytest.mark.parametrize("case", READ)
def test_what_looks_odd_and_means_something_is_read(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name, content = READ[case]
    (tmp_path / name).write_bytes(content)
    report = judged(tmp_path, monkeypatch, name)
    assert not report.not_understood
    assert len(report.assessments) == 1


def test_a_broken_document_does_not_take_its_neighbours_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.yaml").write_text(POD + "---\na: b: c\n---\n" + POD.replace("name: a", "name: b"))
    report = judged(tmp_path, monkeypatch, "a.yaml")
    assert [assessment.workload.name for assessment in report.assessments] == ["a/c", "b/c"]
    assert [trouble.line for trouble in report.not_understood] == [6]


def test_a_key_that_is_repeated_often_is_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.yaml").write_text(POD + "x: 1\n" * 20_000)
    (trouble,) = judged(tmp_path, monkeypatch, "a.yaml").not_understood
    assert "20000 times" in trouble.what
    assert trouble.line == 20_004


@pytest.mark.parametrize(
    ("text", "workloads", "what"),
    [
        ("docker run --rm x\n" * 2500, 2000, "more than 2000 command lines"),
        ("docker " * 200_000 + "run\ndocker run x\n", 0, "was not read"),
        ("docker run " + "-e a=b " * 20_000 + "x\n", 1, "its end was not read"),
    ],
)
def test_a_text_with_too_much_in_it_says_so(
    text: str, workloads: int, what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.sh").write_text(text)
    report = judged(tmp_path, monkeypatch, "a.sh")
    assert len(report.assessments) == workloads
    (trouble,) = report.not_understood
    assert what in trouble.what


def nested(name: str) -> str:
    return "$(" * 30_000 if name == "substitutions" else "docker run `" * 2000 + "\n" + "docker run -v '" * 2000


@pytest.mark.parametrize("name", ["substitutions", "quotes"])
def test_quotes_that_never_end(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.sh").write_text("docker run " + nested(name) + " x\n")
    judged(tmp_path, monkeypatch, "a.sh")


def special(folder: Path) -> None:
    """Fill a folder with things that are no files, or cannot be had."""
    (folder / "dangling.yaml").symlink_to("nowhere")
    (folder / "one.yaml").symlink_to("two.yaml")
    (folder / "two.yaml").symlink_to("one.yaml")
    (folder / "zero.yaml").symlink_to("/dev/zero")
    os.mkfifo(folder / "pipe.yaml")
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(folder / "s.yaml"))
    server.close()
    (folder / "folder.yaml").mkdir()
    (folder / "folder.yaml" / "in.yaml").write_text(POD)
    (folder / "circle").symlink_to(".")


def test_what_is_no_file_is_told_and_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    special(tmp_path)
    report = judged(tmp_path, monkeypatch, ".")
    assert sorted(trouble.where for trouble in report.not_understood) == [
        "dangling.yaml", "one.yaml", "pipe.yaml", "s.yaml", "two.yaml", "zero.yaml",
    ]  # fmt: skip
    assert all(trouble.next for trouble in report.not_understood)
    assert [assessment.workload.name for assessment in report.assessments] == ["a/c"]


CONTROL = "\x1b]0;owned\x07\x1b[2J\x1b[31m\x9b5m\u202e\u2028\x7f\n\r\t"
WRITTEN = json.dumps(CONTROL)[1:-1].replace("\x7f", "\\u007f").replace("\x9b", "\\u009b")


def hostile() -> dict[bytes, bytes]:
    """Return files that carry terminal sequences wherever a text goes from a document into a report."""
    inspected = [
        {
            "Id": "a" * 64,
            "Name": f"/n{CONTROL}",
            "Config": {"User": CONTROL, "Image": CONTROL},
            "HostConfig": {"Privileged": True, "Binds": [f"/etc{CONTROL}:/x"], "CapAdd": [CONTROL], "PidMode": CONTROL},
            "Mounts": [{"Type": CONTROL, "Source": CONTROL, "Destination": "/y"}],
        }
    ]
    compose = (
        f'services:\n  "w{WRITTEN}":\n    image: "x{WRITTEN}"\n    privileged: "yes{WRITTEN}"\n    user: "{WRITTEN}"\n'
        f'    volumes: ["/etc{WRITTEN}:/x"]\n    cap_add: ["SYS{WRITTEN}"]\n    runtime: "{WRITTEN}"\n'
        f'    security_opt: ["{WRITTEN}=x", "apparmor={WRITTEN}"]\n    devices: ["{WRITTEN}:x:zz"]\n'
        f'    extends: "{WRITTEN}"\n    "{WRITTEN}": 1\n'
    )
    pod = POD.replace("name: a", f'name: "a{WRITTEN}"').replace("image: x", f'image: "x{WRITTEN}", "{WRITTEN}": 1')
    return {
        b"a.yaml": pod.encode(),
        b"compose.yaml": compose.encode(),
        b"i.json": json.dumps(inspected).encode(),
        b"a.sh": f"docker run --privileged --name 'n{CONTROL}' 'im{CONTROL}'\ndocker run --f\x1b[31m x\n".encode(),
        b"new\nline\x1b[31m.yaml": POD.encode(),
        b"lat\xef\xff.yaml": POD.encode(),
        b"brok\nen\x9b\xff.yaml": b"a: [",
        b"sp ace #?%&<>\"'.yaml": POD.encode(),
        b"n" * 240 + b".yaml": POD.encode(),
    }


@pytest.mark.parametrize("format_", FORMATS)
def test_no_control_character_reaches_a_report(format_: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, content in hostile().items():
        with open(os.fsencode(tmp_path) + b"/" + name, "wb") as file:  # noqa: PTH123 - names that are no text
            file.write(content)
    (tmp_path / "link.yaml").symlink_to(f"no{CONTROL.replace(chr(0), '')}where")
    report = judged(tmp_path, monkeypatch, ".")
    assert len(report.assessments) == 9
    text = rendered(report, format_)
    assert "owned" in text
    found = NO_TEXT.search(text)
    assert found is None, text[max(0, found.start() - 60) : found.end() + 20]
    if format_ == "json":
        assert not [error.message for error in SCHEMA.iter_errors(json.loads(text))]


def locations(log: dict[str, Any]) -> list[tuple[str, int]]:
    return [
        (place["physicalLocation"]["artifactLocation"]["uri"], place["physicalLocation"]["region"]["startLine"])
        for result in log["runs"][0]["results"]
        for place in result["locations"]
    ]


def test_sarif_points_at_files_by_relative_encoded_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (b"sp ace #?%&.yaml", b"lat\xef.yaml", b"new\nline.yaml", b"plain.yaml"):
        with open(os.fsencode(tmp_path) + b"/" + name, "wb") as file:  # noqa: PTH123 - names that are no text
            file.write(b"# first line\n" + POD.encode())
    text = rendered(judged(tmp_path, monkeypatch, "."), "sarif")
    assert str(tmp_path) not in text
    found = locations(json.loads(text))
    assert {uri.removeprefix("./") for uri, _ in found} == {
        "sp%20ace%20%23%3F%25%26.yaml", "lat%EF.yaml", "new%0Aline.yaml", "plain.yaml",
    }  # fmt: skip
    assert {line for _, line in found} == {5}


# --- through the program --------------------------------------------------------------------------------------------


def program(
    *words: str, folder: Path, output: Any = subprocess.PIPE, **more: Any
) -> subprocess.CompletedProcess[bytes]:
    """Run the program as a person does."""
    return subprocess.run(
        [sys.executable, "-m", "holdfast", "scan", *words],
        cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.PIPE, check=False, timeout=120,
        **more,
    )  # fmt: skip


@pytest.mark.parametrize("format_", FORMATS)
def test_a_reader_that_goes_and_a_full_disk(format_: str, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("---\n".join(POD.replace("name: a", f"name: a{n}") for n in range(200)))
    read, write = os.pipe()
    os.close(read)
    gone = program("a.yaml", "--format", format_, folder=tmp_path, output=write)
    os.close(write)
    assert gone.stderr == b""
    for words in (("--output", "/dev/full"), ("--output", "/nowhere/x"), ("--output", str(tmp_path))):
        refused = program("a.yaml", "--format", format_, *words, folder=tmp_path)
        assert refused.returncode >= 10
        assert refused.stderr.startswith(b"holdfast: the report cannot be written")
        assert b"Traceback" not in refused.stderr
    with Path("/dev/full").open("wb") as full:
        refused = program("a.yaml", "--format", format_, folder=tmp_path, output=full)
    assert refused.returncode >= 10
    assert refused.stderr.startswith(b"holdfast: No space left on device")


def test_a_closed_standard_input_is_a_trouble_and_no_defect(tmp_path: Path) -> None:
    close: Callable[[], None] = lambda: os.close(0)  # noqa: E731 - a function for one call
    done = program("-", folder=tmp_path, preexec_fn=close)
    assert done.returncode >= 3
    assert b"Traceback" not in done.stderr
    assert b"standard input" in done.stdout + done.stderr


def test_progress_is_not_told_to_a_log(tmp_path: Path) -> None:
    for number in range(600):
        (tmp_path / f"{number}.yaml").write_text(POD)
    done = program(".", folder=tmp_path)
    assert done.stderr == b""


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Return a folder that every user of the machine may enter; those of pytest are closed."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


@pytest.mark.root
def test_what_an_ordinary_user_may_not_read_is_told(open_folder: Path) -> None:
    (open_folder / "closed").mkdir()
    (open_folder / "closed" / "in.yaml").write_text(POD)
    (open_folder / "closed").chmod(0o700)
    (open_folder / "secret.yaml").write_text(POD)
    (open_folder / "secret.yaml").chmod(0o600)
    (open_folder / "good.yaml").write_text(POD)
    # Python itself may lie where an ordinary user may not read: the first scan imports all that the second one needs
    code = (
        "import os, sys\nfrom holdfast.cli.main import main\n"
        "main(['scan', '.', '--format', 'json', '--output', os.devnull])\n"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "sys.exit(main(['scan', '.', '--format', 'json']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=open_folder, capture_output=True, check=False, timeout=60,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    report = json.loads(done.stdout)
    assert [one["workload"]["source"]["document"] for one in report["assessments"]] == ["good.yaml"]
    assert sorted(one["where"] for one in report["not_understood"]) == ["closed", "secret.yaml"]
    assert all("run as root" in one["next"] for one in report["not_understood"])


def peak_kib(folder: Path, *words: str) -> int:
    """Return the greatest memory that a run of the program had, in KiB.

    The kernel's own high-water mark is read: getrusage(2) counts what the process was before execve(2), the tests.
    """
    code = (
        "import re, sys\nfrom holdfast.cli.main import main\nmain(sys.argv[1:])\n"
        "print(re.search('VmHWM: *([0-9]+)', open('/proc/self/status').read().expandtabs())[1], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "scan", *words],
        cwd=folder, capture_output=True, check=True, timeout=120,
    )  # fmt: skip
    return int(done.stderr.split()[-1])


def test_memory_is_bounded_for_the_worst_files(tmp_path: Path) -> None:
    for name in ("many keys", "bomb", "deep list"):
        file, content, _ = REFUSED[name]
        (tmp_path / f"{name}.{file}").write_bytes(content if isinstance(content, bytes) else content.encode())
    with (tmp_path / "large.yaml").open("wb") as sparse:
        sparse.truncate(100 << 20)
    assert peak_kib(tmp_path, ".", "--format", "json", "--output", "/dev/null") < 300 << 10


def test_memory_hardly_grows_with_the_number_of_files(tmp_path: Path) -> None:
    few, many = tmp_path / "few", tmp_path / "many"
    for folder, number in ((few, 50), (many, 1500)):
        folder.mkdir()
        for each in range(number):
            (folder / f"{each}.yaml").write_text(POD.replace("privileged: true", f"runAsUser: {each + 1}"))
    grown = peak_kib(many, ".", "--format", "json", "-o", "/dev/null") - peak_kib(
        few, ".", "--format", "json", "-o", "/dev/null"
    )
    assert grown < 1450 * 20, "KiB more for 1,450 files more"
