"""Where a host path, possibly with ``*`` for a component, lies inside a replica. Looks at the host's files only."""

from __future__ import annotations

import os
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

from holdfast.model.replica import Bind
from holdfast.model.values import normal_path


def inside(binds: tuple[Bind, ...], pattern: str, *, folder: bool | None) -> Iterator[tuple[str, Path]]:
    """Yield where a host path is seen inside.

    Args:
        binds: The replica's mounts; those of nothing on the host are passed over.
        pattern: Absolute host path; ``*`` stands for one component.
        folder: True for directories only, False for anything else only, None for both.

    Yields:
        Path inside and path on the host's side (of the stand-in, where there is one). Only what exists.
    """
    wanted = _parts(normal_path(pattern))
    for number, bind in enumerate(binds):
        if not bind.source:
            continue
        over = [later.target for later in binds[:number] + binds[number + 1 :] if _over(later.target, bind.target)]
        over += [later.target for later in binds[number + 1 :] if _same(later.target, bind.target)]
        source = _parts(normal_path(bind.source))
        base = Path(bind.stand_in or bind.source)
        if len(source) >= len(wanted):
            if _match(source, wanted) and _is(base, folder) and not _hidden(bind.target, over):
                yield bind.target, base
            continue
        if not _match(source, wanted[: len(source)]):
            continue
        for found in _below(base, wanted[len(source) :]):
            if _is(found, folder):
                relative = str(found)[len(str(base).rstrip("/")) :].lstrip("/")
                text = f"{bind.target.rstrip('/')}/{relative}"
                if not _hidden(text, over) and _of_the_host(bind, relative):
                    yield text, found


def _of_the_host(bind: Bind, relative: str) -> bool:
    """Tell whether the host has what lies below a stand-in. The tree may hold more, made for another replica."""
    real = f"{bind.source.rstrip('/')}/{relative}"
    return not bind.stand_in or real.startswith("/home/") or os.path.lexists(real)


def _same(one: str, other: str) -> bool:
    return normal_path(one) == normal_path(other)


def _over(one: str, other: str) -> bool:
    return normal_path(one).startswith(f"{normal_path(other).rstrip('/')}/")


def _hidden(text: str, over: list[str]) -> bool:
    """Tell whether another mount lies over a path inside, so that what is below it on the host is not what is seen."""
    return any(_same(text, each) or _over(text, each) for each in over)


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part]


def _match(parts: list[str], patterns: list[str]) -> bool:
    return len(parts) == len(patterns) and all(map(fnmatchcase, parts, patterns))


def _is(path: Path, folder: bool | None) -> bool:
    if folder is None:
        return os.path.lexists(path)
    return path.is_dir() if folder else path.exists() and not path.is_dir()


def _below(base: Path, patterns: list[str]) -> Iterator[Path]:
    if not patterns:
        yield base
        return
    first, *rest = patterns
    if "*" not in first:
        if os.path.lexists(base / first):
            yield from _below(base / first, rest)
        return
    try:
        names = sorted(entry.name for entry in os.scandir(base))
    except OSError:
        return
    for name in names[:8]:
        if fnmatchcase(name, first):
            yield from _below(base / name, rest)
