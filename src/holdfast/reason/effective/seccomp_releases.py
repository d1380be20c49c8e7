"""Which release of an engine has which default seccomp profile.

Where it is not certain which release brought a change, both states are candidates, and what they disagree on is
unknown.

Source:
    moby#41889, #42681, #43199, #43594, #44562, #44712, #45766, #46762, #47341, #50077, #52494, #52547;
    containerd#7510, #8752, #9320, #9684, #11839, #13327; container-libs#575; cri-o#5788, #8514
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TypeVar

from holdfast.reason.effective.seccomp_defaults import Traits, docker_family, podman
from holdfast.reason.effective.seccomp_profile import Profile

Version = tuple[int, ...]
T = TypeVar("T")

_D10 = Traits(
    pkey=False, new_5_16=False, time64=False, bpf_caps=False, vm=False, handle=False, io_uring=True, new_6_6=False,
    sockets="all",
)  # fmt: skip
_D18 = replace(_D10, new_5_16=True)
_D23 = Traits(handle=False, io_uring=True, new_6_6=False)
_D24 = replace(_D23, handle=True)
_D25 = replace(_D24, io_uring=False)
_D26 = Traits()
_D29 = Traits(new_6_13=True)
_D29_RANGES = replace(_D29, sockets="ranges")

# From which release on which traits hold. Several traits: it is not certain which.
_DOCKER: tuple[tuple[Version, tuple[Traits, ...]], ...] = (
    ((20, 10), (replace(_D10, mount_api=False), _D10)),
    ((20, 10, 10), (_D10,)),
    ((20, 10, 18), (_D18,)),
    ((20, 10, 22), (replace(_D18, sockets="vsock"),)),
    ((20, 10, 23), (_D18,)),
    ((20, 10, 26), (_D18, replace(_D18, handle=True))),
    ((23,), (_D23,)),
    ((23, 0, 7), (_D23, _D24, replace(_D24, new_6_6=True))),
    ((24,), (_D23,)),
    ((24, 0, 3), (_D23, _D24)),
    ((24, 0, 4), (_D24,)),
    ((24, 0, 9), (replace(_D24, new_6_6=True),)),
    ((25,), (_D25, _D26)),
    ((25, 0, 3), (_D26,)),
    ((28, 2), (_D26, _D29)),
    ((29,), (_D29,)),
    ((29, 4, 2), (replace(_D29_RANGES, socketcall=False),)),
    ((29, 4, 3), (_D29_RANGES,)),
    ((29, 4, 4), (_D29_RANGES, replace(_D29, sockets="listed"))),
)

_C16 = Traits(vm=False, handle=False, io_uring=True, new_6_6=False, sockets="all")
_C16_OLD = replace(_C16, ptrace=False, time64=False)
_C17 = replace(_C16, sockets="vsock")
_C17_HANDLE = replace(_C17, handle=True)
_C17_NEW = replace(_C17_HANDLE, new_6_6=True)
_C20 = replace(_C17_NEW, io_uring=False)
_C22 = replace(_C20, new_6_13=True, vm=True)

_CONTAINERD: tuple[tuple[Version, tuple[Traits, ...]], ...] = (
    ((1, 6), (_C16_OLD, replace(_C16_OLD, bpf_caps=False))),
    ((1, 6, 7), (_C16,)),
    ((1, 6, 22), (_C16, replace(_C16, handle=True))),
    ((1, 6, 25), (replace(_C16, handle=True), replace(_C16, handle=True, new_6_6=True, io_uring=False))),
    ((1, 7), (_C17, replace(_C17, vm=True))),
    ((1, 7, 3), (_C17_HANDLE, replace(_C17_HANDLE, vm=True))),
    ((1, 7, 9), (_C17_HANDLE, _C17_NEW, _C20, replace(_C20, vm=True))),
    ((2,), (_C20, _C22)),
    ((2, 1), (_C20, _C22, replace(_C22, sockets="ranges"))),
    ((2, 3), (_C22, replace(_C22, sockets="ranges"))),
)


@cache
def candidates(engine: str, version: Version | None) -> tuple[Profile, ...]:
    """Return the default profiles that an engine of this version may have.

    Args:
        engine: ``docker``, ``containerd``, ``podman``, ``cri-o``, or ``cri`` for containerd or CRI-O.
        version: Upstream version; None where it was not seen: every profile that was ever shipped is a candidate.

    Returns:
        One profile where the answer is certain; none where the version is older than what is known here.
    """
    if engine == "cri":
        return (*candidates("containerd", None), *candidates("cri-o", None))
    if engine in {"docker", "containerd"}:
        return tuple(docker_family(traits) for traits in _at(_DOCKER if engine == "docker" else _CONTAINERD, version))
    if engine == "podman":
        return tuple(podman(new=new, vsock=vsock) for new, vsock in _at(_PODMAN, version))
    return tuple(podman(new=n, vsock=v, namespaces=which) for n, v, which in _at(_CRIO, version))


_PODMAN: tuple[tuple[Version, tuple[tuple[bool, bool], ...]], ...] = (
    ((4,), ((False, False),)),
    ((4, 4), ((False, False), (True, False))),
    ((5,), ((True, False),)),
    ((5, 7), ((True, False), (True, True))),
)
_CRIO: tuple[tuple[Version, tuple[tuple[bool, bool, str], ...]], ...] = (
    ((1, 20), ((False, False, "free"),)),
    ((1, 24), ((False, False, "unshare"), (True, False, "unshare"))),
    ((1, 29), ((True, False, "unshare"), (True, False, "masked"))),
    ((1, 32), ((True, False, "masked"), (True, True, "masked"))),
)


def _at(table: tuple[tuple[Version, tuple[T, ...]], ...], version: Version | None) -> tuple[T, ...]:
    """Look up what holds at a version; without a version everything that ever held."""
    found: tuple[T, ...] = ()
    for since, entry in table:
        if version is None:
            found += tuple(one for one in entry if one not in found)
        elif version >= since:
            found = entry
    return found
