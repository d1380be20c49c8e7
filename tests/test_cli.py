"""The program as a person meets it: calls, targets, formats, exit codes, and what happens when something is wrong."""

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from cli_program import (
    COMPOSE,
    COMPOSE_OVER,
    MODULE_POD,
    RESTRICTED_POD,
    SOCKET_POD,
    Ended,
    environment,
    holdfast,
    scanned,
)
from holdfast.techniques import load
from holdfast.version import __version__

ROOT = Path(__file__).parents[1]


@pytest.fixture
def shop(tmp_path):
    (tmp_path / "open.yaml").write_text(SOCKET_POD)
    (tmp_path / "shut.yaml").write_text(RESTRICTED_POD)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "modules.yaml").write_text(MODULE_POD)
    return tmp_path


def three_lines(ended: Ended) -> None:
    """An error says what happened, where, and what to do next, and shows no inside of the program."""
    first, *rest = ended.err.strip().splitlines()
    assert first.startswith("holdfast: ")
    assert any(line.startswith("where: ") for line in rest), ended.err
    assert any(line.startswith("next: ") for line in rest), ended.err
    assert "Traceback" not in ended.err


# --- help -----------------------------------------------------------------------------------------------------------


def test_the_version(tmp_path):
    ended = holdfast("--version", folder=tmp_path)
    assert (ended.code, ended.out, ended.err) == (0, f"holdfast {__version__}\n", "")


def test_help_teaches_with_examples_and_exit_codes(tmp_path):
    ended = holdfast("--help", folder=tmp_path)
    assert ended.code == 0
    for words in ("examples:", "holdfast scan", "exit codes: 0 ", "docker://web", "explain", "facts", "schema"):
        assert words in ended.out


@pytest.mark.parametrize("command", ["scan", "facts", "explain", "schema", "completion"])
def test_every_command_has_help_of_its_own(tmp_path, command):
    ended = holdfast(command, "--help", folder=tmp_path)
    assert ended.code == 0
    assert f"holdfast {command}" in ended.out
    assert "examples:" in ended.out or "install:" in ended.out
    assert max(map(len, ended.out.splitlines())) <= 120


def test_help_of_scan_names_every_target_exit_code_and_verdict(tmp_path):
    out = holdfast("scan", "--help", folder=tmp_path).out
    for words in (
        "docker://NAME", "proc://PID", "machine", "standard input", "Without a target", "escapable", "unknown",
        "contained", "exit codes:", "130", "--baseline", "holdfast.toml",
    ):  # fmt: skip
        assert words in out


def test_no_command_prints_the_help_and_is_a_wrong_call(tmp_path):
    ended = holdfast(folder=tmp_path)
    assert ended.code == 2
    assert "examples:" in ended.out


@pytest.mark.parametrize("words", [["scna"], ["scan", "--fial-on", "never"], ["scan", "--fail-on", "sometimes"]])
def test_a_word_that_nobody_knows_is_a_wrong_call(tmp_path, words):
    ended = holdfast(*words, folder=tmp_path)
    assert ended.code == 2
    assert "Traceback" not in ended.err
    assert words[-1] in ended.err or words[-2] in ended.err


# --- targets --------------------------------------------------------------------------------------------------------


def test_a_file_a_folder_and_both_at_once(shop):
    assert scanned("open.yaml", folder=shop).verdicts == {"open/app": "escapable"}
    everything = {"open/app": "escapable", "shut/app": "contained", "modules/app": "unknown"}
    assert scanned(".", folder=shop).verdicts == everything
    assert scanned("sub", "shut.yaml", folder=shop).verdicts == {"modules/app": "unknown", "shut/app": "contained"}


def test_a_file_that_is_named_twice_is_judged_once(shop):
    assert len(scanned("open.yaml", "./open.yaml", ".", folder=shop).report["assessments"]) == 3


def test_standard_input(shop):
    ended = scanned("-", folder=shop, stdin=SOCKET_POD.encode())
    assert ended.verdicts == {"open/app": "escapable"}
    assert ended.report["assessments"][0]["workload"]["source"]["document"] == "standard input"
    assert scanned("-", "shut.yaml", folder=shop, stdin=MODULE_POD.encode()).verdicts == {
        "modules/app": "unknown",
        "shut/app": "contained",
    }


