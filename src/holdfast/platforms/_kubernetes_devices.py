"""Device nodes that a container is given: raw block volumes, and what device plug-ins hand out for resources."""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.model.facts import Absent, Seen
from holdfast.model.place import Where
from holdfast.model.words.declared import Device
from holdfast.platforms._kubernetes_spot import Spot
from holdfast.platforms._kubernetes_volumes import UNCLEAR, Volumes

# Extended resources whose device plug-ins put nodes of the host into the container.
_PLUGINS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("nvidia.com/", ("/dev/nvidia0", "/dev/nvidiactl", "/dev/nvidia-uvm")),
    ("amd.com/", ("/dev/kfd", "/dev/dri/renderD128")),
    ("gpu.intel.com/", ("/dev/dri/renderD128",)),
    ("devices.kubevirt.io/kvm", ("/dev/kvm",)),
    ("devices.kubevirt.io/tun", ("/dev/net/tun",)),
    ("devices.kubevirt.io/vhost-net", ("/dev/vhost-net",)),
    ("smarter-devices/", ()),
    ("github.com/fuse", ("/dev/fuse",)),
)
_NO_DEVICES = ("kubernetes.io/", "vpc.amazonaws.com/", "networking.gke.io")
"""Resources that are counted but bring no device."""


def devices(container: Spot, volumes: Volumes, place: Where) -> Seen[tuple[Device, ...]] | Absent:
    """Read which device nodes a container is given: raw block volumes, and what device plug-ins hand out."""
    found: list[Device] = []
    parts: dict[object, Where] = {}
    listed = container.get("volumeDevices")
    if listed is not None:
        spots = listed.elements()
        if spots is None:
            return Absent("volumeDevices could not be read", listed.where)
        for spot in spots:
            name, path = spot.get("name"), spot.get("devicePath")
            volume = UNCLEAR if name is None else volumes.find(name)
            device = Device(f"claim:{volume.source}", "" if path is None else path.name())
            found.append(device)
            parts[device] = spot.where
    resources = container.get("resources")
    if resources is not None:
        for asked, device in _plugged(resources):
            if device not in parts:
                found.append(device)
                parts[device] = asked.where
    if not found:
        return Seen((), place, "no device is asked for")
    return Seen(tuple(found), next(iter(parts.values())), parts=parts)


def _plugged(resources: Spot) -> Iterator[tuple[Spot, Device]]:
    """Yield the devices behind extended resources; one whose plug-in is not known bears the resource's name."""
    for side in ("limits", "requests"):
        table = resources.get(side)
        for key in () if table is None else table.keys():
            vendor, slash, name = key.partition("/")
            asked = table.get(key) if table is not None and slash else None
            if asked is None or asked.value in {0, "0"} or key.startswith(_NO_DEVICES):
                continue
            nodes = next((nodes for prefix, nodes in _PLUGINS if key.startswith(prefix)), (key,))
            if vendor == "smarter-devices":
                nodes = (f"/dev/{name.replace('_', '/')}",)
            yield from ((asked, Device(node, node if node != key else "", "rw")) for node in nodes)
    for claim in resources.entries("claims") or ():
        name_spot = claim.get("name")
        yield claim, Device(f"resourceclaim/{'' if name_spot is None else name_spot.name()}", "", "rw")
