#!/bin/bash
# Starts what the shop needs. "docker run --privileged old" was used before.
set -euo pipefail
IMAGE="registry.example/shop:1.4"
COMMON="--restart=unless-stopped --cap-drop ALL"
export DATA_DIR=/srv/data

docker network create shop || true
docker volume create db

docker run -d --name db \
  $COMMON \
  -v db:/var/lib/postgresql/data \
  --security-opt=no-new-privileges \
  postgres:16 postgres -c "max_connections=50; docker run x"   # not a command

if ! docker inspect web >/dev/null 2>&1; then
  sudo docker container run --detach --name=web --network container:db \
    --mount type=bind,source="${DATA_DIR}",target=/data,readonly \
    --tmpfs /tmp:size=64m -u 1000:1000 --read-only "$IMAGE"
fi

docker run --rm -v /var/run/docker.sock:/var/run/docker.sock "$UPDATER" --cleanup
ID=$(docker create --pid=host --privileged agent:2)
for n in 1 2; do docker run -dit --name "w$n" busybox; done
