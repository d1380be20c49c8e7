"""Where this machine gets its Debian packages from, so that the disk comes from the same mirror."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

DEBIAN = "http://deb.debian.org/debian"
SECURITY = "http://deb.debian.org/debian-security"


@dataclass(frozen=True, slots=True)
class Source:
    """One place of packages.

    Attributes:
        address: Root of the archive, without a slash at the end.
        suite: ``bookworm``, ``bookworm-security``, ...
        components: ``main``, ...
        keyring: File with the keys that sign it, empty for apt's own.
    """

    address: str
    suite: str
    components: tuple[str, ...]
    keyring: str = ""

    def line(self) -> str:
        """Return it as a line of sources.list."""
        signed = f" [signed-by={self.keyring}]" if self.keyring else ""
        return f"deb{signed} {self.address} {self.suite} {' '.join(self.components)}"


def read_line(text: str) -> Iterator[Source]:
    """Read a file in the one-line format.

    Source:
        sources.list(5)
    """
    for raw in text.splitlines():
        words = raw.partition("#")[0].split()
        if len(words) < 3 or words[0] != "deb":
            continue
        rest = words[1:]
        options: dict[str, str] = {}
        if rest[0].startswith("["):
            while rest:
                word = rest.pop(0)
                key, _, value = word.strip("[]").partition("=")
                options[key.strip()] = value
                if word.endswith("]"):
                    break
        if len(rest) < 2 or not _usable(options):
            continue
        yield Source(rest[0].rstrip("/"), rest[1], tuple(rest[2:]), _keyring(options.get("signed-by", "")))


def read_deb822(text: str) -> Iterator[Source]:
    """Read a file in the deb822 format.

    Source:
        sources.list(5), DEB822-STYLE FORMAT
    """
    for stanza in _stanzas(text):
        if "deb" not in stanza.get("types", "").split() or stanza.get("enabled", "yes").lower() in {"no", "false"}:
            continue
        if not _usable({"arch": stanza.get("architectures", "").replace(" ", ",")}):
            continue
        components = tuple(stanza.get("components", "").split())
        for address in stanza.get("uris", "").split():
            for suite in stanza.get("suites", "").split():
                yield Source(address.rstrip("/"), suite, components, _keyring(stanza.get("signed-by", "")))


def _stanzas(text: str) -> Iterator[dict[str, str]]:
    found: dict[str, str] = {}
    key = ""
    for raw in [*text.splitlines(), ""]:
        if raw.startswith("#"):
            continue
        if not raw.strip():
            if found:
                yield found
            found, key = {}, ""
        elif raw[0].isspace():
            found[key] = f"{found.get(key, '')} {raw.strip()}".strip()
        else:
            name, _, value = raw.partition(":")
            key = name.strip().lower()
            found[key] = value.strip()


def _usable(options: dict[str, str]) -> bool:
    kinds = options.get("arch", "")
    return not kinds or "amd64" in kinds.split(",")


def _keyring(text: str) -> str:
    # A key may also stand in the file itself; then the keyring of the distribution serves.
    return text if text.startswith("/") and " " not in text else ""


def sources(etc: Path = Path("/etc/apt")) -> list[Source]:
    """Read the machine's own list of package sources; a file that cannot be read is passed by.

    Args:
        etc: The folder of apt's settings.
    """
    found: list[Source] = []
    for path in [etc / "sources.list", *sorted((etc / "sources.list.d").glob("*"))]:
        reader = {".list": read_line, ".sources": read_deb822}.get(path.suffix)
        if reader is None:
            continue
        try:
            found += reader(path.read_text(encoding="utf-8", errors="replace"))
        except OSError:
            continue
    return found


def debian(suite: str, known: Iterable[Source]) -> list[Source]:
    """Choose the sources of one Debian release: the machine's own where it has them, its mirror else.

    The first one is the release itself, in its component main. Its updates, its security updates and its backports
    follow.

    Args:
        suite: Name of the release, ``bookworm``.
        known: The machine's own sources.
    """
    usable = [one for one in known if "main" in one.components and one.address.startswith(("http:", "https:", "file:"))]
    own = [one for one in usable if one.suite == suite and not one.address.endswith("-security")]
    # A machine with another release of Debian has a mirror all the same.
    others = [one for one in usable if one.address.endswith("/debian")]
    first = (own or others or [Source(DEBIAN, suite, ("main",))])[0]
    safe = [one for one in usable if one.suite == f"{suite}-security"] or [
        one for one in usable if one.suite.endswith("-security") and one.address.endswith("/debian-security")
    ]
    security = (safe or [Source(SECURITY, suite, ("main",), first.keyring)])[0]
    extra = [one.suite for one in usable if one.suite in {f"{suite}-updates", f"{suite}-backports"}]
    suites = [(first, suite), (security, f"{suite}-security"), *((first, one) for one in dict.fromkeys(extra))]
    return [Source(one.address, name, ("main",), one.keyring) for one, name in suites]
