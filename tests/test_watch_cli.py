"""``holdfast watch`` as a person calls it, where no kernel is needed."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli_program import holdfast

POLICY = """\
version: 1
rules:
  - containers: {name: "web-*"}
    techniques: ["core-pattern", "host-*"]
    action: pause
  - containers: containers
    techniques: [docker-socket]
    action: deny
    mode: enforce
    otherwise: kill
    except: {user: 1000, executable: /usr/bin/agent, action: observe}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "p.yaml").write_text(POLICY)
    (tmp_path / "wrong.yaml").write_text("version: 1\nmodus: audit\nrules: [{action: kil}]\n")
    (tmp_path / "rules.yaml").write_text(
        "- rule: Good\n  desc: d\n  condition: evt.type = dup\n  output: o\n  priority: notice\n"
        "- rule: Bad\n  desc: d\n  condition: evt.nope = 1\n  output: o\n  priority: notice\n"
    )
    return tmp_path


def test_a_policy_is_shown_as_it_holds(folder: Path) -> None:
    ended = holdfast("watch", "--policy", "p.yaml", "--check-policy", folder=folder)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("mode audit; where nothing fits: alert; 20 responses a minute at most\n")
    lines = ended.out.splitlines()
    assert "name=web-*" in lines
    assert any(line.startswith("  pause (audit: only said)     line 3: core-pattern, ") for line in lines)
    assert "  deny                         line 6: docker-socket" in lines
    assert "    except executable /usr/bin/agent, user 1000, in the image: observe" in lines
    assert "    the kernel knows no exceptions: instead of denying, kill" in lines


def test_every_error_of_a_policy_is_told_with_its_place(folder: Path) -> None:
    ended = holdfast("watch", "--policy", "wrong.yaml", "--check-policy", folder=folder)
    assert (ended.code, ended.out) == (13, "")
    assert "wrong.yaml:2:1: error: there is no key 'modus' in a policy (next: did you mean mode?)" in ended.err
    assert "wrong.yaml:3:18: error: the action is 'kil' (next: did you mean kill?)" in ended.err
    assert "the policy holds 4 errors" in ended.err
    started = holdfast("watch", "--policy", "wrong.yaml", folder=folder)
    assert started.code == 13


def test_good_rules_load_and_the_others_are_told(folder: Path) -> None:
    (folder / "q.yaml").write_text(
        "version: 1\nrules: [{containers: containers, techniques: [Good], action: ignore}]\n"
    )
    ended = holdfast("watch", "--rules", "rules.yaml", "--policy", "q.yaml", "--check-policy", folder=folder)
    assert ended.code == 0
    assert "rules.yaml:8:14: error: rule 'Bad': there is no field 'evt.nope'" in ended.err
    assert "line 2: Good" in ended.out
    alone = holdfast("watch", "--policy", "q.yaml", "--check-policy", folder=folder)
    assert alone.code == 13
    assert "no technique or rule is called 'Good'" in alone.err


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("--check-policy",), 2, "there is no policy to check"),
        (("--policy", "none.yaml", "--check-policy"), 11, "the policy cannot be read"),
        (("--replay", "none"), 11, "the recording cannot be read"),
        (("--replay", "p.yaml"), 13, "this is no recording of events"),
        (("--replay", "p.yaml", "--record", "x"), 2, "a recording is replayed or made, not both"),
        (("--release", "nobody"), 10, "nothing is held of such a container"),
    ],
)
def test_what_goes_wrong_is_said(folder: Path, words, code, told) -> None:
    ended = holdfast("watch", *words, folder=folder)
    assert (ended.code, told in ended.err) == (code, True), ended.err


def test_the_help_teaches(folder: Path) -> None:
    ended = holdfast("watch", "--help", folder=folder)
    for word in (
        "--policy",
        "--check-policy",
        "--replay",
        "--release",
        "--sink",
        "mode: audit",
        "SIGHUP",
        "exit codes",
    ):
        assert word in ended.out
