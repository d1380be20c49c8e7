"""Settings: files, then the environment, then flags; what is wrong is named with its place. And recorded hosts."""

import json
from pathlib import Path

import pytest

from cli_program import COMPOSE, MODULE_POD, RESTRICTED_POD, SOCKET_POD, holdfast, scanned
from holdfast.app.settings import Settings, load
from holdfast.model.errors import Usage


@pytest.fixture
def pods(tmp_path):
    (tmp_path / "open.yaml").write_text(SOCKET_POD)
    (tmp_path / "modules.yaml").write_text(MODULE_POD)
    (tmp_path / "shut.yaml").write_text(RESTRICTED_POD)
    return tmp_path


def toml(folder: Path, text: str, name: str = "holdfast.toml") -> Path:
    (folder / name).write_text(text)
    return folder


def test_without_any_settings_the_defaults_hold(tmp_path):
    assert load(tmp_path, {}) == Settings()


@pytest.mark.parametrize(
    ("name", "head"), [("holdfast.toml", ""), ("pyproject.toml", "[project]\nname = 'x'\n[tool.holdfast]\n")]
)
def test_a_file_sets_everything(tmp_path, name, head):
    toml(
        tmp_path,
        head + "fail-on = 'unknown'\nassume = ['operator_exec', 'container.devices=block,mem']\nformat = 'json'\n"
        "output = 'r.json'\nbaseline = 'old.json'\nhost = 'this'\ndocker = 'unix:///d.sock'\nprofiles = []\n"
        "colour = 'never'\nverbose = true\nquiet = true\nmax-bytes = 1000\n",
        name,
    )
    assert load(tmp_path, {}) == Settings(
        "unknown", ("operator_exec", "container.devices=block,mem"), "json", f"{tmp_path}/r.json",
        f"{tmp_path}/old.json", "this", "unix:///d.sock", (), "never", True, True, 1000,
    )  # fmt: skip


def test_holdfast_toml_comes_before_pyproject_and_the_nearest_folder_before_its_parents(tmp_path):
    toml(tmp_path, "[tool.holdfast]\nformat = 'html'\n", "pyproject.toml")
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    assert load(inner, {}).format == "html"
    toml(tmp_path, "format = 'sarif'\n")
    assert load(inner, {}).format == "sarif"
    toml(inner.parent, "[tool.other]\nx = 1\n", "pyproject.toml")
    assert load(inner, {}).format == "sarif"
    toml(inner.parent, "verbose = true\n")
    assert load(inner, {}) == Settings(verbose=True)


def test_file_names_in_settings_are_relative_to_the_file_that_names_them(tmp_path):
    toml(tmp_path, "baseline = 'old.json'\nhost = 'node.json'\noutput = '-'\n")
    inner = tmp_path / "inner"
    inner.mkdir()
    settings = load(inner, {})
    assert (settings.baseline, settings.host) == (str(tmp_path / "old.json"), str(tmp_path / "node.json"))
    assert settings.output == "-"
    assert load(inner, {"HOLDFAST_BASELINE": "new.json"}).baseline == "new.json"


def test_the_environment_overrules_files(tmp_path):
    toml(tmp_path, "fail-on = 'never'\nquiet = true\n")
    values = {
        "HOLDFAST_FAIL_ON": "unknown",
        "HOLDFAST_ASSUME": "operator_exec, host_user",
        "HOLDFAST_QUIET": "no",
        "HOLDFAST_MAX_BYTES": "77",
        "HOLDFAST_PROFILES": "",
        "HOLDFAST_ENGINE": "not a setting",
        "OTHER": "x",
    }
    assert load(tmp_path, values) == Settings(
        fail_on="unknown", assume=("operator_exec", "host_user"), max_bytes=77, profiles=()
    )


@pytest.mark.parametrize(
    "text",
    [
        "fial-on = 'never'", "fail-on = 'sometimes'", "format = 3", "assume = 'x' 'y'", "assume = [1]",
        "quiet = 'maybe'", "max-bytes = 0", "max-bytes = -1", "max-bytes = true", "max-bytes = 'many'",
        "output = ['a']", "= 1", "\x00",
        "format = 'pdf'", "colour = 'green'", "verbose = 2", "host = false",
    ],
)  # fmt: skip
def test_what_is_wrong_in_a_file_is_named_with_the_file(tmp_path, text):
    toml(tmp_path, text)
    with pytest.raises(Usage) as caught:
        load(tmp_path, {})
    assert "holdfast.toml" in caught.value.where
    assert caught.value.next


@pytest.mark.parametrize(("name", "value"), [("HOLDFAST_FORMAT", "pdf"), ("HOLDFAST_MAX_BYTES", "1e6")])
def test_what_is_wrong_in_the_environment_is_named_too(tmp_path, name, value):
    with pytest.raises(Usage) as caught:
        load(tmp_path, {name: value})
    assert "HOLDFAST_" in caught.value.where


