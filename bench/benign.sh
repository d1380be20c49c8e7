#!/bin/sh
# Ordinary work in containers, again and again. Nothing in it is an attempt, so nothing of it may alert or be denied.
# usage: benign.sh IMAGE MARK SECONDS host|none      the names of all containers begin with MARK; one round at least
# Prints a line for each act, "ok NAME" or "failed NAME CODE LAST-WORDS", and "rounds N" at the end.
image=$1 mark=$2 network=$4
end=$(($(date +%s) + $3))
folder=$(mktemp -d)
chmod 755 "$folder"
trap 'rm -rf "$folder"' EXIT
trap 'exit 143' INT TERM

act() {
    name=$1
    shift
    timeout 240 "$@" > "$folder/said" 2>&1
    code=$?
    if [ $code = 0 ]; then
        echo "ok $name"
    else
        echo "failed $name $code $(tail -n 2 "$folder/said" | tr '\n' ' ')"
    fi
}
start() {
    name=$1
    shift
    act "start-$name" docker run -d --network none --name "$mark-$name" "$@"
}
inside() {
    act "$1" docker exec "$mark-$2" sh -c "$3"
}
once() {
    name=$1
    shift
    act "$name" docker run --rm --network none --name "$mark-$name" "$@"
}

cat > "$folder/web.py" <<'END'
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [open("/etc/hostname", "rb").read()]
END
mkdir "$folder/context"
cp "$folder/web.py" "$folder/context"
cat > "$folder/context/Dockerfile" <<END
FROM $image
RUN useradd web && mkdir /srv/web && chown web /srv/web && dpkg --configure -a
COPY --chown=web web.py /srv/web/
WORKDIR /srv/web
USER web
RUN python3 -m compileall . && id
CMD ["gunicorn", "-w", "2", "-b", "127.0.0.1:8000", "web:app"]
END
mkdir "$folder/settings"
cp "$folder/web.py" "$folder/settings"
pg=/usr/lib/postgresql/15/bin
start nginx "$image" nginx -g 'daemon off;'
start redis --restart unless-stopped "$image" redis-server --save 5 1
start postgres -v "$mark-data:/var/lib/postgresql" --shm-size 128m "$image" su postgres -c \
    "$pg/postgres -D /var/lib/postgresql/15/main -c config_file=/etc/postgresql/15/main/postgresql.conf"
start web -v "$folder/settings:/srv:ro" -w /srv -e PYTHONDONTWRITEBYTECODE=1 --init \
    --health-cmd 'curl -sf localhost:8000' --health-interval 10s "$image" gunicorn -w 2 -b 127.0.0.1:8000 web:app
inside ready-nginx nginx 'until curl -sf localhost > /dev/null; do sleep 1; done'
inside ready-redis redis 'until redis-cli ping; do sleep 1; done'
inside ready-postgres postgres 'until su postgres -c "psql -c \"select 1\""; do sleep 1; done'
inside ready-web web 'until curl -sf localhost:8000 > /dev/null; do sleep 1; done'

rounds=0
while :; do
    rounds=$((rounds + 1))
    inside nginx-serve nginx 'for k in 1 2 3 4 5; do curl -sf localhost > /dev/null || exit 1; done'
    inside nginx-reload nginx 'nginx -t && nginx -s reload'
    inside redis-write redis 'redis-cli set a b && redis-cli bgsave && redis-cli info > /dev/null'
    inside postgres-write postgres 'su postgres -c "psql -v ON_ERROR_STOP=1 -c \"create table if not exists t(a int)\" \
        -c \"insert into t select generate_series(1, 1000)\" -c \"select count(*) from t\" -c \"vacuum t\""'
    inside postgres-dump postgres 'su postgres -c "pg_dumpall > /tmp/dump"'
    inside web-serve web 'curl -sf localhost:8000'
    inside look-around web 'cat /proc/meminfo /proc/self/mountinfo /proc/self/status /sys/fs/cgroup/memory.max \
        > /dev/null 2>&1; ls -laR /etc /proc/self/task > /dev/null 2>&1; nproc; id; df > /dev/null'
    once tools "$image" sh -c 'dpkg -l > /dev/null && tar -C / -cf /tmp/x.tar etc && tar -C /tmp -xf /tmp/x.tar &&
        python3 -c "import json, ssl, sqlite3, subprocess; subprocess.run([\"true\"])" && useradd -m bob &&
        su bob -c id && cp /bin/ls /tmp/l && chmod 4755 /tmp/l && mkfifo /tmp/f && ln -s /etc/passwd /tmp/p'
    once package "$image" sh -c 'mkdir -p /tmp/p/DEBIAN /tmp/p/usr/bin /tmp/p/etc && cd /tmp &&
        printf "Package: said\nVersion: 1\nArchitecture: all\nMaintainer: x <x@example.org>\nDescription: x\n" \
            > p/DEBIAN/control && printf "#!/bin/sh\nuseradd -r said\nchown said /etc/said\n" > p/DEBIAN/postinst &&
        echo 1 > p/etc/said && echo echo said > p/usr/bin/said && chmod 755 p/DEBIAN/postinst p/usr/bin/said &&
        dpkg-deb -b p said.deb && apt-get install -y ./said.deb && said && apt-get purge -y said'
    once restricted --read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges -u 1000:1000 "$image" \
        sh -c 'id && touch /tmp/x && ls /proc > /dev/null && cat /proc/cpuinfo > /dev/null'
    once host-file -v /etc/hostname:/etc/host:ro -v /etc/passwd:/etc/users:ro "$image" sh -c 'cat /etc/host /etc/users'
    once volume -v "$mark-volume:/data" "$image" sh -c 'for i in 1 2 3; do echo $i > /data/$i; done
        chown -R 1000 /data && chmod -R go-w /data && mv /data/1 /data/4 && ln -sf 4 /data/5 && cat /data/5'
    once terminal -t --pids-limit 100 --memory 200m --ulimit nofile=1024 "$image" sh -c 'tty && stty size && ps 2> /dev/null || true'
    act build docker build --network none -q -t "$mark-built" "$folder/context"
    act copy-in docker cp "$folder/web.py" "$mark-nginx:/tmp/web.py"
    act copy-out docker cp "$mark-nginx:/etc/nginx" "$folder/nginx"
    act commit docker commit "$mark-nginx" "$mark-committed"
    act run-committed docker run --rm --network none --name "$mark-again" "$mark-committed" cat /tmp/web.py
    act pause docker pause "$mark-web"
    act unpause docker unpause "$mark-web"
    act top docker top "$mark-postgres"
    act logs docker logs "$mark-postgres"
    if [ "$network" = host ] && [ $((rounds % 5)) = 1 ]; then
        act install docker run --rm --network host --name "$mark-install" "$image" \
            sh -c 'apt-get update -qq && apt-get install -y -qq hello && hello'
    fi
    act restart docker restart -t 3 "$mark-nginx"
    act stop docker stop -t 10 "$mark-redis"
    act start-again docker start "$mark-redis"
    inside ready-again redis 'until redis-cli get a; do sleep 1; done'
    [ "$(date +%s)" -lt "$end" ] || break
    sleep 5
done
act remove docker rm -f -v "$mark-nginx" "$mark-redis" "$mark-postgres" "$mark-web"
act remove-images docker rmi -f "$mark-built" "$mark-committed"
act remove-volumes docker volume rm "$mark-data" "$mark-volume"
echo "rounds $rounds"
