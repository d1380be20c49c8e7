"""``holdfast harden`` as a person runs it: files in, changes out, and the files judged again."""

from __future__ import annotations

import json
import stat
import subprocess
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from cli_program import RESTRICTED_POD, SOCKET_POD, Ended, holdfast

SCHEMA = json.loads((Path(__file__).parents[1] / "schema" / "harden-1.json").read_text())
SHOP = """\
# the shop
services:
  web:
    image: nginx
  agent:
    image: agent   # watches
    privileged: true
    volumes:
      - /srv/data:/data
      - /var/run/docker.sock:/var/run/docker.sock
  backup:
    image: backup
    cap_add: [SYS_ADMIN, NET_ADMIN]
"""
ROOT_MOUNT = "services:\n  app:\n    image: x\n    volumes: ['/:/host']\n"


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    (tmp_path / "compose.yaml").write_text(SHOP)
    return tmp_path


def record(*words: str, folder: Path, stdin: bytes = b"") -> dict[str, object]:
    ended = holdfast("harden", *words, "--format", "json", folder=folder, stdin=stdin)
    found = json.loads(ended.out)
    Draft202012Validator(SCHEMA).validate(found)
    return found


def refused(ended: Ended, code: int) -> None:
    assert ended.code == code, ended.err
    assert len(ended.err.splitlines()) == 3
    assert "Traceback" not in ended.err


def test_what_is_proposed_is_told_and_nothing_is_written(shop: Path) -> None:
    ended = holdfast("harden", "compose.yaml", folder=shop)
    assert ended.code == 1
    assert "agent  escapable -> contained  compose.yaml:5" in ended.out
    assert "    do not run it privileged\n" in ended.out
    assert "\n-    privileged: true\n" in ended.out
    assert "ways out by itself" in ended.out
    assert (shop / "compose.yaml").read_text() == SHOP


def test_what_is_written_is_contained_and_needs_no_more(shop: Path) -> None:
    assert holdfast("harden", "compose.yaml", "--write", folder=shop).code == 0
    text = (shop / "compose.yaml").read_text()
    assert "docker.sock" not in text
    assert "/srv/data:/data" in text, "what opens no path stays"
    assert "image: agent   # watches\n" in text
    assert "NET_ADMIN" in text
    assert "SYS_ADMIN" not in text
    assert holdfast("scan", "compose.yaml", folder=shop).code == 0
    again = holdfast("harden", "compose.yaml", "--write", folder=shop)
    assert again.code == 0
    assert (shop / "compose.yaml").read_text() == text
    assert sorted(path.name for path in shop.iterdir()) == ["compose.yaml"]


def test_the_diff_is_what_would_be_written(shop: Path) -> None:
    diff = holdfast("harden", "compose.yaml", "--format", "diff", folder=shop)
    assert diff.code == 1
    subprocess.run(["git", "init", "-q"], cwd=shop, check=True)
    subprocess.run(["git", "apply", "-p0", "-"], cwd=shop, input=diff.raw, check=True)
    patched = (shop / "compose.yaml").read_bytes()
    (shop / "compose.yaml").write_text(SHOP)
    holdfast("harden", "compose.yaml", "--write", folder=shop)
    assert (shop / "compose.yaml").read_bytes() == patched


def test_a_file_without_a_last_newline_and_with_carriage_returns(shop: Path) -> None:
    before = SHOP.rstrip("\n").replace("\n", "\r\n").encode()
    (shop / "compose.yaml").write_bytes(before)
    diff = holdfast("harden", "compose.yaml", "--format", "diff", folder=shop)
    assert b"\\ No newline at end of file\n" in diff.raw
    assert holdfast("harden", "compose.yaml", "--write", folder=shop).code == 0
    after = (shop / "compose.yaml").read_bytes()
    assert after.count(b"\n") == after.count(b"\r\n")