def test_a_file_that_is_no_text_or_a_folder_is_named(tmp_path):
    (tmp_path / "holdfast.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(Usage, match="cannot be understood"):
        load(tmp_path, {})
    (tmp_path / "holdfast.toml").unlink()
    (tmp_path / "holdfast.toml").mkdir()
    with pytest.raises(Usage):
        load(tmp_path, {})


@pytest.mark.parametrize(
    ("output", "form", "written"),
    [
        ("", "", "terminal"), ("a.json", "", "json"), ("a.SARIF", "", "sarif"), ("a.html", "", "html"),
        ("a.json", "terminal", "terminal"), ("-", "", "terminal"), ("json", "", "terminal"),
        ("a.sarif.json", "", "json"),
    ],
)  # fmt: skip
def test_the_format_that_was_set_comes_before_the_ending(output, form, written):
    assert Settings(output=output, format=form).report_format == written


def test_the_order_through_the_program(pods):
    toml(pods, "fail-on = 'never'\n")
    assert holdfast("scan", "open.yaml", folder=pods).code == 0
    assert holdfast("scan", "open.yaml", folder=pods, HOLDFAST_FAIL_ON="escapable").code == 1
    words = ("scan", "modules.yaml", "--fail-on", "unknown")
    assert holdfast(*words, folder=pods, HOLDFAST_FAIL_ON="never").code == 1
    assert holdfast("scan", "modules.yaml", folder=pods, HOLDFAST_FAIL_ON="escapable").code == 3
    toml(pods, "fail-on = 'alwyas'\n")
    ended = holdfast("scan", "open.yaml", folder=pods)
    assert ended.code == 2
    assert f"where: {pods}/holdfast.toml" in ended.err
    assert holdfast("--version", folder=pods).code == 0


def test_the_largest_file_can_be_set(pods):
    ended = scanned("open.yaml", "--max-bytes", "100", folder=pods)
    assert ended.code == 3
    assert ended.report["not_understood"]


def test_interpolation_reads_the_environment_of_the_person(tmp_path):
    (tmp_path / "compose.yaml").write_text(
        COMPOSE + '    volumes: ["${SOCK:-/srv/data}:/x"]\n    privileged: ${PRIV:-false}\n'
    )
    assert scanned(".", folder=tmp_path).verdicts == {"web": "contained"}
    text = (tmp_path / "compose.yaml").read_text().replace('user: "1000"', 'user: "0"')
    (tmp_path / "compose.yaml").write_text(text)
    assert scanned(".", folder=tmp_path, SOCK="/var/run/docker.sock").verdicts == {"web": "escapable"}


# --- hosts ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    path = tmp_path_factory.mktemp("host") / "node.json"
    ended = holdfast("facts", "--host", "--output", str(path), folder=path.parent)
    assert (ended.code, ended.out, ended.err) == (0, "", "")
    return path


def test_a_recorded_host_gives_the_verdicts_and_findings_of_the_host_itself(pods, node):
    here = scanned(".", "--host", "this", folder=pods).report
    there = scanned(".", "--host", str(node), folder=pods).report
    assert [each["host"] for each in here["assessments"]] == ["this machine"] * 3
    assert [each["host"] for each in there["assessments"]] == [str(node)] * 3
    for report in (here, there):
        for each in report["assessments"]:
            del each["host"]
    assert there["assessments"] == here["assessments"]
    assert there["edges"] == here["edges"]


def test_a_host_decides_more_than_none(pods, node):
    without = scanned(".", folder=pods).report
    beside = scanned(".", "--host", str(node), folder=pods).report
    unseen = [len(each["host_only"]) for each in without["assessments"]]
    assert all(unseen)
    assert all(len(each["host_only"]) < before for each, before in zip(beside["assessments"], unseen, strict=True))


def test_a_recorded_host_says_what_it_is_and_every_fact_has_a_place(node):
    record = json.loads(node.read_text())
    assert record["holdfast_facts"] == 1
    assert record["facts"]["host.kernel_version"]["where"]
    text = holdfast("facts", "--host", folder=node.parent).out
    assert "host.kernel_version" in text
    assert "/proc/" in text


@pytest.mark.parametrize(
    "text",
    [
        "", "{}", "[]", "null", '{"holdfast_facts": 2, "name": "x", "facts": {}}', '{"holdfast_facts": 1}', "\x00\xff",
        '{"schema_version": "1.0", "assessments": []}', "[" * 50_000, "kind: Pod\n",
        '{"holdfast_facts": 1, "name": "x", "facts": []}',
    ],
)  # fmt: skip
def test_a_host_that_is_broken_foreign_or_of_another_version_is_refused(pods, text):
    (pods / "node.json").write_text(text)
    ended = holdfast("scan", "open.yaml", "--host", "node.json", folder=pods)
    assert ended.code in {2, 13}, ended.out + ended.err
    assert ended.out == ""
    assert "node.json" in ended.err
    assert "next: " in ended.err
    assert "Traceback" not in ended.err


def test_a_host_that_is_not_there_is_a_wrong_call(pods):
    ended = holdfast("scan", "open.yaml", "--host", "gone.json", folder=pods)
    assert ended.code == 2
    assert "holdfast facts --host --output FILE" in ended.err


def test_a_record_of_a_newer_version_is_refused_by_the_word_that_nobody_knows(pods):
    facts = {"host.a_word_of_another_year": {"value": True, "where": ["x", "", 0]}}
    (pods / "node.json").write_text(json.dumps({"holdfast_facts": 1, "name": "old", "facts": facts}))
    ended = holdfast("scan", "modules.yaml", "--host", "node.json", folder=pods)
    assert ended.code == 13
    assert "host.a_word_of_another_year" in ended.err
    assert "next: record the host again" in ended.err


def test_a_folder_above_that_may_not_be_entered_has_no_say(tmp_path, monkeypatch):
    here = tmp_path / "closed" / "work"
    here.mkdir(parents=True)
    closed = here.parent
    real = Path.read_text

    def refused(path, *args, **more):
        if path.parent == closed:
            raise PermissionError
        return real(path, *args, **more)

    monkeypatch.setattr(Path, "read_text", refused)
    assert load(here, {}).fail_on == "escapable"
    with pytest.raises(Usage, match="cannot be read"):
        load(closed, {})
