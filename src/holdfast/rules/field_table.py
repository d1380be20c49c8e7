"""Which fields Falco knows: name, type, argument and restrictions, as data.

Source:
    ``falco --list=syscall`` of Falco 0.44.1; the types are those of libsinsp's ``sinsp_filtercheck_*.cpp``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import cache


class Kind(Enum):
    """What an answer is, and so what it is compared with."""

    TEXT = "text"
    NUMBER = "number"
    FRACTION = "fraction"
    FLAG = "flag"
    ADDRESS = "address"
    NETWORK = "network"
    PORT = "port"
    BYTES = "bytes"
    DYNAMIC = "dynamic"

    @property
    def type(self) -> type:
        """The Python type of one answer; addresses are text, a dynamic answer is text or a number."""
        return _TYPES.get(self, str)


_TYPES: dict[Kind, type] = {
    Kind.NUMBER: int,
    Kind.FRACTION: float,
    Kind.FLAG: bool,
    Kind.PORT: int,
    Kind.BYTES: bytes,
}


@dataclass(frozen=True, slots=True)
class Row:
    """One field.

    Attributes:
        name: Without an argument.
        kind: Of one answer.
        required: It has an argument or is no field at all.
        index: Takes a number in brackets.
        key: Takes a text in brackets.
        dotted: Takes its argument after a dot too: ``evt.arg.flags``.
        listed: The answer is a list; only ``exists``, ``in`` and ``intersects`` may be asked.
        lineage: Without an argument it asks every ancestor.
        ends: It asks both ends of a socket, or for all names of one end: any of them may fit, none may differ.
        right: May stand on the right-hand side, in ``val()``.
        changes: May be handed to a transformer.
        shown: May stand in an output.
        deprecated: Falco will drop it or has dropped it.
    """

    name: str
    kind: Kind
    required: bool = False
    index: bool = False
    key: bool = False
    dotted: bool = False
    listed: bool = False
    lineage: bool = False
    ends: bool = False
    right: bool = True
    changes: bool = True
    shown: bool = True
    deprecated: bool = False


_FLAGS = {
    "n": "index",
    "k": "key",
    "d": "dotted",
    "!": "required",
    "l": "listed",
    "a": "lineage",
    "e": "ends",
    "r": "right",
    "t": "changes",
    "s": "shown",
    "o": "deprecated",
}
"""Letters of the table below; ``r``, ``t`` and ``s`` take a permission away, the others say what a field has."""

_TABLE: dict[Kind, str] = {
    Kind.TEXT: """
        evt.time evt.time.s evt.time.iso8601 evt.datetime evt.datetime.s evt.pluginname evt.plugininfo evt.source
        evt.asynctype evt.hostname evt.type syscall.type evt.category evt.args evt.info evt.res evt.io_dir
        evt.arg:!nd evt.abspath:!d evt.dir:o evt.latency.human:o evt.outputtime
        proc.exe proc.pexe proc.exepath proc.pexepath proc.name proc.pname proc.cmdline proc.pcmdline proc.exeline
        proc.args:n proc.env:nk proc.cwd proc.sname proc.sid.exe proc.sid.exepath proc.vpgid.name proc.vpgid.exe
        proc.vpgid.exepath proc.pgid.name proc.pgid.exe proc.pgid.exepath
        proc.aexe:nart proc.aexepath:nart proc.aname:nart proc.aargs:na proc.acmdline:nart proc.aenv:nkart
        proc.stdin.type proc.stdout.type proc.stderr.type proc.stdin.name proc.stdout.name proc.stderr.name
        thread.cap_permitted thread.cap_inheritable thread.cap_effective thread.cgroups thread.cgroup:!kd
        user.name user.homedir user.shell user.loginname group.name
        fd.type fd.typechar fd.name fd.directory fd.filename fd.l4proto fd.sockfamily fd.uid fd.containername
        fd.containerdirectory fd.cproto fd.sproto fd.lproto fd.rproto fd.proto:erts fd.nameraw fd.types:nlr
        fd.cip.name:ert fd.sip.name:ert fd.lip.name:ert fd.rip.name:ert
        fs.path.name fs.path.nameraw fs.path.source fs.path.sourceraw fs.path.target fs.path.targetraw
        fdlist.nums fdlist.names fdlist.cips fdlist.sips fdlist.cports fdlist.sports
        container.id container.full_id container.name container.image container.image.id container.type
        container.mounts container.mount:!nk container.mount.source:!nk container.mount.dest:!nk
        container.mount.mode:!nk container.mount.rdwr:!nk container.mount.propagation:!nk
        container.image.repository container.image.tag container.image.digest container.healthcheck:o
        container.liveness_probe:o container.readiness_probe:o container.cni.json container.label:!kd container.labels
        container.ip
        k8s.pod.name k8s.pod.id k8s.pod.uid k8s.pod.sandbox_id k8s.pod.full_sandbox_id k8s.pod.label:!kd
        k8s.pod.labels k8s.pod.ip k8s.pod.cni.json k8s.ns.name k8s.rc.name:o k8s.rc.id:o k8s.rc.label:!kdo
        k8s.rc.labels:o k8s.svc.name:o k8s.svc.id:o k8s.svc.label:!kdo k8s.svc.labels:o k8s.ns.id:o k8s.ns.label:!kdo
        k8s.ns.labels:o k8s.rs.name:o k8s.rs.id:o k8s.rs.label:!kdo k8s.rs.labels:o k8s.deployment.name:o
        k8s.deployment.id:o k8s.deployment.label:!kdo k8s.deployment.labels:o
    """,
    Kind.NUMBER: """
        evt.num evt.rawtime evt.rawtime.s evt.rawtime.ns evt.reltime evt.reltime.s evt.reltime.ns evt.deltatime
        evt.deltatime.s evt.deltatime.ns evt.latency:o evt.latency.s:o evt.latency.ns:o evt.wait_latency:o
        evt.type.is:!d evt.cpu evt.buflen evt.rawres evt.count evt.count.error evt.count.error.file
        evt.count.error.net evt.count.error.memory evt.count.error.other evt.count.exit evt.around:!nrts
        proc.cmdnargs proc.cmdlenargs proc.loginshellid proc.tty proc.pid proc.ppid proc.apid:nart proc.vpid proc.pvpid
        proc.sid proc.vpgid proc.pgid proc.duration proc.ppid.duration proc.pid.ts proc.ppid.ts proc.exe_ino
        proc.exe_ino.ctime proc.exe_ino.mtime proc.exe_ino.ctime_duration_proc_start
        proc.exe_ino.ctime_duration_pidns_start proc.pidns_init_start_ts proc.fdopencount proc.fdlimit proc.vmsize
        proc.vmrss proc.vmswap proc.nthreads proc.nchilds thread.pfmajor thread.pfminor thread.tid thread.vtid
        thread.exectime thread.totexectime thread.vmsize thread.vmrss
        user.uid user.loginuid group.gid fd.num fd.dev fd.dev.major fd.dev.minor fd.ino
        container.start_ts container.duration
    """,
    Kind.FRACTION: "proc.fdusage thread.cpu thread.cpu.user thread.cpu.system",
    Kind.FLAG: """
        evt.is_async evt.failed evt.is_io evt.is_io_read evt.is_io_write evt.is_wait evt.is_syslog evt.is_open_read
        evt.is_open_write evt.is_open_exec evt.is_open_create proc.is_exe_writable proc.is_exe_upper_layer
        proc.is_exe_lower_layer proc.is_exe_from_memfd proc.is_sid_leader proc.is_vpgid_leader proc.is_pgid_leader
        proc.is_container_healthcheck:o proc.is_container_liveness_probe:o proc.is_container_readiness_probe:o
        thread.ismain fd.is_server fd.connected fd.name_changed fd.is_upper_layer fd.is_lower_layer
        container.privileged container.host_pid container.host_network container.host_ipc
    """,
    Kind.ADDRESS: "fd.ip:erts fd.cip fd.sip fd.lip fd.rip",
    Kind.NETWORK: "fd.net:erts fd.cnet:rts fd.snet:rts fd.lnet:rts fd.rnet:rts",
    Kind.PORT: "fd.port:erts fd.cport fd.sport fd.lport fd.rport",
    Kind.BYTES: "evt.buffer",
    Kind.DYNAMIC: "evt.rawarg:!drt",
}


@cache
def rows() -> dict[str, Row]:
    """Return every field by its name."""
    found: dict[str, Row] = {}
    for kind, words in _TABLE.items():
        for word in words.split():
            name, _, letters = word.partition(":")
            given = {_FLAGS[letter]: letter not in "rts" for letter in letters}
            found[name] = Row(name, kind, **given)
    return found
