"""What a drill made through an engine or an OCI runtime is removed by its label, and nothing of others is."""

from __future__ import annotations

import json
import subprocess
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.drill import reaper, undo_engine
from holdfast.drill.journal import Journal, new_id
from holdfast.drill.reaper import Left, Removed
from holdfast.drill.undo_engine import EXPIRES, LABEL

BUSYBOX = Path("/bin/busybox")


def docker(*words: str, check: bool = True) -> str:
    answer = subprocess.run(["docker", *words], capture_output=True, text=True, timeout=60, check=False)
    assert not check or answer.returncode == 0, answer.stderr
    return answer.stdout.strip()


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOLDFAST_STATE", str(tmp_path / "state"))
    return tmp_path / "state"


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("image") / "image.tar"
    with tarfile.open(file, "w") as made:
        made.add(BUSYBOX, "bin/busybox")
    return file


@pytest.fixture
def run() -> Iterator[str]:
    name = new_id()
    yield name
    for kind, listing in (("rm", ("ps", "--all")), ("rmi", ("images",))):
        found = docker(*listing, "--quiet", "--filter", f"label={LABEL}={name}").split()
        if found:
            docker(kind, "--force", *set(found))


def imported(archive: Path, run: str, tag: str) -> str:
    change = ("--change", f"LABEL {LABEL}={run}")
    docker("import", *change, "--change", 'CMD ["/bin/busybox","sleep","600"]', str(archive), tag)
    return tag


def started(image: str, name: str, *labels: str) -> str:
    words = [word for label in labels for word in ("--label", label)]
    return docker("run", "--detach", "--network", "none", "--name", name, *words, image)


def exists(kind: str, name: str) -> bool:
    return subprocess.run(["docker", kind, "inspect", name], capture_output=True, check=False).returncode == 0


@pytest.mark.engine
def test_a_container_a_volume_and_its_image_go(archive: Path, run: str) -> None:
    journal = Journal.open(run, 60)
    image, name, volume = f"holdfast-drill:{run}", f"holdfast-{run}-1", f"holdfast-{run}"
    journal.will("image", engine="docker", name=image)
    imported(archive, run, image)
    journal.will("volume", engine="docker", name=volume)
    docker("volume", "create", "--label", f"{LABEL}={run}", volume)
    journal.will("container", engine="docker", name=name)
    started(image, name, f"{LABEL}={run}")
    journal.will("container", engine="docker", name=f"holdfast-{run}-2")
    asked_for = started(image, f"{run}-asked-for", f"{LABEL}={run}")
    done = reaper.finish(journal)
    assert [entry.what.split()[0] for entry in done] == ["container", "container", "volume", "image", "folder"]
    assert not exists("container", asked_for)
    assert Left not in map(type, done)
    assert not exists("container", name)
    assert not exists("volume", volume)
    assert not exists("image", image)


@pytest.mark.engine
def test_what_has_the_name_and_not_the_label_stays(archive: Path, run: str) -> None:
    journal = Journal.open(run, 60)
    image, name = imported(archive, run, f"holdfast-drill:{run}"), f"holdfast-{run}-1"
    docker("volume", "create", name)
    started(image, name, f"{LABEL}=another")
    try:
        journal.will("image", engine="docker", name="holdfast-drill-absent")
        journal.will("container", engine="docker", name=name)
        journal.will("volume", engine="docker", name=name)
        assert reaper.finish(journal) == (Removed(run, f"folder {journal.folder}"),)
        assert docker("inspect", "--format", "{{.State.Running}}", name) == "true"
        assert exists("volume", name)
    finally:
        docker("rm", "--force", name)
        docker("volume", "rm", name)


@pytest.mark.engine
def test_an_engine_that_does_not_answer_leaves_the_journal(run: str, tmp_path: Path) -> None:
    journal = Journal.open(run, 60)
    address = f"unix://{tmp_path}/no.sock"
    journal.will("container", engine="docker", name="x", address=address)
    (left,) = reaper.finish(journal)
    assert isinstance(left, Left)
    assert left.what == f"container docker x {address}"
    assert journal.folder.is_dir()


@pytest.mark.engine
def test_labelled_containers_without_a_run_folder_go_when_their_time_is_over(archive: Path, run: str) -> None:
    image = imported(archive, run, f"holdfast-drill:{run}")
    # A year back, and looked at a day after that: runs of others that work here meanwhile are not over then.
    past = int(time.time()) - 365 * 86400
    labels = {
        "over": (f"{LABEL}={run}", f"{EXPIRES}={past}"),
        "not-over": (f"{LABEL}={run}", f"{EXPIRES}={past + 2 * 86400}"),
        "no-time": (f"{LABEL}={run}",),
        "no-number": (f"{LABEL}={run}", f"{EXPIRES}=soon"),
        "never": (f"{LABEL}=never", f"{EXPIRES}={past + 2 * 86400}"),
    }
    try:
        number = {name: started(image, f"{run}-{name}", *words) for name, words in labels.items()}
        done = reaper.reap(past + 86400, engines=("docker",))
        assert done == (Removed(run, f"container docker {number['over'][:12]}"),)
        assert [name for name in labels if exists("container", number[name])] == list(labels)[1:]
        with Journal.open(run, 60):
            assert reaper.reap(past + 86400 * 3, engines=("docker",)) == (), "its journal says what to do"
    finally:
        docker("rm", "--force", *(f"{run}-{name}" for name in labels), check=False)


