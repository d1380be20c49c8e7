"""Package databases of a host: which engines and runtimes the distribution installed, in which package version."""

from __future__ import annotations

import re
from typing import Any

from holdfast.model.facts import Fact, Seen
from holdfast.model.place import Where
from holdfast.model.words import host
from holdfast.platforms._linux_host_records import Answer, Records

DATABASES = ("/var/lib/dpkg/status", "/lib/apk/db/installed", "rpm:")
_RPM_LINE = re.compile(r"^([A-Za-z0-9._+-]+) (\d+:\S+)$", re.MULTILINE)


def package_answers(records: Records) -> dict[Fact[Any], Answer]:
    """Answer the installed packages."""
    name = database(records)
    if records.text(name) is None:
        return {host.PACKAGES: records.absent(name, "no package database could be read")}
    found = installed(records)
    note = "" if found else "none of the known engines is installed as a package"
    return {host.PACKAGES: Seen(tuple(sorted(found.items())), Where(name), note)}


def database(records: Records) -> str:
    """Return the record of the database that names packages; the first one known where none does."""
    return max(DATABASES, key=lambda name: len(records.text(name) or ""))


def installed(records: Records) -> dict[str, str]:
    """Return version by package, of every database that was read."""
    found: dict[str, str] = {}
    for paragraph in (records.text("/var/lib/dpkg/status") or "").split("\n\n"):
        fields = _fields(paragraph, ": ")
        if fields.get("Status", "").endswith(" installed") and "Package" in fields:
            found[fields["Package"]] = fields.get("Version", "")
    for paragraph in (records.text("/lib/apk/db/installed") or "").split("\n\n"):
        fields = _fields(paragraph, ":")
        if "P" in fields:
            found[fields["P"]] = fields.get("V", "")
    for match in _RPM_LINE.finditer(records.text("rpm:") or ""):
        found[match[1]] = match[2]
    return found


def upstream(version: str) -> tuple[int, ...]:
    """Return the upstream numbers of a package version: ``5:20.10.24+dfsg1-1`` gives (20, 10, 24)."""
    numbers = re.match(r"\d+(?:\.\d+)*", re.sub(r"^[vV]?(?:\d+:)?[vV]?", "", version.strip()))
    return tuple(int(part) for part in numbers[0].split(".")) if numbers else ()


def _fields(paragraph: str, sign: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in paragraph.splitlines():
        key, present, value = line.partition(sign)
        if present and not line.startswith((" ", "\t")):
            found.setdefault(key, value.strip())
    return found