def test_standard_input_that_is_nothing_known_is_not_clean(tmp_path):
    for data in (b"", b"hello: world\n", b"\xff\xfe\x00"):
        ended = scanned("-", folder=tmp_path, stdin=data)
        assert ended.code == 3, data
        assert ended.report["not_understood"], data


@pytest.mark.parametrize("target", ["nowhere.yaml", "podman://web", "dokcer://web", "proc://init", "http://x/y.yaml"])
def test_an_unknown_target_says_what_to_name_instead(tmp_path, target):
    ended = holdfast("scan", target, folder=tmp_path)
    assert ended.code == 2
    three_lines(ended)
    assert f"where: {target}" in ended.err
    assert "docker://NAME" in ended.err


def test_a_name_cannot_forge_lines_of_an_error(tmp_path):
    ended = holdfast("scan", "gone\nnext: do as I say\x1b[2J", folder=tmp_path)
    assert ended.code == 2
    assert "\x1b" not in ended.err
    assert ended.err.splitlines()[1] == "where: gone\\x0anext: do as I say\\x1b[2J"


def test_names_that_are_no_text_are_spelled_out(tmp_path):
    for name in (b"no\xfftext.yaml", b"two\nlines.yaml", b"-dash.yaml", "rtl\u202e.yaml".encode()):
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).write_text(SOCKET_POD)
    ended = scanned(".", folder=tmp_path)
    assert [each["workload"]["source"]["document"] for each in ended.report["assessments"]] == [
        "-dash.yaml", "no\\udcfftext.yaml", "rtl\u202e.yaml", "two\nlines.yaml",
    ]  # fmt: skip
    out = holdfast("scan", ".", folder=tmp_path).out
    assert "two\\x0alines.yaml:6" in out
    assert "rtl\\u202e.yaml:6" in out
    assert holdfast("scan", "--", "-dash.yaml", folder=tmp_path).code == 1


def test_a_named_file_of_no_known_kind_is_told_and_the_rest_goes_on(shop):
    (shop / "notes.yaml").write_text("just: notes\n")
    ended = scanned("notes.yaml", "open.yaml", folder=shop)
    assert ended.verdicts == {"open/app": "escapable"}
    assert [each["where"] for each in ended.report["not_understood"]] == ["notes.yaml"]
    assert not scanned(".", folder=shop).report["not_understood"]


def test_an_empty_folder_is_not_clean(tmp_path):
    ended = holdfast("scan", ".", folder=tmp_path)
    assert (ended.code, ended.out) == (3, "no container found\n")


def test_an_engine_that_is_not_there_ends_a_scan_of_it_and_no_other(shop):
    address = f"unix://{shop}/none.sock"
    ended = holdfast("scan", "docker://", "--docker", address, folder=shop)
    assert ended.code >= 10
    three_lines(ended)
    ended = scanned("--docker", address, folder=shop)
    assert {"open/app", "shut/app", "modules/app"} <= set(ended.verdicts)
    assert any("no Docker engine was asked" in note for note in ended.report["notes"])


def test_without_a_target_this_machine_and_the_folder_are_judged(shop):
    ended = scanned("--docker", f"unix://{shop}/none.sock", folder=shop)
    by_name = {each["workload"]["name"]: each for each in ended.report["assessments"]}
    assert by_name["open/app"]["host"] is None
    assert ended.report["host"] == "this machine"


def test_a_process_that_is_not_there_is_told(tmp_path):
    ended = scanned("proc://4194303", folder=tmp_path)
    assert ended.code == 3
    assert "4194303" in json.dumps(ended.report["not_understood"] + ended.report["notes"])


@pytest.mark.root
def test_all_processes_can_be_looked_at(tmp_path):
    ended = scanned("proc://", folder=tmp_path)
    assert ended.code in {0, 1, 3}
    assert ended.report["host"] == "this machine"


@pytest.mark.engine
def test_the_engine_and_a_container_that_it_does_not_know(tmp_path):
    ended = scanned("docker://hf-cli-nobody", folder=tmp_path)
    assert ended.code == 3
    assert [each["where"] for each in ended.report["not_understood"]] == ["docker://hf-cli-nobody"]
    assert scanned("docker://", folder=tmp_path).code in {0, 1, 3}
    assert scanned("machine", folder=tmp_path).code in {0, 1, 3}


# --- Compose --------------------------------------------------------------------------------------------------------


