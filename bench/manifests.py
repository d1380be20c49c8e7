"""Make Kubernetes manifests for measuring: one Pod in each file, the mix of a real cluster, the same for every run."""

from __future__ import annotations

import random
import sys
from pathlib import Path

_SEED = 20_261_101

_POD = """\
apiVersion: v1
kind: Pod
metadata:
  name: {name}
  namespace: {namespace}
  labels:
    app: {name}
    tier: {tier}
spec:
{pod}  containers:
  - name: app
    image: registry.example/{name}:1.{minor}.{patch}
    ports:
    - containerPort: 8080
    env:
    - name: LOG_LEVEL
      value: "info"
    - name: REGION
      value: eu-{region}
    resources:
      requests:
        cpu: 100m
        memory: 128Mi
      limits:
        memory: 256Mi
    readinessProbe:
      httpGet:
        path: /healthz
        port: 8080
{container}"""

_RESTRICTED = """\
    securityContext:
      runAsNonRoot: true
      runAsUser: 10001
      allowPrivilegeEscalation: false
      readOnlyRootFilesystem: true
      seccompProfile:
        type: RuntimeDefault
      capabilities:
        drop:
        - ALL
"""
_ADMIN = """\
    securityContext:
      capabilities:
        add:
        - SYS_ADMIN
"""
_PRIVILEGED = """\
    securityContext:
      privileged: true
"""
_HOST_PATH = """\
    volumeMounts:
    - name: host
      mountPath: /host
"""
_HOST_VOLUME = """\
  volumes:
  - name: host
    hostPath:
      path: {path}
"""
_KINDS = (
    (45, "", _RESTRICTED),
    (40, "", ""),
    (5, _HOST_VOLUME.format(path="/var/log"), _HOST_PATH),
    (3, _HOST_VOLUME.format(path="/var/run/docker.sock"), _HOST_PATH),
    (3, "  hostNetwork: true\n  hostPID: true\n", ""),
    (2, "", _ADMIN),
    (2, "", _PRIVILEGED),
)


def make(folder: Path, count: int) -> None:
    """Write ``count`` files into a folder, 100 to a subfolder."""
    draw = random.Random(_SEED)
    weights = [weight for weight, _, _ in _KINDS]
    for number in range(count):
        _, pod, container = draw.choices(_KINDS, weights)[0]
        place = folder / f"team-{number // 100:03d}"
        place.mkdir(parents=True, exist_ok=True)
        text = _POD.format(
            name=f"service-{number:05d}",
            namespace=f"team-{number // 100:03d}",
            tier=draw.choice(("web", "api", "worker")),
            minor=draw.randrange(20),
            patch=draw.randrange(20),
            region=draw.randrange(4),
            pod=pod,
            container=container,
        )
        (place / f"service-{number:05d}.yaml").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    make(Path(sys.argv[1]), int(sys.argv[2]))
