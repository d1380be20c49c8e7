import json
import os
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from alerts_made import PLAIN, alert
from holdfast.app import alerts as use_case
from holdfast.cli import alerts as command
from holdfast.cli.main import main
from holdfast.model.alert import Priority
from holdfast.store.spool import Spool


@pytest.fixture
def path(tmp_path):
    tmp_path.chmod(0o700)
    with Spool.open(tmp_path / "spool.db") as spool:
        spool.append([alert(1), alert(2, Priority.NOTICE), replace(PLAIN, output="evil\n\x1b[31mforged")])
        spool.cursors.enlist(["siem"])
        spool.cursors.bury("siem", 1, 3, "400 no\n\x1b[31m")
    return tmp_path / "spool.db"


def test_alerts_are_listed_one_a_line(path, capsysbinary):
    assert main(["alerts", "list", str(path)]) == 0
    lines = capsysbinary.readouterr().out.splitlines()
    assert len(lines) == 3
    assert b"\x1b" not in lines[2]
    assert lines[1].split()[1:4] == [b"2", b"Notice", b"denied"]


def test_they_can_be_chosen(path, capsysbinary):
    for words, count in ((["--after", "1"], 2), (["--last", "1"], 1), (["--priority", "critical"], 2)):
        assert main(["alerts", "list", *words, str(path)]) == 0
        assert len(capsysbinary.readouterr().out.splitlines()) == count
    assert main(["alerts", "list", "--priority", "loud", str(path)]) == 2


def test_the_command_offers_every_format():
    assert command.FORMATS == use_case.FORMATS


@pytest.mark.parametrize("form", command.FORMATS)
def test_they_come_in_every_format(path, capsysbinary, form):
    assert main(["alerts", "list", "--format", form, str(path)]) == 0
    lines = capsysbinary.readouterr().out.splitlines()
    assert len(lines) == 3
    assert main(["alerts", "show", "--format", form, str(path), "2"]) == 0
    assert capsysbinary.readouterr().out.rstrip(b"\n") == lines[1]


def test_one_is_shown_whole(path, capsysbinary):
    assert main(["alerts", "show", str(path), "3"]) == 0
    shown = json.loads(capsysbinary.readouterr().out)
    assert shown["sequence"] == 3
    assert shown["output"] == "evil\n\x1b[31mforged"
    assert main(["alerts", "show", str(path), "9"]) == 2


def test_the_chain_is_checked(path, capsysbinary):
    assert main(["alerts", "verify", str(path)]) == 0
    assert b"3 records" in capsysbinary.readouterr().out
    connection = sqlite3.connect(path)
    connection.execute("DELETE FROM record WHERE sequence = 2")
    connection.commit()
    connection.close()
    assert main(["alerts", "verify", str(path)]) == 1
    assert b"breaks at record 2" in capsysbinary.readouterr().out
    assert main(["alerts", "verify", "--json", str(path)]) == 1
    assert json.loads(capsysbinary.readouterr().out)["broken"] == 2


def test_dead_letters_are_listed(path, capsysbinary):
    assert main(["alerts", "dead", str(path)]) == 0
    out = capsysbinary.readouterr().out
    assert b"\x1b" not in out
    assert b"1 siem: 400 no" in out
    assert b"siem: 2 of 3 records wait" in out
    assert main(["alerts", "dead", "--json", str(path)]) == 0
    assert json.loads(capsysbinary.readouterr().out)["sequence"] == 1


def test_a_damaged_one_is_put_away_and_one_in_use_is_not(path, capsysbinary):
    with Spool.open(path):
        assert main(["alerts", "aside", str(path)]) == 14
    path.write_bytes(b"damaged " * 1000)
    assert main(["alerts", "list", str(path)]) == 13
    assert b"holdfast alerts aside" in capsysbinary.readouterr().err
    assert main(["alerts", "aside", str(path)]) == 0
    assert b"damaged-" in capsysbinary.readouterr().out
    assert not path.exists()
    assert main(["alerts", "list", str(path)]) == 11


def _foreign(path, kind):
    if kind == "text":
        path.write_text("everything a person wrote\n", encoding="ascii")
    elif kind == "empty":
        path.touch()
    elif kind == "folder":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        with closing(sqlite3.connect(path)) as connection:
            connection.executescript("CREATE TABLE t(a);" + ("PRAGMA application_id=7" if kind == "marked" else ""))


@pytest.mark.parametrize("kind", ["text", "empty", "folder", "fifo", "database", "marked"])
def test_what_is_no_spool_is_not_put_away(path, capsysbinary, kind):
    other = path.with_name("other")
    _foreign(other, kind)
    before = set(path.parent.iterdir())
    assert main(["alerts", "aside", str(other)]) == 14
    assert b"other" in capsysbinary.readouterr().err
    assert set(path.parent.iterdir()) == before


def test_a_link_to_a_spool_is_not_followed(path, capsysbinary):
    link = path.with_name("link")
    link.symlink_to(path)
    assert main(["alerts", "aside", str(link)]) == 14
    assert b"name the file itself" in capsysbinary.readouterr().err
    assert link.is_symlink()
    assert path.exists()


def test_a_lock_that_somebody_else_left_proves_nothing(path):
    other = path.with_name("other")
    other.write_text("text\n", encoding="ascii")
    other.with_name("other.lock").touch()
    assert main(["alerts", "aside", str(other)]) == 14
    with Spool.open(path.with_name("third")):
        pass
    path.with_name("third").unlink()
    with closing(sqlite3.connect(path.with_name("third"))) as connection:
        connection.execute("CREATE TABLE t(a)")
    assert main(["alerts", "aside", str(path.with_name("third"))]) == 14


@pytest.mark.parametrize("place", [0, 60])
def test_a_spool_whose_header_is_damaged_is_put_away_with_its_log(path, capsysbinary, place):
    with path.open("r+b") as file:
        file.seek(place)
        file.write(b"\xa5" * 40)
    path.with_name("spool.db-wal").write_bytes(b"log")
    assert main(["alerts", "aside", str(path)]) == 0
    away = Path(capsysbinary.readouterr().out.decode().strip())
    assert away.read_bytes()[place : place + 40] == b"\xa5" * 40
    assert away.with_name(f"{away.name}-wal").read_bytes() == b"log"
    assert not path.exists()


def test_a_spool_in_order_may_be_put_away_too(path, capsysbinary):
    assert main(["alerts", "aside", str(path)]) == 0
    away = capsysbinary.readouterr().out.decode().strip()
    assert main(["alerts", "verify", away]) == 0
    assert main(["alerts", "aside", str(path)]) == 11


def test_nothing_is_put_away_where_others_write(path):
    path.parent.chmod(0o777)
    assert main(["alerts", "aside", str(path)]) == 14
    path.parent.chmod(0o700)
    path.chmod(0o666)
    assert main(["alerts", "aside", str(path)]) == 14
