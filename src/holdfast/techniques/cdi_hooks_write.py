"""Add a hook that the runtime runs on the host for the next container.

What happens: engines read device descriptions from ``/etc/cdi`` and ``/run/cdi``; Podman and CRI-O read hooks from
``/usr/share/containers/oci/hooks.d``, or where ``hooks_dir`` in ``containers.conf`` points to. Both may name programs
that the runtime starts as root on the host while it sets a container up. With such a directory mounted writable, root
in a container adds one.

Why the runtime allows it: hooks are a part of the OCI runtime specification and run in the runtime's own namespaces
with its privileges. The files are trusted because only root can write them.

What closes it: not mounting these directories or ones above them, or only read-only; a user namespace; SELinux, for
files that were not labelled for containers; an engine that reads no such directories.

How it looks: a container writes there; later a program whose parent is the runtime runs outside every container.
"""

from holdfast.model.change import Change, with_, without
from holdfast.model.logic import covers, is_
from holdfast.model.technique import DrillClass, Evidence, Example, Situation, Technique, unseen
from holdfast.model.truth import NO, UNKNOWN, YES
from holdfast.model.values import Members, Paths
from holdfast.model.ways import leave_file, leave_hook
from holdfast.model.words import container, engine, event, reach
from holdfast.model.words.conditions import lsm_permits, writes_as_root, writes_below

_CDI = ("/etc/cdi/*", "/run/cdi/*")
_HOOKS = ("/usr/share/containers/oci/hooks.d/*",)
_HOOKS_IN_ETC = ("/etc/containers/oci/hooks.d/*",)

_OPEN: Situation = {
    container.HOST_PATHS_WRITABLE: Paths(("/etc/cdi",)),
    container.USER_ID: 0,
    container.HOST_USER_ID: 0,
    container.LSM_DENIES: Members(),
    engine.CDI_ENABLED: True,
    engine.OCI_HOOKS_DIR: False,
    engine.OCI_HOOKS_IN_ETC: False,
}
_HOOKED: Situation = {
    **_OPEN,
    container.HOST_PATHS_WRITABLE: Paths(("/usr/share/containers/oci/hooks.d",)),
    engine.CDI_ENABLED: False,
    engine.OCI_HOOKS_DIR: True,
}

TECHNIQUE = Technique(
    title="Add a hook that the runtime runs on the host",
    row=31,
    attack=("T1611",),
    evidence=Evidence.COMMON_KNOWLEDGE,
    confirmed=True,
    exposed_when=(
        (covers(container.HOST_PATHS_WRITABLE, *_CDI) & is_(engine.CDI_ENABLED, True))
        | (covers(container.HOST_PATHS_WRITABLE, *_HOOKS) & is_(engine.OCI_HOOKS_DIR, True))
        | (covers(container.HOST_PATHS_WRITABLE, *_HOOKS_IN_ETC) & is_(engine.OCI_HOOKS_IN_ETC, True))
    )
    & writes_as_root()
    & lsm_permits("host_files"),
    gives=(
        Change(reach.HOST_FILE_WRITE, True, "files that name programs for the runtime can be written"),
        Change(reach.HOST_ROOT, True, "the runtime starts the hook as root with the next container"),
    ),
    closed_by=(
        Change(
            container.HOST_PATHS_WRITABLE,
            without(*_CDI, *_HOOKS, *_HOOKS_IN_ETC),
            "do not mount the directories, or only read-only",
        ),
        Change(container.HOST_USER_ID, 100000, "run in a user namespace: container root is nobody to the host's files"),
        Change(container.LSM_DENIES, with_("host_files"), "enforce SELinux, and do not relabel the host's files"),
    ),
    seen_as=writes_below(
        "/etc/cdi/", "/run/cdi/", "/etc/containers/oci/hooks.d/", "/usr/share/containers/oci/hooks.d/"
    ),
    seen_sample={event.IN_CONTAINER: True, event.WRITE: True, event.HOST_PATH: "/run/cdi/vendor.json"},
    drill_class=DrillClass.D3,
    drill=(
        *(leave_hook(folder.removesuffix("/*"), needs=("OCI hooks",)) for folder in _HOOKS),
        *leave_file(*(folder.removesuffix("/*") for folder in _CDI), needs=("CDI",)),
        *leave_file(*(folder.removesuffix("/*") for folder in _HOOKS), needs=("OCI hooks",)),
        *leave_file(*(folder.removesuffix("/*") for folder in _HOOKS_IN_ETC), needs=("OCI hooks in /etc",)),
    ),
    examples=(
        Example("CDI directory mounted writable, as root", _OPEN, YES),
        Example("/run mounted, CDI on", {**_OPEN, container.HOST_PATHS_WRITABLE: Paths(("/run",))}, YES),
        Example("hooks.d of an engine that reads it", _HOOKED, YES),
        Example(
            "hooks.d in /etc of an engine that reads the other one",
            {**_HOOKED, container.HOST_PATHS_WRITABLE: Paths(("/etc/containers/oci/hooks.d",))},
            NO,
        ),
        Example(
            "hooks.d in /etc of an engine whose settings name it",
            {
                **_HOOKED,
                container.HOST_PATHS_WRITABLE: Paths(("/etc/containers/oci/hooks.d",)),
                engine.OCI_HOOKS_IN_ETC: True,
            },
            YES,
        ),
        Example("an engine that reads no CDI", {**_OPEN, engine.CDI_ENABLED: False}, NO),
        Example("mounted read-only", {**_OPEN, container.HOST_PATHS_WRITABLE: Paths()}, NO),
        Example("the engine's settings not seen", unseen(_OPEN, engine.CDI_ENABLED), UNKNOWN),
    ),
    sources=(
        "https://github.com/cncf-tags/container-device-interface/blob/main/SPEC.md",
        "https://github.com/opencontainers/runtime-spec/blob/main/config.md#posix-platform-hooks",
        "https://github.com/containers/common/blob/main/pkg/hooks/docs/oci-hooks.5.md",
    ),
)
