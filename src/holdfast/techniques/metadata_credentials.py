"""Fetch the node's credentials from the cloud's metadata service.

What happens: in a cloud, 169.254.169.254 hands every program of a machine the temporary credentials of the machine's
role. A container that reaches the address gets them as well: rights to disks, images, registries and, in a cluster,
often to the cluster itself.

Why the cloud allows it: the service knows machines, not containers. AWS's second version wants a token first and can
limit how many hops its answer may travel; with a limit of two or more the answer still reaches a container behind a
bridge.

What closes it: IMDSv2 with a hop limit of one, for containers that do not share the host's network; a firewall rule
or network policy that refuses the address; workload identity instead of a node role with many rights.

How it looks: a container connects to 169.254.169.254, or to fd00:ec2::254.
"""

from holdfast.model.change import Change
from holdfast.model.logic import is_, one_of
from holdfast.model.technique import DrillClass, Evidence, Example, ProvedBy, Situation, Technique, Way
from holdfast.model.truth import NO, UNKNOWN, YES
from holdfast.model.ways import step
from holdfast.model.words import event, network, reach

_OPEN: Situation = {network.METADATA: True}

TECHNIQUE = Technique(
    title="Fetch the node's credentials from the metadata service",
    row=19,
    attack=("T1552.005",),
    evidence=Evidence.SOURCE,
    confirmed=True,
    exposed_when=is_(network.METADATA, True),
    gives=(Change(reach.NODE_CREDENTIALS, True, "the service hands out the credentials of the node's role"),),
    closed_by=(
        Change(network.METADATA, False, "demand IMDSv2 with a hop limit of one"),
        Change(network.METADATA, False, "refuse containers the address by firewall or network policy"),
    ),
    seen_as=is_(event.IN_CONTAINER, True)
    & is_(event.SYSCALL, "connect")
    & one_of(event.ADDRESS, "169.254.169.254", "fd00:ec2::254"),
    seen_sample={
        event.IN_CONTAINER: True,
        event.SYSCALL: "connect",
        event.ADDRESS: "169.254.169.254",
        event.PORT: 80,
    },
    drill_class=DrillClass.D3,
    drill=(
        Way(
            "begin a session and fetch canary credentials",
            (
                step("connect_tcp", address="169.254.169.254", port="80"),
                step("metadata", slot="0", path="{role}"),
            ),
            ProvedBy.READ,
        ),
        Way(
            "fetch canary credentials without a session",
            (
                step("connect_tcp", address="169.254.169.254", port="80"),
                step("http", slot="0", method="GET", path="{role}", body=""),
            ),
            ProvedBy.READ,
        ),
    ),
    examples=(
        Example("the metadata service hands out credentials", _OPEN, YES),
        Example("the address is refused", {network.METADATA: False}, NO),
        Example("nobody tried the address", {}, UNKNOWN),
    ),
    sources=(
        "https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/configuring-instance-metadata-service.html",
        "https://github.com/quarkslab/kdigger",
    ),
)
