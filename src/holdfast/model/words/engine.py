"""What the container engine is and how it is set up."""

from __future__ import annotations

from holdfast.model.facts import Fact
from holdfast.model.values import Members

NAME: Fact[str] = Fact("engine.name", str, '"docker", "containerd", "cri-o", "podman".')
VERSION: Fact[tuple[int, ...]] = Fact("engine.version", tuple, "Upstream version numbers of the engine.")
CONTAINERD_VERSION: Fact[tuple[int, ...]] = Fact("engine.containerd_version", tuple, "Version numbers of containerd.")
ROOTLESS: Fact[bool] = Fact("engine.rootless", bool, "The engine itself runs as an ordinary user.")
USERNS_REMAP: Fact[bool] = Fact("engine.userns_remap", bool, "Containers run in a user namespace by default.")
AUTHZ_PLUGINS: Fact[bool] = Fact("engine.authz_plugins", bool, "At least one authorization plug-in guards the API.")
TCP_UNAUTHENTICATED: Fact[bool] = Fact(
    "engine.tcp_unauthenticated", bool, "The API listens on TCP without client certificates."
)
SECCOMP_DEFAULT: Fact[str] = Fact(
    "engine.seccomp_default", str, 'Profile a container gets when it asks for none: "default" or "unconfined".'
)
NRI_ENABLED: Fact[bool] = Fact("engine.nri_enabled", bool, "The engine takes NRI plug-ins.")
CDI_ENABLED: Fact[bool] = Fact("engine.cdi_enabled", bool, "The engine reads CDI specs.")
OCI_HOOKS_DIR: Fact[bool] = Fact("engine.oci_hooks_dir", bool, "The engine runs hooks from a hooks.d directory.")
OCI_HOOKS_IN_ETC: Fact[bool] = Fact(
    "engine.oci_hooks_in_etc", bool, "The engine runs hooks from /etc/containers/oci/hooks.d too."
)
STATE_ON_ROOT: Fact[bool] = Fact(
    "engine.state_on_root", bool, "The engine's state directory lies on the file system of the host's root."
)
INSECURE_ENTITLEMENT: Fact[bool] = Fact(
    "engine.insecure_entitlement", bool, "BuildKit grants security.insecure or network.host."
)
DESKTOP: Fact[bool] = Fact("engine.desktop", bool, "The engine is Docker Desktop on Windows or macOS.")
DESKTOP_VERSION: Fact[tuple[int, ...]] = Fact("engine.desktop_version", tuple, "Version numbers of Docker Desktop.")
MODEL_RUNNER: Fact[bool] = Fact("engine.model_runner", bool, "Docker Model Runner with the MLX back end is enabled.")
ICC: Fact[bool] = Fact("engine.icc", bool, "Containers of the default bridge reach each other.")
PLUGINS: Fact[Members] = Fact("engine.plugins", Members, "Enabled plug-ins by name.")
