"""What the kernel sensor reports. Techniques say with these how they look; the sensor answers them."""

from __future__ import annotations

from holdfast.model.facts import Fact
from holdfast.model.values import Members

IN_CONTAINER: Fact[bool] = Fact("event.in_container", bool, "The acting process runs in a container.")
SYSCALL: Fact[str] = Fact("event.syscall", str, "Name of the system call, or of the kernel hook.")
PATH: Fact[str] = Fact("event.path", str, "Resolved path of the object, as the acting process's mounts show it.")
INNER_PATH: Fact[str] = Fact(
    "event.inner_path", str, "Path of the object in its own file system, wherever that or a part of it is mounted."
)
HOST_PATH: Fact[str] = Fact("event.host_path", str, "The object's path in the host's mount namespace.")
HOST_MOUNT: Fact[str] = Fact(
    "event.host_mount", str, "Where the host sees the root of the mount through which the object was reached."
)
PRIVATE: Fact[bool] = Fact("event.private", bool, "The file may not be read by everybody.")
WRITE: Fact[bool] = Fact("event.write", bool, "Opened for writing, or written, created, renamed, changed in mode.")
FILE_KIND: Fact[str] = Fact("event.file_kind", str, '"regular", "directory", "block", "char", "socket", "fifo".')
DEVICE: Fact[str] = Fact("event.device", str, 'Number of a device node, "major:minor", opened or made.')
FILE_MODE_SETUID: Fact[bool] = Fact("event.sets_setuid", bool, "The call sets the setuid or setgid bit.")
FILE_SYSTEM: Fact[str] = Fact("event.file_system", str, "Type of the file system: proc, cgroup, overlay, ...")
FLAGS: Fact[Members] = Fact("event.flags", Members, "Symbolic flags of the call: MS_REMOUNT, CLONE_NEWUSER, ...")
SOCKET_FAMILY: Fact[str] = Fact("event.socket_family", str, "AF_UNIX, AF_ALG, AF_PACKET, ...")
ADDRESS: Fact[str] = Fact("event.address", str, "Peer address.")
PORT: Fact[int] = Fact("event.port", int, "Peer port.")
TARGET_OUTSIDE: Fact[bool] = Fact(
    "event.target_outside", bool, "The target process or namespace is not the container's own."
)
ABSENT: Fact[bool] = Fact("event.absent", bool, "The call failed because there is nothing of that name.")
COMMAND: Fact[str] = Fact("event.command", str, "Command of a multiplexed call: PROG_LOAD, TIOCSTI, ...")
USERMODE_HELPER: Fact[bool] = Fact("event.usermode_helper", bool, "The kernel itself starts a program.")
EXECUTABLE_IN_CONTAINER: Fact[bool] = Fact(
    "event.executable_in_container", bool, "A host process runs a program that lies in a container's file system."
)
