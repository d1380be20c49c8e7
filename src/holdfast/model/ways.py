"""Ways to try a technique that many techniques share, spelled out once. Nothing but steps.

Words in braces are filled in when the attempt is made; ``drill/places.py`` says what each stands for.
"""

from __future__ import annotations

from holdfast.model.technique import ProvedBy, Step, Way


def step(act: str, **args: str) -> Step:
    """Write one step."""
    return Step(act, args)


def leave_file(*folders: str, needs: tuple[str, ...] = (), wide_needs: tuple[str, ...] = ()) -> tuple[Way, ...]:
    """Write: a file with the token is left in a directory of the host.

    Args:
        folders: Host directories, ``*`` for one component.
        needs: Parts of the host that act on the file.
        wide_needs: The same where only a directory above is mounted.
    """
    return tuple(
        Way(
            f"leave a file in {folder}",
            (
                step("open", path=f"{{in:{folder}}}/{{token}}", mode="wc"),
                step("write", slot="0", text="{token}"),
            ),
            ProvedBy.WRITTEN,
            needs=needs,
            wide_needs=wide_needs,
        )
        for folder in folders
    )


def leave_hook(folder: str, *, needs: tuple[str, ...]) -> Way:
    """Write: a hook that leaves the token is run by the engine with the next container; on a disposable host only.

    Args:
        folder: Host directory from which an engine takes hooks.
        needs: Parts of the host that act on it.
    """
    return Way(
        f"leave a hook in {folder} for the next container",
        (
            step("open", path=f"{{hooks:{folder}}}/{{token}}.json", mode="wc"),
            step("write", slot="0", text="{hook}"),
        ),
        ProvedBy.STARTED,
        needs=needs,
    )


def open_to_write(*files: str) -> tuple[Way, ...]:
    """Write: a file of the host that is there already is opened for writing, and nothing is written."""
    return tuple(
        Way(f"open {file} for writing", (step("open", path=f"{{file:{file}}}", mode="w"),), ProvedBy.SURFACE)
        for file in files
    )


def read_secret(*folders: str, readable: bool = False, wide_needs: tuple[str, ...] = ()) -> tuple[Way, ...]:
    """Write: a canary that only root may read, or everybody where ``readable``, is read from a host directory."""
    kind = "open_secret" if readable else "secret"
    return tuple(
        Way(
            f"read a canary in {folder}",
            (step("open", path=f"{{{kind}:{folder}}}", mode="r"), step("read", slot="0", length="256")),
            ProvedBy.READ,
            wide_needs=wide_needs,
        )
        for folder in folders
    )


def say(*sockets: str, needs: tuple[str, ...] = ()) -> tuple[Way, ...]:
    """Write: the token is told to what listens on a unix socket of the host."""
    return tuple(
        Way(
            f"say something to {socket}",
            (step("connect", path=f"{{socket:{socket}}}"), step("send", slot="0", text="{token}\n")),
            ProvedBy.HEARD,
            needs=needs,
        )
        for socket in sockets
    )


def command_engine(*sockets: str) -> tuple[Way, ...]:
    """Write: the engine behind a socket starts a container that leaves the token in a canary folder of the host."""
    return tuple(
        Way(
            f"have the engine behind {socket} start a container with a canary folder",
            (
                step("connect", path=f"{{engine:{socket}}}"),
                step("engine_start", slot="0", json="{engine_request}"),
            ),
            ProvedBy.WRITTEN,
        )
        for socket in sockets
    )


def pass_plugin(socket: str, form: str, *, what: str) -> Way:
    """Write: an engine makes an empty volume whose name its authorization plug-in would have refused.

    Args:
        socket: The engine's.
        form: Of the request, as the probe knows it.
        what: The same for people.
    """
    return Way(
        f"have the engine behind {socket} make a volume that its plug-in refuses, with {what}",
        (
            step("connect", path=f"{{guarded:{socket}}}"),
            step("make_volume", slot="0", name="holdfast-{token}", form=form),
        ),
        ProvedBy.HEARD,
    )


def command_systemd(socket: str, *, bus: bool) -> Way:
    """Write: systemd starts a unit that leaves the token in a canary folder of the host; on a disposable host only.

    Args:
        socket: Its own one, or that of the message bus.
        bus: It is the message bus.
    """
    kind = "bus" if bus else "private"
    return Way(
        f"have the systemd behind {socket} start a unit with a canary folder",
        (
            step("connect", path=f"{{systemd:{socket}}}"),
            step("send", slot="0", text=f"{{unit_request:{kind}}}"),
            step("receive", slot="0", length="4096"),
        ),
        ProvedBy.WRITTEN,
        needs=("systemd",),
    )


def change_setting(path: str, *before: Step, what: str = "") -> Way:
    """Write: a setting of the kernel is written back as it is, which the kernel checks like any other change.

    Args:
        path: The file.
        before: Steps that open the way to it.
        what: Name of the setting; the file's own by default.
    """
    name = what or path.rstrip("}").rsplit("/", 1)[-1]
    return Way(
        f"write {name} back as it is",
        (*before, step("rewrite", path=path)),
        ProvedBy.SURFACE,
    )


def start_helper(title: str, *steps: Step) -> Way:
    """Write: the kernel is made to start a program that leaves the token. The setting is put back at once."""
    return Way(title, steps, ProvedBy.WRITTEN, global_effect=True)
