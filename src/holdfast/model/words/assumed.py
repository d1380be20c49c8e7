"""What no scan can see. Unknown until somebody says so with ``--assume NAME=VALUE``."""

from __future__ import annotations

from holdfast.model.facts import Fact

HOST_USER: Fact[bool] = Fact("assumed.host_user", bool, "The attacker also has an ordinary account on the host.")
OPERATOR_EXEC: Fact[bool] = Fact("assumed.operator_exec", bool, "An operator will exec into the container.")
OPERATOR_COPY: Fact[bool] = Fact("assumed.operator_copy", bool, "An operator will copy files out of or into it.")
UNTRUSTED_IMAGE: Fact[bool] = Fact(
    "assumed.untrusted_image", bool, "The image was made by somebody who is not trusted."
)
UNTRUSTED_LAUNCHER: Fact[bool] = Fact(
    "assumed.leaking_launcher", bool, "A launcher hands an open host directory to the container."
)
CONTAINER_ROOT: Fact[bool] = Fact(
    "assumed.container_root", bool, "The attacker becomes root inside the container, e.g. through a setuid program."
)
VULNERABLE_DRIVER: Fact[bool] = Fact(
    "assumed.vulnerable_driver", bool, "The driver of a granted device has a known hole."
)
