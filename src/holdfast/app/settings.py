"""Settings: ``holdfast.toml`` or ``pyproject.toml``, then the environment, then flags. Later ones win."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path, PurePath
from typing import Any

from holdfast.app.verdicts import FAIL_ON
from holdfast.model.errors import Usage

FORMATS = ("terminal", "json", "sarif", "html")
COLOURS = ("auto", "always", "never")


@dataclass(frozen=True, slots=True)
class Settings:
    """What a person can set for a scan.

    Attributes:
        fail_on: Threshold for exit code 1: ``escapable``, ``unknown`` or ``never``.
        assume: Facts nobody can see, as ``NAME=VALUE``.
        format: ``terminal``, ``json``, ``sarif`` or ``html``; empty to go by the ending of ``output``.
        output: File to write the report to; empty for standard output.
        baseline: Earlier JSON report; only what is new is reported.
        host: ``this``, a recorded host's file, or empty to judge documents without a host.
        docker: Address of the Docker socket; empty for ``DOCKER_HOST`` or the default.
        profiles: Compose profiles that are active; None judges every service.
        colour: ``auto``, ``always`` or ``never``.
        verbose: Tell every finding in full.
        quiet: No progress and no notes.
        max_bytes: Largest file that is read, in bytes.
        drill_consent: Replicas may be started and attacked on this machine (``holdfast drill``).
    """

    fail_on: str = "escapable"
    assume: tuple[str, ...] = ()
    format: str = ""
    output: str = ""
    baseline: str = ""
    host: str = ""
    docker: str = ""
    profiles: tuple[str, ...] | None = None
    colour: str = "auto"
    verbose: bool = False
    quiet: bool = False
    max_bytes: int = 32 * 1024 * 1024
    drill_consent: bool = False

    def with_(self, values: Mapping[str, Any], where: str) -> Settings:
        """Return these settings with some replaced; ``None`` leaves one as it is.

        Raises:
            Usage: A name or a value that no setting takes.
        """
        known = {field.name for field in fields(self)}
        given = {name.replace("-", "_"): value for name, value in values.items() if value is not None}
        for name in given:
            if name not in known:
                raise Usage(f"there is no setting {name!r}", where, f"settings: {', '.join(sorted(known))}")
        checked: dict[str, Any] = {name: _checked(name, value, where) for name, value in given.items()}
        settings = replace(self, **checked)
        if settings.baseline and os.path.abspath(settings.baseline) == os.path.abspath(settings.output or "/"):  # noqa: PTH100
            raise Usage("the report would be written over its own baseline", where, "choose another output")
        return settings

    @property
    def report_format(self) -> str:
        """The format to write: the one that was set, else the one that the output's ending says, else terminal."""
        return self.format or _BY_ENDING.get(PurePath(self.output).suffix.lower(), "terminal")


_BY_ENDING = {".json": "json", ".sarif": "sarif", ".html": "html", ".htm": "html"}
_PATHS = ("baseline", "host", "output")
_CHOICES = {"fail_on": FAIL_ON, "format": FORMATS, "colour": COLOURS}
_LISTS = frozenset({"assume", "profiles"})
_FLAGS = frozenset({"drill_consent", "quiet", "verbose"})


def _checked(name: str, value: object, where: str) -> object:
    """Return the value as its setting's type takes it."""
    if name in _CHOICES:
        if value in _CHOICES[name]:
            return value
        raise Usage(f"{name} is {value!r}", where, f"one of: {', '.join(_CHOICES[name])}")
    if name in _LISTS:
        return _listed(name, value, where)
    if name in _FLAGS:
        return _flag(name, value, where)
    if name == "max_bytes":
        if str(value).isdigit() and not isinstance(value, bool) and int(str(value)) > 0:
            return int(str(value))
        raise Usage(f"max_bytes is {value!r}", where, "a number of bytes")
    if isinstance(value, str):
        return value
    raise Usage(f"{name} is {value!r}", where, "a text in quotes")


def _listed(name: str, value: object, where: str) -> tuple[str, ...]:
    parts = value.split(",") if isinstance(value, str) else value
    if isinstance(parts, list | tuple) and all(isinstance(part, str) for part in parts):
        return tuple(part.strip() for part in parts if part.strip())
    raise Usage(f"{name} is not a list of texts", where, f'{name} = ["..."]')


def _flag(name: str, value: object, where: str) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in {"1", "true", "yes", "on", "0", "false", "no", "off", ""}:
        return value.lower() in {"1", "true", "yes", "on"}
    raise Usage(f"{name} is {value!r}", where, "true or false")


def load(folder: Path | None = None, environment: Mapping[str, str] | None = None) -> Settings:
    """Read the settings files of a folder and the environment.

    Args:
        folder: Where to look first; its parents follow. The current folder by default. File names in the settings
            are relative to the file that names them.
        environment: ``HOLDFAST_FAIL_ON`` and so on; ``os.environ`` by default. ``HOLDFAST_ENGINE`` is not a setting.

    Raises:
        Usage: A settings file cannot be read, or names something unknown.
    """
    settings = Settings()
    here = (folder or Path.cwd()).absolute()
    for place in (here, *here.parents):
        table, name = _table(place, near=place == here)
        if table is not None:
            settings = _anchored(settings.with_(table, name), place)
            break
    values = os.environ if environment is None else environment
    known = {field.name for field in fields(settings)}
    given = {
        name.removeprefix("HOLDFAST_").lower(): value
        for name, value in values.items()
        if name.startswith("HOLDFAST_") and name.removeprefix("HOLDFAST_").lower() in known
    }
    return settings.with_(given, "environment HOLDFAST_*")


def _anchored(settings: Settings, folder: Path) -> Settings:
    """Make file names absolute that a settings file of this folder gives."""
    values = {name: getattr(settings, name) for name in _PATHS}
    given = {name: str(folder / value) for name, value in values.items() if value not in {"", "-", "this"}}
    return settings.with_(given, str(folder))


def _table(folder: Path, *, near: bool) -> tuple[dict[str, Any] | None, str]:
    """Read the settings file of a folder; one that may not be read is a trouble only where the person stands."""
    for name, keys in (("holdfast.toml", ()), ("pyproject.toml", ("tool", "holdfast"))):
        path = folder / name
        try:
            text = path.read_text(encoding="utf-8")
            import tomllib

            table: Any = tomllib.loads(text)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except PermissionError as error:
            if not near:
                continue
            raise Usage("the settings cannot be read", str(path), "give yourself read permission") from error
        except (ValueError, OSError) as error:
            raise Usage(f"the settings cannot be understood: {error}", str(path), "mend the file") from error
        for key in keys:
            table = table.get(key) if isinstance(table, dict) else None
        if isinstance(table, dict):
            return table, str(path)
    return None, ""
