"""Judge events by all of Falco's stock rules on one core; the events are plain tables, so that only judging counts."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from holdfast.rules.fields import field
from holdfast.rules.ruleset import Ruleset, load

FOLDER = Path(__file__).parent.parent.parent / "shared" / "data" / "falco"
NAMES = ("falco_rules.yaml", "falco-incubating_rules.yaml", "falco-sandbox_rules.yaml")
EVENTS = 20_000
ROUNDS = 7
MIX = {"close": 35, "openat": 45, "execve": 10, "connect": 10}
"""Per cent of each event: a Web application with a shell script now and then."""

_PROCESSES = (
    ("nginx", "nginx: worker process", "/usr/sbin/nginx", "nginx"),
    ("php-fpm", "php-fpm: pool www", "/usr/sbin/php-fpm8.2", "php-fpm"),
    ("python3", "python3 -m gunicorn app:app -w 4 --bind 0.0.0.0:8000", "/usr/bin/python3.11", "gunicorn"),
    ("postgres", "postgres: checkpointer", "/usr/lib/postgresql/15/bin/postgres", "postgres"),
    ("sh", "sh -c /srv/app/cron.sh", "/usr/bin/dash", "cron"),
    ("ls", "ls -l /srv/app/data", "/usr/bin/ls", "bash"),
    ("curl", "curl -fsS http://10.0.3.7:8080/health", "/usr/bin/curl", "sh"),
    ("node", "node server.js", "/usr/local/bin/node", "docker-init"),
)
_READ = (
    "/usr/lib/x86_64-linux-gnu/libc.so.6", "/etc/ld.so.cache", "/srv/app/templates/index.html", "/proc/self/status",
    "/etc/resolv.conf", "/usr/share/zoneinfo/UTC", "/sys/fs/cgroup/memory.max", "/srv/app/static/site.css",
)  # fmt: skip
_WRITTEN = ("/var/log/app/access.log", "/tmp/upload-83f1", "/srv/app/cache/7d", "/dev/null")


class Table:
    """An event whose answers are a table from facts to values."""

    __slots__ = ("get", "name")

    def __init__(self, name: str, answers: dict[Any, Any]) -> None:
        """Keep both."""
        self.name = name
        self.get = answers.get


def events(count: int, seed: int) -> list[Table]:
    """Draw events of the mix; few of them match a rule."""
    draw = random.Random(seed)
    kinds = draw.choices(list(MIX), weights=list(MIX.values()), k=count)
    made: list[Table] = []
    for number, kind in enumerate(kinds):
        answers = _process(draw) | {"evt.type": kind, "evt.num": number + 1, "evt.res": "SUCCESS", "evt.rawres": 0}
        answers |= _object(kind, draw)
        made.append(Table(kind, {field(name): value for name, value in answers.items()}))
    return made


def _process(draw: random.Random) -> dict[str, Any]:
    name, line, path, parent = draw.choice(_PROCESSES)
    contained = draw.random() < 0.7
    lineage = (name, parent, "containerd-shim" if contained else "systemd", "systemd")
    answers: dict[str, Any] = {
        "proc.name": name, "proc.cmdline": line, "proc.args": line.partition(" ")[2], "proc.exe": path,
        "proc.exepath": path, "proc.pname": parent, "proc.pcmdline": parent, "proc.pexe": parent, "proc.tty": 0,
        "proc.vpid": 17, "proc.duration": 90_000_000_000, "proc.env": "PATH=/usr/bin LANG=C", "proc.cwd": "/srv/app/",
        "proc.is_exe_upper_layer": False, "proc.is_exe_from_memfd": False, "proc.is_vpgid_leader": False,
        "proc.aname": lineage, "container.id": "3ad7b26ded6d" if contained else "host", "user.name": "www-data",
        "user.uid": 33, "user.loginuid": -1, "thread.cap_effective": "", "thread.cap_permitted": "",
    }  # fmt: skip
    answers |= {f"proc.aname[{level}]": one for level, one in enumerate(lineage)}
    if contained:
        answers |= {"container.image.repository": "docker.io/library/app", "container.privileged": False}
    return answers


def _object(kind: str, draw: random.Random) -> dict[str, Any]:
    if kind == "openat":
        write = draw.random() < 0.2
        path = draw.choice(_WRITTEN if write else _READ)
        directory, _, name = path.rpartition("/")
        return {
            "fd.name": path, "fd.nameraw": path, "fd.directory": directory, "fd.filename": name, "fd.typechar": "f",
            "fd.type": "file", "fd.num": 9, "evt.is_open_read": not write, "evt.is_open_write": write,
            "evt.is_open_exec": False, "evt.arg.flags": "O_WRONLY" if write else "O_RDONLY", "evt.arg.name": path,
        }  # fmt: skip
    if kind == "connect":
        address = draw.choice(("10.0.3.7", "10.0.3.9", "172.17.0.1"))
        return {
            "fd.name": f"10.0.3.4:51234->{address}:5432", "fd.type": "ipv4", "fd.typechar": "4", "fd.num": 11,
            "fd.sip": address, "fd.cip": "10.0.3.4", "fd.ip": ("10.0.3.4", address), "fd.net": ("10.0.3.4", address),
            "fd.snet": address, "fd.rnet": address, "fd.cnet": "10.0.3.4", "fd.sport": 5432, "fd.port": (51234, 5432),
            "fd.l4proto": "tcp", "fd.sockfamily": "ip", "fd.connected": True, "fd.name_changed": False,
        }  # fmt: skip
    if kind == "execve":
        return {"evt.arg.flags": "", "evt.arg.filename": "/usr/bin/ls"}
    return {"fd.num": 9}


def per_second(judge: Callable[[Any], Any], drawn: list[Table]) -> float:
    """Return how many events are judged in one second of processor time; the median of several rounds."""
    rates: list[float] = []
    for _ in range(ROUNDS):
        begin = time.process_time()
        for event in drawn:
            judge(event)
        rates.append(len(drawn) / (time.process_time() - begin))
    return statistics.median(rates)


def measured() -> tuple[float, dict[str, float], float, int, int]:
    """Judge the mix.

    Returns:
        Events per second of the mix and of each kind, seconds to load and compile, rules, and matches in the mix.
    """
    begin = time.process_time()
    loaded = load((name, (FOLDER / name).read_text(encoding="utf-8")) for name in NAMES)
    rules = loaded.rules
    for rule in rules:
        rule.definition.enabled = True
    every = Ruleset(rules)
    drawn = events(EVENTS, 4)
    for kind in MIX:
        every.judge(next(event for event in drawn if event.name == kind))
    ready = time.process_time() - begin
    matched = sum(bool(every.judge(event)) for event in drawn)
    kinds = {kind: per_second(every.judge, [event for event in drawn if event.name == kind]) for kind in MIX}
    return per_second(every.judge, drawn), kinds, ready, len(every.rules), matched