def test_compose_files_are_merged_in_the_order_in_which_they_are_named(tmp_path):
    (tmp_path / "compose.yaml").write_text(COMPOSE)
    (tmp_path / "prod.yaml").write_text(COMPOSE_OVER)
    assert scanned("-f", "compose.yaml", folder=tmp_path).verdicts == {"web": "contained"}
    both = scanned("-f", "compose.yaml", "-f", "prod.yaml", folder=tmp_path)
    assert both.verdicts == {"web": "escapable"}
    assert len(both.report["assessments"]) == 1
    assert scanned("-f", "prod.yaml", "-f", "compose.yaml", folder=tmp_path).verdicts == {"web": "unknown"}
    assert scanned("-f", "prod.yaml", folder=tmp_path).verdicts == {"web": "escapable"}


def test_an_override_is_merged_in_a_folder_and_not_judged_twice(tmp_path):
    (tmp_path / "compose.yaml").write_text(COMPOSE)
    (tmp_path / "compose.override.yaml").write_text(COMPOSE_OVER)
    report = scanned(".", folder=tmp_path).report
    assert [(each["workload"]["name"], each["verdict"]) for each in report["assessments"]] == [("web", "escapable")]


def test_a_merged_file_that_is_not_there_is_a_wrong_call_or_told(tmp_path):
    (tmp_path / "compose.yaml").write_text(COMPOSE)
    ended = holdfast("scan", "-f", "compose.yaml", "-f", "gone.yaml", folder=tmp_path)
    assert ended.code in {2, 3}
    assert "gone.yaml" in ended.out + ended.err


def test_profiles_choose_services(tmp_path):
    (tmp_path / "compose.yaml").write_text(COMPOSE + "  tool:\n    image: x\n    profiles: [debug]\n")
    assert set(scanned(".", folder=tmp_path).verdicts) == {"web", "tool"}
    assert set(scanned(".", "--profile", "debug", folder=tmp_path).verdicts) == {"web", "tool"}
    assert set(scanned(".", "--profile", "other", folder=tmp_path).verdicts) == {"web"}


# --- exit codes -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "fail_on", "code"),
    [
        ("open.yaml", None, 1),
        ("open.yaml", "escapable", 1),
        ("open.yaml", "unknown", 1),
        ("open.yaml", "never", 0),
        ("sub/modules.yaml", "escapable", 3),
        ("sub/modules.yaml", "unknown", 1),
        ("sub/modules.yaml", "never", 0),
        ("shut.yaml", "escapable", 0),
        ("shut.yaml", "unknown", 0),
    ],
)
def test_the_exit_code(shop, name, fail_on, code):
    words = ["--fail-on", fail_on] if fail_on else []
    assert holdfast("scan", name, *words, folder=shop).code == code


def test_a_document_that_is_not_understood_is_not_clean(shop):
    (shop / "shut.yaml").write_text("apiVersion: v1\nkind: Pod\n\tspec: x\n")
    ended = holdfast("scan", "shut.yaml", folder=shop)
    assert ended.code == 3
    assert "not understood" in ended.out
    assert "where: shut.yaml:3" in ended.out


# --- formats --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["terminal", "json", "sarif", "html"])
def test_a_format_is_the_same_on_standard_output_and_in_a_file(shop, form):
    shown = holdfast("scan", "open.yaml", "--format", form, folder=shop)
    written = holdfast("scan", "open.yaml", "--format", form, "--output", "out", folder=shop)
    assert (shown.code, written.code, written.out) == (1, 1, "")
    assert (shop / "out").read_bytes() == shown.raw


@pytest.mark.parametrize(
    ("name", "begins"),
    [
        ("r.json", b'{"schema_version"'),
        ("r.sarif", b'{"$schema"'),
        ("r.html", b"<!DOCTYPE html>"),
        ("r.HTM", b"<!DOCTYPE html>"),
        ("r.txt", b"escapable"),
        ("report", b"escapable"),
    ],
)
def test_the_ending_of_the_output_says_the_format(shop, name, begins):
    holdfast("scan", "open.yaml", "-o", name, folder=shop)
    assert (shop / name).read_bytes().startswith(begins)
    holdfast("scan", "open.yaml", "-o", name, "--format", "terminal", folder=shop)
    assert (shop / name).read_bytes().startswith(b"escapable")


