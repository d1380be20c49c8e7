import json
import sqlite3
from dataclasses import replace

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
