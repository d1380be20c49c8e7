"""What a replica is to find on a network: a cloud's metadata service, or a proxy before an engine, both of ours.

Two network namespaces of the run's own are laid beside the replica's. Its packets go through the first, the node, which
routes and runs the proxy; the metadata service answers in the second, as a cloud does outside of the node:

    replica 10.254.0.2 --- 10.254.0.1 node 10.254.0.6 --- 10.254.0.5 cloud, 169.254.169.254

Nothing is put into the network of this machine, nothing leads out of the three namespaces, and the kernel takes it all
away when this process ends (see ``network_space``).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from holdfast.drill import fence
from holdfast.drill.boxes import Box
from holdfast.drill.idle_container import Idle, made
from holdfast.drill.journal import Journal
from holdfast.drill.metadata_service import ADDRESS, ROLES, MetadataService
from holdfast.drill.network_space import NetworkSpace
from holdfast.drill.places import Place
from holdfast.drill.read_proxy import ReadProxy
from holdfast.model.errors import NotPermitted, NotReachable
from holdfast.model.replica import Neighbour, Replica
from holdfast.reason.effective.namespaces import sandbox_of

_INSIDE, _NODE, _NODE_OUTSIDE, _CLOUD = "10.254.0.2", "10.254.0.1", "10.254.0.6", "10.254.0.5"
_LENGTH = 30
_OWN_LINK = "eth-drill"
_SOCKET = "/run/docker.sock"


def isolated(replica: Replica, *, disposable: bool) -> bool:
    """Tell whether nobody but the drill can be found on a replica's network.

    Args:
        replica: The replica.
        disposable: The machine is a throw-away virtual machine, which has no network.
    """
    own = "net" not in replica.namespaces
    return disposable or (own and (replica.engine == "oci" or replica.network == "none"))


def reached(replica: Replica) -> Neighbour:
    """Return which neighbour a replica reaches: a sandbox has a network of its own making."""
    own = "net" not in replica.namespaces and sandbox_of(replica.runtime or "runc") == "none"
    return replica.neighbour if own else Neighbour.NONE


@dataclass(frozen=True, slots=True)
class Beside:
    """What was placed beside one replica.

    Attributes:
        metadata: The service.
        told_of: The container that the proxy tells about.
        new_token: Returns a token that was never used.
    """

    metadata: MetadataService | None = None
    told_of: Idle | None = None
    new_token: Callable[[], str] = lambda: ""

    def role(self) -> Place:
        """Return the path of credentials that nobody asked for yet."""
        if self.metadata is None:
            return Place(f"{ROLES}holdfast-canary", real=False)
        secret = self.new_token()
        return Place(self.metadata.role(secret), secret=secret)

    def proxy(self) -> Place:
        """Return the proxy's address."""
        return Place(_NODE, real=self.told_of is not None)

    def other(self) -> Place:
        """Return the name of the container that the proxy tells about."""
        if self.told_of is None:
            return Place("holdfast-other", real=False)
        return Place(self.told_of.name, secret=self.told_of.secret)


class Neighbours:
    """Places neighbours beside the replicas of one run."""

    def __init__(self, journal: Journal, image: Callable[[], str], address: str = "") -> None:
        """Prepare; nothing is made before the first replica that asks for it.

        Args:
            journal: Of the run.
            image: Returns Docker's image with the probe.
            address: Of the Docker engine; empty for the usual place.
        """
        self._journal = journal
        self._image = image
        self._address = address
        self._idle: Idle | None = None

    @contextmanager
    def placed(self, box: Box) -> Iterator[Beside]:
        """Place beside a running replica what it is to find, and take it away.

        Raises:
            NotReachable: The kernel makes no such network, or there is no Docker engine.
            NotPermitted: Only root may make one.
            Unsafe: The replica has the network of this machine.
        """
        neighbour = box.replica.neighbour
        if neighbour is Neighbour.NONE or "net" in box.replica.namespaces:
            yield Beside()
            return
        with ExitStack() as stack:
            try:
                beside = self._beside(box, neighbour, stack)
            except PermissionError as error:
                raise NotPermitted("A network cannot be made for the replica", box.name, "run as root") from error
            except OSError as error:
                raise NotReachable(f"A network cannot be made for the replica: {error}", box.name) from error
            self._journal.boundary("neighbour")
            yield beside

    def _beside(self, box: Box, neighbour: Neighbour, stack: ExitStack) -> Beside:
        replica = stack.enter_context(NetworkSpace.of(box.pid))
        fence.check_network(replica.inode, box.name)
        if would_load_a_module():
            raise NotReachable("This kernel has no virtual interfaces yet", "veth", "modprobe veth")
        proxied = neighbour in {Neighbour.READ_PROXY, Neighbour.CLOSED_PROXY}
        engine = engine_socket(self._address) if proxied else ""
        node = stack.enter_context(NetworkSpace.made())
        _cable(replica, _INSIDE, node, _NODE, "eth0")
        replica.route("0.0.0.0", 0, _NODE)  # noqa: S104 - the default route, nothing is bound
        token = lambda: f"{self._journal.id}{os.urandom(8).hex()}"  # noqa: E731 - handed on
        if proxied:
            idle = self._told_of()
            closed = neighbour is Neighbour.CLOSED_PROXY
            proxy = ReadProxy(node.call, _NODE, engine, idle.name, closed=closed)
            stack.enter_context(closing(proxy))
            return Beside(told_of=idle, new_token=token)
        cloud = stack.enter_context(NetworkSpace.made())
        _cable(cloud, _CLOUD, node, _NODE_OUTSIDE, "eth1")
        cloud.address("lo", ADDRESS, 32)
        cloud.up("lo")
        cloud.route("0.0.0.0", 0, _NODE_OUTSIDE)  # noqa: S104 - the default route, nothing is bound
        node.route(ADDRESS, 32, _CLOUD)
        service = MetadataService(cloud.call, one_hop=neighbour is Neighbour.METADATA_ONE_HOP)
        stack.enter_context(closing(service))
        return Beside(metadata=service, new_token=token)

    def _told_of(self) -> Idle:
        if self._idle is None:
            self._idle = made(self._journal, self._image(), self._address)
        return self._idle


def _cable(one: NetworkSpace, address: str, node: NetworkSpace, node_address: str, name: str) -> None:
    """Lay a cable between a namespace and the node, which passes on what comes in by it."""
    node.pair(name, one, _OWN_LINK)
    one.address(_OWN_LINK, address, _LENGTH)
    node.address(name, node_address, _LENGTH)
    one.up(_OWN_LINK)
    node.up(name, forward=True)


def engine_socket(address: str) -> str:
    """Return the path of the Docker engine's socket.

    Args:
        address: As in the settings; empty for the one that its client asks by itself.

    Raises:
        NotReachable: It has none.
    """
    named = address or os.environ.get("DOCKER_HOST", "") or f"unix://{_SOCKET}"
    path = named.removeprefix("unix://")
    if path == named or not Path(path).is_socket():
        raise NotReachable("There is no Docker engine behind a socket", named, "start it, or name its socket")
    return path


def would_load_a_module() -> bool:
    """Tell whether the kernel would have to load a module to make a pair of interfaces."""
    try:
        loaded = Path("/proc/modules").read_text(encoding="ascii")
        built_in = Path(f"/lib/modules/{os.uname().release}/modules.builtin").read_text(encoding="ascii")
    except OSError:
        return False
    return "/veth.ko" not in built_in and not any(line.startswith("veth ") for line in loaded.splitlines())
