"""The options of ``docker run``, ``podman run`` and ``nerdctl run``: which take a value, and what each asks for.

Source:
    docker/cli ``cli/command/container/opts.go``, ``run.go``, ``create.go``; ``podman run --help``; spf13/pflag for the
    grammar.
"""

from __future__ import annotations

SWITCHES = frozenset({
    "detach", "disable-content-trust", "env-host", "help", "http-proxy", "init", "interactive", "no-healthcheck",
    "no-hosts", "no-hostname", "oom-kill-disable", "passwd", "privileged", "publish-all", "quiet", "read-only",
    "read-only-tmpfs", "replace", "rm", "rmi", "rootfs", "sig-proxy", "tls-verify", "tty", "unsetenv-all",
    "use-api-socket", "no-session", "umask-inherit",
})  # fmt: skip
"""Options that take a value only after ``=``."""

VALUES = frozenset({
    "add-host", "annotation", "arch", "attach", "authfile", "blkio-weight", "blkio-weight-device", "cap-add",
    "cap-drop", "cert-dir", "cgroup-conf", "cgroup-parent", "cgroupns", "cgroups", "chrootdirs", "cidfile",
    "conmon-pidfile", "cosign-key", "cpu-count", "cpu-percent", "cpu-period", "cpu-quota", "cpu-rt-period",
    "cpu-rt-runtime", "cpu-shares", "cpus", "cpuset-cpus", "cpuset-mems", "creds", "decryption-key", "detach-keys",
    "device", "device-cgroup-rule", "device-read-bps", "device-read-iops", "device-write-bps", "device-write-iops",
    "dns", "dns-opt", "dns-option", "dns-search", "domainname", "entrypoint", "env", "env-file", "env-merge",
    "expose", "gidmap", "gpus", "group-add", "group-entry", "health-cmd", "health-interval", "health-log-destination",
    "health-max-log-count", "health-max-log-size", "health-on-failure", "health-retries", "health-start-interval",
    "health-start-period", "health-startup-cmd", "health-startup-interval", "health-startup-retries",
    "health-startup-success", "health-startup-timeout", "health-timeout", "hostname", "hosts-file", "hostuser",
    "image-volume", "init-ctr", "init-path", "intel-rdt-closid", "io-maxbandwidth", "io-maxiops", "ip", "ip6", "ipc",
    "ipfs-address", "isolation", "kernel-memory", "label", "label-file", "link", "link-local-ip", "log-driver",
    "log-opt", "mac-address", "memory", "memory-reservation", "memory-swap", "memory-swappiness", "mount", "name",
    "net", "net-alias", "network", "network-alias", "oom-score-adj", "os", "passwd-entry", "personality", "pid",
    "pidfile", "pids-limit", "platform", "pod", "pod-id-file", "preserve-fd", "preserve-fds", "publish", "pull",
    "rdt-class", "requires", "restart", "retry", "retry-delay", "runtime", "sdnotify", "seccomp-policy", "secret",
    "security-opt", "shm-size", "shm-size-systemd", "stop-signal", "stop-timeout", "storage-opt", "subgidname",
    "subuidname", "sysctl", "systemd", "timeout", "tmpfs", "tz", "uidmap", "ulimit", "umask", "unsetenv", "user",
    "userns", "uts", "variant", "verify", "volume", "volume-driver", "volumes-from", "workdir",
})  # fmt: skip

SHORT = {
    "P": "publish-all", "a": "attach", "c": "cpu-shares", "d": "detach", "e": "env", "h": "hostname",
    "i": "interactive", "l": "label", "m": "memory", "p": "publish", "q": "quiet", "t": "tty", "u": "user",
    "v": "volume", "w": "workdir",
}  # fmt: skip

ALIASES = {"net": "network", "net-alias": "network-alias", "dns-opt": "dns-option"}

GLOBAL_SWITCHES = frozenset({
    "D", "debug", "tls", "tlsverify", "r", "remote", "syslog", "noout", "transient-store", "debug-full",
    "insecure-registry", "experimental", "help", "trace",
})  # fmt: skip
"""Options between the engine's name and the subcommand that take no value. All others there take one."""

COMMA_LISTS = frozenset({
    "cap-add", "cap-drop", "device", "device-cgroup-rule", "gidmap", "group-add", "sysctl", "uidmap",
})  # fmt: skip
"""Options of which Podman splits the value at commas; Docker takes it whole."""