@pytest.mark.parametrize("form", [[], ["--format", "json"], ["--format", "html"]])
def test_an_output_that_cannot_be_written_is_an_error_with_a_next_step(shop, form):
    ended = holdfast("scan", "open.yaml", "-o", "no/such/folder/r", *form, folder=shop)
    assert ended.code >= 10
    three_lines(ended)
    assert "no/such/folder/r" in ended.err


def test_a_failed_scan_leaves_the_older_report_alone(shop):
    (shop / "r.json").write_text("older")
    assert holdfast("scan", "gone.yaml", "-o", "r.json", folder=shop).code == 2
    assert (shop / "r.json").read_text() == "older"


def test_a_full_disk_is_told_and_is_no_finding(shop):
    with Path("/dev/full").open("wb") as full:
        answer = subprocess.run(
            [sys.executable, "-m", "holdfast", "scan", "open.yaml"],
            cwd=shop, stdout=full, stderr=subprocess.PIPE, check=False, env=environment(),
        )  # fmt: skip
    assert answer.returncode == 10
    assert b"No space left" in answer.stderr
    assert b"Traceback" not in answer.stderr


def test_a_closed_output_is_no_finding_either(shop):
    command = f"exec {sys.executable} -m holdfast scan open.yaml >&-"
    answer = subprocess.run(["sh", "-c", command], cwd=shop, capture_output=True, check=False, env=environment())
    assert answer.returncode >= 10
    assert b"Traceback" not in answer.stderr


def _schema(name):
    return Draft202012Validator(json.loads((ROOT / "schema" / f"{name}-1.json").read_text()))


def test_the_report_has_the_shape_that_was_promised(shop):
    (shop / "broken.yaml").write_text("kind: Pod\napiVersion: v1\nspec: [\n")
    report = scanned(".", folder=shop).report
    _schema("report").validate(report)
    assert re.fullmatch(r"1\.\d+", report["schema_version"])
    first = next(each for each in report["assessments"] if each["verdict"] == "escapable")
    assert first["workload"]["name"] == "open/app"
    assert first["workload"]["kind"] == "Pod"
    assert first["workload"]["source"]["document"].endswith("open.yaml")
    assert {"steps": ["docker-socket"], "reaches": "host_root", "verdict": "yes"} in first["paths"]
    finding = next(each for each in first["findings"] if each["technique"] == "docker-socket")
    assert finding["verdict"] == "yes"
    assert isinstance(finding["confirmed"], bool)
    assert '"line": 9' in json.dumps(finding["proof"])
    (trouble,) = report["not_understood"]
    assert trouble["line"]
    assert trouble["next"]


def test_the_schemas_are_shipped(tmp_path):
    names = {path.name.removesuffix("-1.json") for path in (ROOT / "schema").iterdir()}
    assert names == {"report", "drill", "harden", "facts", "alert", "watch-policy"}
    for name in names:
        ended = holdfast("schema", name, folder=tmp_path)
        assert ended.code == 0
        Draft202012Validator.check_schema(json.loads(ended.out))
        assert ended.raw == (ROOT / "schema" / f"{name}-1.json").read_bytes()
    assert holdfast("schema", folder=tmp_path).out == holdfast("schema", "report", folder=tmp_path).out


# --- how it looks ---------------------------------------------------------------------------------------------------


def test_a_pipe_gets_whole_lines_without_colour(shop):
    ended = holdfast("scan", ".", folder=shop)
    assert "\x1b" not in ended.out + ended.err
    assert "    host path /run/docker.sock is mounted  line 9" in ended.out.splitlines()
    narrow = holdfast("scan", ".", folder=shop, COLUMNS="40")
    assert narrow.out == ended.out


def test_colour_can_be_forced_and_forbidden(shop):
    assert "\x1b[" in holdfast("scan", ".", "--color", "always", folder=shop).out
    assert "\x1b[" in holdfast("scan", ".", folder=shop, FORCE_COLOR="1").out
    assert "\x1b" not in holdfast("scan", ".", folder=shop, FORCE_COLOR="1", NO_COLOR="1").out
    assert "\x1b" not in holdfast("scan", ".", "--colour", "never", folder=shop, FORCE_COLOR="1").out