@pytest.mark.root
def test_podman_has_other_words_and_the_same_end(archive: Path) -> None:
    run, past = new_id(), int(time.time()) - 365 * 86400

    def podman(*words: str) -> str:
        return subprocess.run(["podman", *words], capture_output=True, text=True, timeout=60, check=True).stdout.strip()

    journal = Journal.open(run, 60)
    image = f"localhost/holdfast-drill:{run}"
    journal.will("image", engine="podman", name=image)
    podman("import", "--change", f"LABEL {LABEL}={run}", str(archive), image)
    stray = new_id()
    try:
        labels = ("--label", f"{LABEL}={stray}", "--label", f"{EXPIRES}={past}")
        podman("create", "--network", "none", "--name", f"{run}-over", *labels, image, "/bin/busybox", "true")
        (done,) = reaper.reap(past + 86400, engines=("podman",))
        assert isinstance(done, Removed)
        assert (done.run, done.what.split()[:2]) == (stray, ["container", "podman"])
        journal.will("container", engine="podman", name=f"{run}-1")
        podman("create", "--network", "none", "--name", f"{run}-1", "--label", f"{LABEL}={run}", image, "true")
        kinds = [entry.what.split()[0] for entry in reaper.finish(journal) if isinstance(entry, Removed)]
        assert kinds == ["container", "image", "folder"]
        assert podman("ps", "--all", "--quiet", "--filter", f"label={LABEL}={run}") == ""
    finally:
        found = podman("ps", "--all", "--quiet", "--filter", f"label={LABEL}={run}").split()
        if found:
            podman("rm", "--force", *found)
        subprocess.run(["podman", "rmi", "--force", image], capture_output=True, timeout=60, check=False)


@pytest.mark.root
@pytest.mark.parametrize("runtime", ["runc", "runsc"])
def test_a_container_of_an_oci_runtime_goes(run: str, tmp_path: Path, runtime: str) -> None:
    bundle, root, name = tmp_path / "bundle", tmp_path / "root", f"holdfast-{run}"
    (bundle / "rootfs" / "bin").mkdir(parents=True)
    (bundle / "rootfs" / "bin" / "busybox").write_bytes(BUSYBOX.read_bytes())
    (bundle / "rootfs" / "bin" / "busybox").chmod(0o755)
    config = {
        "ociVersion": "1.0.2",
        "process": {"args": ["/bin/busybox", "sleep", "600"], "cwd": "/", "user": {"uid": 0, "gid": 0}},
        "root": {"path": "rootfs"},
        "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}],
        "linux": {"namespaces": [{"type": "pid"}, {"type": "mount"}], "cgroupsPath": f"/holdfast-{run}"},
    }
    (bundle / "config.json").write_text(json.dumps(config))
    more = ["--platform=ptrace", "--network=none", "--ignore-cgroups"] if runtime == "runsc" else []
    journal = Journal.open(run, 60)
    journal.will("oci_container", runtime=runtime, root=str(root), id=name)
    words = [runtime, *more, "--root", root, "run", "--detach", "--bundle", bundle, name]
    answer = subprocess.run(
        words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60, check=False
    )
    assert answer.returncode == 0
    assert any(name in path.name for path in root.iterdir())
    assert reaper.finish(journal) == (
        Removed(run, f"oci_container {runtime} {root} {name}"),
        Removed(run, f"folder {journal.folder}"),
    )
    assert not any(name in path.name for path in root.iterdir())


ALREADY = """\
#!/bin/sh
case "$*" in
*inspect*) test -e {gone} || exec echo {run}; echo "Error: No such container: x" >&2; exit 1 ;;
*rm*)
    (sleep {seconds}; touch {gone}) > /dev/null 2>&1 &
    echo "removal of container x is already in progress" >&2
    exit 1 ;;
esac
"""


@pytest.mark.parametrize("seconds", [1, 5])
def test_a_container_that_the_engine_removes_already_is_waited_for(
    seconds: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = tmp_path / "docker"
    engine.write_text(ALREADY.format(gone=tmp_path / "gone", run="0123456789ab", seconds=seconds))
    engine.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(undo_engine, "_GONE_S", 2.5)
    if seconds < 2:
        assert undo_engine.container("0123456789ab", "docker", "x")
    else:
        with pytest.raises(undo_engine.Stays, match="still there"):
            undo_engine.container("0123456789ab", "docker", "x")
