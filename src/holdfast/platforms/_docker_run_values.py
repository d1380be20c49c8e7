"""How Docker's clients spell mounts, devices and volume options, read from the text of one option.

Source:
    https://docs.docker.com/engine/storage/bind-mounts/, docker/cli ``opts/mount.go`` and
    ``cli/command/container/opts.go``, moby ``volume/mounts/linux_parser.go``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from holdfast.model.words.declared import Device, Mount

PROPAGATIONS = frozenset({"private", "rprivate", "shared", "rshared", "slave", "rslave"})
_TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_FALSE = frozenset({"0", "f", "F", "FALSE", "false", "False"})
_PERMISSIONS = frozenset("rwm")
_KERNEL_PLACES = {
    "proc": "/proc",
    "sysfs": "/sys",
    "cgroup": "/sys/fs/cgroup",
    "cgroup2": "/sys/fs/cgroup",
    "debugfs": "/sys/kernel/debug",
    "tracefs": "/sys/kernel/tracing",
    "securityfs": "/sys/kernel/security",
    "devtmpfs": "/dev",
}
"""File systems of which the kernel has one instance: mounting one anew shows what the host shows."""
_REMOTE = frozenset({"nfs", "nfs4", "cifs", "smb3", "sshfs", "ceph", "glusterfs"})
_SEPARATORS = ("\n", "\r")


def truth(text: str) -> bool | None:
    """Read a boolean as Go's ``strconv.ParseBool`` does; None for anything else."""
    if text in _TRUE:
        return True
    return False if text in _FALSE else None


def pieces(text: str, separator: str = ":") -> list[str]:
    """Split at a separator, but not inside ``${...}`` or ``$(...)``: a variable's default may hold a colon."""
    if "$" not in text:
        return text.split(separator)
    found: list[str] = []
    start = depth = 0
    for index, char in enumerate(text):
        if char in "{(" and index and text[index - 1] == "$":
            depth += 1
        elif char in "})" and depth:
            depth -= 1
        elif char == separator and not depth:
            found.append(text[start:index])
            start = index + 1
    found.append(text[start:])
    return found


def is_drive(text: str) -> bool:
    """Tell whether the text is one letter, as before the colon of a Windows path."""
    return len(text) == 1 and text.isascii() and text.isalpha()


def volume_parts(text: str) -> tuple[str, str, tuple[str, ...]] | None:
    r"""Split ``source:target:options``, ``source:target`` or ``target``; None where it is none of them.

    ``C:\data:/data`` keeps its drive letter.
    """
    parts = pieces(text)
    joined: list[str] = []
    for part in parts:
        if joined and is_drive(joined[-1]) and part[:1] in {"\\", "/"} and len(parts) > 1 and not part.startswith("//"):
            joined[-1] = f"{joined[-1]}:{part}"
        else:
            joined.append(part)
    if not 1 <= len(joined) <= 3 or not all(joined):
        return None
    if len(joined) == 1:
        return "", joined[0], ()
    options = tuple(option for option in joined[2].split(",") if option) if len(joined) == 3 else ()
    return joined[0], joined[1], options


def is_host_path(source: str) -> bool:
    r"""Tell whether the source of a short volume is a path: ``/``, ``.``, ``~``, ``C:\``, ``\\.\pipe``."""
    return source[:1] in {"/", ".", "~"} or source.startswith("\\\\") or (len(source) > 1 and source[1] == ":")


def bound(kind: str, source: str, target: str, options: Iterable[str], *, read_only: bool = False) -> Mount:
    """Make a mount from its short options: ``ro``, ``z``, ``rshared``, ``nosuid``."""
    propagation = ""
    rest: list[str] = []
    for option in options:
        if option in {"ro", "readonly"}:
            read_only = True
        elif option == "rw":
            read_only = False
        elif option in PROPAGATIONS:
            propagation = option
        elif option not in {"rbind", "bind", "nocopy", "cached", "delegated", "consistent", "default", ""}:
            rest.append(option)
    # Podman's O mounts an overlay: what is written inside never reaches the host.
    return Mount(kind, source, target, read_only or "O" in rest, propagation, frozenset(rest))