def test_the_record_names_every_set_with_its_cost(shop: Path) -> None:
    found = record("compose.yaml", folder=shop)
    web, agent, backup = found["workloads"]  # type: ignore[misc]
    assert [each["changes"] for each in web["sets"]] == [[]]
    costs = [each["cost"] for each in agent["sets"]]
    assert len(costs) > 1
    assert costs == sorted(costs)
    assert agent["before"]["verdict"] == "escapable"
    assert agent["after"] == {"verdict": "contained", "paths": []}
    assert agent["complete"]
    assert backup["source"]["line"] == 11, "the place in the file as it is"
    assert [gain["paths"] for gain in found["gains"]] == sorted(  # type: ignore[attr-defined]
        (gain["paths"] for gain in found["gains"]),  # type: ignore[attr-defined]
        reverse=True,
    )


def test_a_manifest(tmp_path: Path) -> None:
    (tmp_path / "open.yaml").write_text(SOCKET_POD)
    (tmp_path / "shut.yaml").write_text(RESTRICTED_POD)
    assert holdfast("harden", ".", "--write", folder=tmp_path).code == 0
    assert (tmp_path / "shut.yaml").read_text() == RESTRICTED_POD
    assert holdfast("scan", ".", folder=tmp_path).code == 0


def test_a_dialect_that_is_not_written_is_told_by_hand(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(
        json.dumps(
            {
                "ociVersion": "1.0.2",
                "process": {"user": {"uid": 0, "gid": 0}, "args": ["sh"], "cwd": "/"},
                "root": {"path": "rootfs"},
                "mounts": [{"destination": "/host", "type": "bind", "source": "/", "options": ["rbind"]}],
                "linux": {"namespaces": [{"type": "pid"}, {"type": "mount"}]},
            }
        )
    )
    found = record("config.json", folder=tmp_path)
    (workload,) = found["workloads"]  # type: ignore[misc]
    assert workload["sets"]
    assert workload["left"]
    assert found["patches"] == []
    ended = holdfast("harden", "config.json", "--write", folder=tmp_path)
    assert ended.code == 1
    assert "make the change by hand" in ended.out


def test_wishes_that_leave_no_set_show_what_stays(tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text(ROOT_MOUNT)
    keep = [word for name in ("/", "user", "userns", "runtime") for word in ("--keep", name)]
    ended = holdfast("harden", "compose.yaml", *keep, folder=tmp_path)
    assert ended.code == 1
    assert "no set of changes is enough" in ended.out
    assert "host-root-write" in ended.out
    assert record("compose.yaml", *keep, folder=tmp_path)["patches"] == []


def test_a_change_outside_the_file_is_told_and_leaves_work_to_do(tmp_path: Path) -> None:
    mounted = ROOT_MOUNT.replace("/:/host", "/run/docker.sock:/s")
    (tmp_path / "compose.yaml").write_text(mounted)
    keep = [word for name in ("/run/docker.sock", "user", "runtime") for word in ("--keep", name)]
    ended = holdfast("harden", "compose.yaml", "--write", *keep, folder=tmp_path)
    assert ended.code == 1
    assert "not in this file, in the engine's configuration: remap users" in ended.out
    assert "contained once the changes outside the file are made; the file alone: escapable" in ended.out
    assert (tmp_path / "compose.yaml").read_text() == mounted


def test_a_wish_that_keeps_nothing_is_told(shop: Path) -> None:
    ended = holdfast("harden", "compose.yaml", "--keep", "CAP_SYS_TIME", "--keep", "privileged", folder=shop)
    assert "--keep CAP_SYS_TIME kept nothing" in ended.out
    assert "--keep privileged" not in ended.out


def test_what_is_certain_costs_less(tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text(SHOP)
    whole = record("compose.yaml", folder=tmp_path)["workloads"][1]["sets"][0]["cost"]  # type: ignore[index]
    certain = record("compose.yaml", "--certain", folder=tmp_path)["workloads"][1]  # type: ignore[index]
    assert certain["goal"] == "nothing_certain"
    assert certain["sets"][0]["cost"] <= whole
    assert not [path for path in certain["after"]["paths"] if path["verdict"] == "yes"]


def test_standard_input_is_shown_and_not_written(tmp_path: Path) -> None:
    found = record("-", folder=tmp_path, stdin=SOCKET_POD.encode())
    assert found["patches"][0]["path"] == "standard input"  # type: ignore[index]
    refused(holdfast("harden", "-", "--write", folder=tmp_path, stdin=SOCKET_POD.encode()), 2)


def test_a_read_only_file_is_an_error_and_stays(shop: Path) -> None:
    path = shop / "compose.yaml"
    path.chmod(0o444)
    refused(holdfast("harden", "compose.yaml", "--write", folder=shop), 12)
    assert path.read_text() == SHOP
    assert [each.name for each in shop.iterdir()] == ["compose.yaml"]


def test_mode_and_link_stay(shop: Path) -> None:
    (shop / "real").mkdir()
    (shop / "compose.yaml").rename(shop / "real" / "shop.yaml")
    (shop / "real" / "shop.yaml").chmod(0o640)
    (shop / "compose.yaml").symlink_to("real/shop.yaml")
    assert holdfast("harden", "compose.yaml", "--write", folder=shop).code == 0
    assert (shop / "compose.yaml").is_symlink()
    assert stat.S_IMODE((shop / "real" / "shop.yaml").stat().st_mode) == 0o640
    assert (shop / "real" / "shop.yaml").read_text() != SHOP


def test_what_runs_is_not_hardened(tmp_path: Path) -> None:
    refused(holdfast("harden", "docker://web", folder=tmp_path), 2)


def test_nothing_to_do_and_nothing_there(tmp_path: Path) -> None:
    (tmp_path / "shut.yaml").write_text(RESTRICTED_POD)
    assert holdfast("harden", "shut.yaml", folder=tmp_path).code == 0
    (tmp_path / "empty").mkdir()
    assert holdfast("harden", "empty", folder=tmp_path).code == 3
    (tmp_path / "broken.yaml").write_text("services: [\n")
    assert holdfast("harden", "broken.yaml", folder=tmp_path).code == 3


def test_where_only_what_is_certain_can_be_ended_the_report_says_so(tmp_path: Path) -> None:
    mounted = ROOT_MOUNT.replace(
        "image: x", "image: x\n    cap_add: [SYS_ADMIN]\n    security_opt: [apparmor:unconfined]"
    )
    (tmp_path / "compose.yaml").write_text(mounted)
    keep = [word for name in ("SYS_ADMIN", "apparmor", "runtime", "userns", "host") for word in ("--keep", name)]
    ended = holdfast("harden", "compose.yaml", "--write", *keep, folder=tmp_path)
    assert "no set of changes ends what hangs on things nobody could see" in ended.out
    assert "escapable -> unknown" in ended.out
    assert "\n  stays: " in ended.out
    assert ended.code == 3
    assert "/host" not in (tmp_path / "compose.yaml").read_text()
    assert "SYS_ADMIN" in (tmp_path / "compose.yaml").read_text()


def test_a_search_that_is_cut_short_names_its_bound(tmp_path: Path) -> None:
    mounts = "".join(f"      - /etc/cron.d/{n}:/m{n}\n" for n in range(6))
    (tmp_path / "compose.yaml").write_text(f"services:\n  app:\n    image: x\n    volumes:\n{mounts}")
    (workload,) = record("compose.yaml", folder=tmp_path)["workloads"]  # type: ignore[misc]
    assert not workload["complete"]
    assert workload["bound"] >= max(each["cost"] for each in workload["sets"])
    ended = holdfast("harden", "compose.yaml", folder=tmp_path)
    assert f"every set of changes that costs less than {workload['bound']} is named" in ended.out


def test_the_shell_completes_it(tmp_path: Path) -> None:
    assert "--keep" in holdfast("completion", "bash", folder=tmp_path).out.split("harden", 1)[1]
