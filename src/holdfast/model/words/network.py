"""What the container's network namespace reaches."""

from __future__ import annotations

from holdfast.model.facts import Fact

DOCKER_API: Fact[bool] = Fact(
    "network.docker_api", bool, "A Docker API port (2375, or 2376 without client TLS) answers."
)
DOCKER_READ_PROXY: Fact[bool] = Fact(
    "network.docker_read_proxy",
    bool,
    "A proxy is reached that passes GET requests for containers, their settings and their files to a Docker engine.",
)
DESKTOP_API: Fact[bool] = Fact("network.desktop_api", bool, "192.168.65.7:2375 of Docker Desktop answers.")
KUBELET: Fact[bool] = Fact("network.kubelet", bool, "Port 10250 of a node is reached.")
METADATA: Fact[bool] = Fact("network.metadata", bool, "169.254.169.254 hands out the node's credentials.")
SHARED_BRIDGE: Fact[bool] = Fact(
    "network.shared_bridge", bool, "Other workloads or the host are on the same layer 2 network."
)
LOCAL_SERVICES: Fact[bool] = Fact(
    "network.local_services",
    bool,
    "A service that gives control of the host listens on the host's loopback or an abstract socket.",
)