def on_a_terminal(*words: str, folder: Path, columns: int = 80, stderr_only: bool = False, **env: str):
    """Run the program on a terminal of its own; return its exit code and what it wrote there."""
    parent, child = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "holdfast", *words],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL if stderr_only else child,
        stderr=child,
        env=environment(TERM="xterm", COLUMNS=str(columns), **env),
    )
    os.close(child)
    pieces = []
    while True:
        ready, _, _ = select.select([parent], [], [], 60)
        assert ready, "no output for a minute"
        try:
            piece = os.read(parent, 1 << 16)
        except OSError:  # the other side of a terminal is gone
            break
        if not piece:
            break
        pieces.append(piece)
    os.close(parent)
    return process.wait(60), b"".join(pieces).decode()


@pytest.mark.parametrize("columns", [60, 80, 100, 200])
def test_a_terminal_gets_colour_and_lines_that_fit(shop, columns):
    code, out = on_a_terminal("scan", ".", folder=shop, columns=columns)
    assert code == 1
    assert "\x1b[" in out
    plain = re.sub(r"\x1b\[[0-9;]*m", "", out)
    assert max(map(len, plain.split("\r\n"))) <= columns
    code, out = on_a_terminal("scan", ".", folder=shop, columns=columns, NO_COLOR="1")
    assert "\x1b" not in out


def test_progress_is_silent_for_what_ends_within_a_second(shop):
    _, out = on_a_terminal("scan", ".", folder=shop, stderr_only=True)
    assert out == ""


SLOW = """
import time
from holdfast.app import documents
read = documents.Reader.read_files
def slow(self, paths, **options):
    time.sleep(0.25)
    return read(self, paths, **options)
documents.Reader.read_files = slow
"""


@pytest.fixture
def slow(tmp_path_factory):
    folder = tmp_path_factory.mktemp("slow")
    (folder / "sitecustomize.py").write_text(SLOW)
    return {"before": str(folder)}


def test_progress_is_shown_on_a_terminal_after_a_second_and_wiped(shop, slow):
    for number in range(8):
        (shop / f"pod-{number}.yaml").write_text(SOCKET_POD)
    _, out = on_a_terminal("scan", ".", folder=shop, stderr_only=True, columns=60, **slow)
    lines = out.split("\r\x1b[2K")
    assert lines[0] == ""
    assert lines[-1] == ""
    assert any(re.fullmatch(r"\d+ (files read|workloads judged), \d+ s: .*", line) for line in lines[1:-1])
    assert max(map(len, lines)) < 60
    _, out = on_a_terminal("scan", ".", "--quiet", folder=shop, stderr_only=True, **slow)
    assert out == ""


def test_no_progress_in_a_log(shop, slow):
    for number in range(6):
        (shop / f"pod-{number}.yaml").write_text(SOCKET_POD)
    assert holdfast("scan", ".", folder=shop, **slow).err == ""


def test_quiet_leaves_notes_out(shop):
    words = ("scan", "--docker", f"unix://{shop}/none.sock")
    assert "note: no Docker engine was asked" in holdfast(*words, folder=shop).out
    assert "note:" not in holdfast(*words, "--quiet", folder=shop).out


def test_verbose_tells_every_condition(shop):
    brief, whole = holdfast("scan", "open.yaml", folder=shop).out, holdfast("scan", "open.yaml", "-v", folder=shop).out
    assert "container.host_paths covers /run/docker.sock" in whole
    assert len(whole.splitlines()) > 2 * len(brief.splitlines())


# --- being stopped --------------------------------------------------------------------------------------------------


def test_the_keyboard_stops_it_without_a_traceback(shop, slow):
    for number in range(40):
        (shop / f"pod-{number}.yaml").write_text(SOCKET_POD)
    process = subprocess.Popen(
        [sys.executable, "-m", "holdfast", "scan", "."],
        cwd=shop, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(**slow),
    )  # fmt: skip
    time.sleep(1.2)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert out == b""
    assert err == b"\nholdfast: stopped by the keyboard\n"


def test_a_reader_that_goes_away_is_no_trouble(shop):
    for number in range(400):
        (shop / f"pod-{number}.yaml").write_text(SOCKET_POD)
    command = f"{sys.executable} -m holdfast scan . --format json | head -c 20"
    answer = subprocess.run(["sh", "-c", command], cwd=shop, capture_output=True, check=False, env=environment())
    assert answer.stdout == b'{"schema_version":"1'
    assert answer.stderr == b""


def test_a_defect_is_no_finding(shop, tmp_path_factory):
    folder = tmp_path_factory.mktemp("defect")
    (folder / "sitecustomize.py").write_text(
        "from holdfast.app import documents\ndef broken(*_, **__): raise RuntimeError('boom')\n"
        "documents.Reader.read_files = broken\n"
    )
    ended = holdfast("scan", "open.yaml", folder=shop, before=str(folder))
    assert ended.code == 10
    assert "boom" in ended.err
    assert "this is a defect of Holdfast" in ended.err