def local_volume(
    name: str, target: str, options: Mapping[str, str], driver: str = "", *, read_only: bool = False
) -> Mount:
    """Make the mount of a volume from the options it is created with.

    The ``local`` driver hands ``type``, ``device`` and ``o`` to mount(8). A volume of type none with ``o=bind`` is a
    bind mount of a host path under another name.

    Args:
        name: Name of the volume; empty for an anonymous one.
        target: Path inside.
        options: Driver options; ``device`` already absolute where that could be told.
        driver: Driver; empty for ``local``.
        read_only: As the container asks for it.
    """
    device = options.get("device", "")
    flags = [flag for flag in options.get("o", "").split(",") if flag]
    kind = options.get("type", "").lower()
    if driver not in {"", "local"} or not (device or kind or flags):
        return Mount("volume", name, target, read_only)
    if kind in _REMOTE or any(flag.startswith("addr=") for flag in flags):
        return Mount("volume", name, target, read_only)
    if kind in {"tmpfs", "ramfs"}:
        return bound("tmpfs", "", target, flags, read_only=read_only)
    kept = [flag for flag in flags if "=" not in flag]
    if "bind" in flags or "rbind" in flags or kind in {"none", "bind"}:
        return bound("bind", device, target, kept, read_only=read_only)
    if kind in _KERNEL_PLACES:
        return bound("bind", _KERNEL_PLACES[kind], target, kept, read_only=read_only)
    # A block device or an overlay of host directories: what lies in it, nobody can tell from here.
    return bound("bind", f"({kind or 'file system'} on {device or 'nothing'})", target, kept, read_only=read_only)


def device(text: str) -> Device | None:
    """Read ``source[:target][:permissions]`` or a CDI name ``vendor/class=name``; None for anything else."""
    if "=" in text and "/" in text and not text.startswith(("/", "$")):
        return Device(text, text)
    parts = pieces(text)
    if not 1 <= len(parts) <= 3 or not parts[0]:
        return None
    target, permissions = "", "rwm"
    if len(parts) == 3:
        target, permissions = parts[1], parts[2]
    elif len(parts) == 2:
        if parts[1] and set(parts[1]) <= _PERMISSIONS:
            permissions = parts[1]
        else:
            target = parts[1]
    if not permissions or not set(permissions) <= _PERMISSIONS:
        return None
    return Device(parts[0], target or parts[0], permissions)


def short_device(told: Device) -> str:
    """Spell a device as ``device`` reads it."""
    if told.permissions != "rwm":
        return f"{told.source}:{told.target or told.source}:{told.permissions}"
    return told.source if told.target in {"", told.source} else f"{told.source}:{told.target}"


def gpu_devices(driver: str, names: Iterable[str] = ()) -> tuple[Device, ...]:
    """Return the nodes behind a device request.

    The engine passes the request to a driver; which nodes appear is the driver's business. Those of the drivers in use
    are named by pattern.
    """
    if driver in {"", "nvidia"}:
        return (Device("/dev/nvidia*", "/dev/nvidia*", "rw"),)
    if driver == "amd":
        return (Device("/dev/kfd", "/dev/kfd", "rw"), Device("/dev/dri/*", "/dev/dri/*", "rw"))
    if driver == "cdi":
        return tuple(Device(name, name) for name in names) or (Device("(any CDI device)", ""),)
    return (Device(f"(devices of driver {driver})", ""),)


def csv_fields(text: str) -> list[str]:
    """Split comma-separated fields, of which one may stand in double quotes, as Go's csv reader does."""
    found: list[str] = []
    field: list[str] = []
    quoted = False
    for char in text:
        if char == '"':
            quoted = not quoted
        elif char == "," and not quoted:
            found.append("".join(field))
            field = []
        elif char not in _SEPARATORS:
            field.append(char)
    found.append("".join(field))
    return found