# --- explain --------------------------------------------------------------------------------------------------------


def test_explain_lists_every_technique(tmp_path):
    lines = holdfast("explain", folder=tmp_path).out.splitlines()
    assert sorted(line.split()[0] for line in lines) == sorted(load())
    assert len(lines) >= 73


def test_explain_prints_every_page_at_once_and_each_has_its_parts(tmp_path):
    out = holdfast("explain", *sorted(load()), folder=tmp_path).out
    assert out.count("Open when") == out.count("Sources") == len(load())
    for technique in load().values():
        assert technique.title in out
        assert technique.sources[0] in out


@pytest.mark.parametrize("word", ["docker-socket", "docker_socket", "DOCKER-SOCKET"])
def test_explain_takes_an_id_however_it_is_written(tmp_path, word):
    assert holdfast("explain", word, folder=tmp_path).out.startswith("Command the Docker engine")


def test_explain_takes_an_attack_id_and_writes_markdown(tmp_path):
    assert holdfast("explain", "T1610", folder=tmp_path).out.count("Open when") >= 1
    out = holdfast("explain", "docker-socket", "--format", "markdown", folder=tmp_path).out
    assert out.startswith("# Command the Docker engine")


def test_explain_suggests_the_nearest(tmp_path):
    ended = holdfast("explain", "docker-sokcet", folder=tmp_path)
    assert ended.code == 2
    three_lines(ended)
    assert "did you mean docker-socket" in ended.err
    assert holdfast("explain", "zzz", folder=tmp_path).code == 2


# --- facts ----------------------------------------------------------------------------------------------------------


def test_facts_of_a_document_declared_and_effective_with_their_places(shop):
    out = holdfast("facts", "open.yaml", folder=shop).out
    assert re.search(r"container\.host_paths +/run/docker\.sock  open\.yaml:\d+", out)
    assert re.search(r"declared\.\w+ +.*open\.yaml:\d+", out)
    document = json.loads(holdfast("facts", "open.yaml", "--format", "json", folder=shop).out)
    _schema("facts").validate(document)
    facts = document["workloads"][0]["facts"]
    assert facts["container.host_paths"]["value"]["items"] == ["/run/docker.sock"]
    assert all("place" in entry for entry in facts.values())


def test_facts_need_a_target_that_is_there(shop):
    ended = holdfast("facts", "gone.yaml", folder=shop)
    assert ended.code == 2
    three_lines(ended)


def test_facts_of_a_broken_document_say_so(shop):
    (shop / "broken.yaml").write_text("kind: Pod\napiVersion: v1\nspec: [\n")
    ended = holdfast("facts", "broken.yaml", folder=shop)
    assert ended.code == 3
    assert "broken.yaml" in ended.err
    assert "open/app" in holdfast("facts", "broken.yaml", "open.yaml", folder=shop).out


def test_the_vocabulary_is_listed(tmp_path):
    out = holdfast("facts", "--words", folder=tmp_path).out
    assert "assumed.operator_exec" in out
    assert "host.cgroup_version" in out


# --- completion -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_completion_knows_commands_options_and_techniques(tmp_path, shell):
    ended = holdfast("completion", shell, folder=tmp_path)
    assert ended.code == 0
    for word in ("scan", "explain", "fail-on", "docker-socket"):
        assert word in ended.out


def test_the_bash_completion_is_valid_and_completes(tmp_path):
    (tmp_path / "c.bash").write_text(holdfast("completion", "bash", folder=tmp_path).out)
    script = (
        "source ./c.bash; COMP_WORDS=(holdfast explain docker-so); COMP_CWORD=2; "
        "fn=$(complete -p holdfast | sed 's/.*-F \\([^ ]*\\).*/\\1/'); $fn; echo ${COMPREPLY[@]}"
    )
    answer = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert answer.stdout.split() == ["docker-socket", "docker-socket-read-proxy"]


def test_a_shell_without_completion_is_named_with_those_that_have_it(tmp_path):
    ended = holdfast("completion", "fish", folder=tmp_path)
    assert ended.code == 2
    assert "bash" in ended.err
    assert "zsh" in ended.err
