/* What the programs tell. This is the only definition of a record: layout.py reads it from the object's own BTF.
 *
 * A record is one of the structs below; a call and an exec are padded to `union record`, then come `text` bytes.
 * Numbers are little-endian, as the machine is. */
#ifndef HOLDFAST_EVENTS_H
#define HOLDFAST_EVENTS_H

enum kind { KIND_CALL = 1, KIND_FORK = 2, KIND_EXEC = 3, KIND_EXIT = 4, KIND_GROUPED = 5 };
enum ring { RING_CRITICAL = 0, RING_LIFE = 1, RING_BULK = 2, RINGS = 3 };

/* Subject: who acts. */
enum subject_flag {
    SUBJECT_CONTAINED = 1,       /* has executed a program inside a container, or descends from who did */
    SUBJECT_SEPARATE = 2,        /* its mount namespace and its root, pid or user namespace are not the host's */
    SUBJECT_RUNTIME = 4,         /* runs a registered runtime's own program */
    SUBJECT_FLOODS = 8,          /* its container has used up its share of records of this call for this second */
    SUBJECT_UNTOLD = 16,         /* no record told that it was born */
    SUBJECT_URGENT = 32,         /* it runs a program that woke the sensor */
    SUBJECT_MNT = 1 << 8, SUBJECT_PID = 1 << 9, SUBJECT_USER = 1 << 10, SUBJECT_NET = 1 << 11,
    SUBJECT_IPC = 1 << 12, SUBJECT_UTS = 1 << 13, SUBJECT_CGROUP = 1 << 14, SUBJECT_ROOT = 1 << 15,
                                 /* this namespace (or root directory) is not the host's */
};

struct head {
    u64 at_ns;                   /* CLOCK_BOOTTIME */
    u64 number;                  /* counts per processor and ring, lost ones too */
    u16 kind;
    u16 processor;
    u16 ring;
    u16 text;                    /* bytes after the struct */
};

struct subject {
    u64 start_ns;
    u64 cgroup;
    u64 effective, permitted;
    u64 exe_inode;
    u32 exe_device;
    u32 flags;
    u32 pid, tid, parent, virtual_pid;
    u32 user, effective_user, group, effective_group, login_user;
    u32 mnt, pidns, userns, net, ipc, uts, cgroupns;
    char name[16];
};

enum object_flag {
    OBJECT_FILE = 1,             /* there is a file */
    OBJECT_OWN_ROOT = 2,         /* on the mount that is the process's root */
    OBJECT_OUTSIDE = 4,          /* not below the process's root */
    OBJECT_CUT = 8,              /* the path is longer than what was read */
    OBJECT_LOOSE = 16,           /* not in any directory: memfd, pipe, socket, anonymous */
    OBJECT_UNLINKED = 32,
    OBJECT_SOCKET = 64,          /* there is a socket */
    OBJECT_WRITE = 128,          /* the open file may be written */
    OBJECT_READ = 256,
    OBJECT_EXEC = 512,
    OBJECT_PEER = 1024,          /* peer_* are filled in */
    OBJECT_LISTENS = 2048,
};

struct object {
    u64 inode;
    u64 extra;                   /* inode of the namespace behind an nsfs file; of the socket file behind a unix peer */
    u32 device, magic, mode, number;
    u32 mount_ns;
    u32 flags;
    u32 extra_device;
    u32 peer_pid;
    u16 family, type, protocol;
    u16 local_port, remote_port;
    u8 local[16], remote[16];
    u16 path;                    /* bytes of the path from the process's root */
    u16 inside;                  /* of these, bytes before the last mount on the way */
    u16 above;                   /* bytes of the path of that mount's root in its own file system */
};

/* A system call that returned. Texts: path, above, base, second, then the strings that the call was given. */
struct call {
    struct head head;
    struct subject subject;
    s64 result;
    u64 cookie;                  /* names file, way and user of an open that can be said to be dull; 0: it cannot */
    u64 arguments[6];
    u16 number;                  /* of the system call, in the machine's own table */
    u16 compat;                  /* 1: it was made through the 32-bit table; 2: handed to io_uring, no result yet */
    u16 base;                    /* bytes of the directory that a relative path starts at */
    u16 second;                  /* the same for the second string */
    u16 strings[4];              /* bytes of each */
    u16 data;                    /* bytes of a socket address or of the start of a buffer */
    struct object object;
};

/* Texts: path, above, working directory, argv, environment (both with NUL between). */
struct exec {
    struct head head;
    struct subject subject;
    struct object object;        /* the program */
    u32 session, group_leader, terminal;
    u16 directory, arguments, environment;
    u16 runtime;                 /* 1: a registered runtime, by its inode */
};

struct fork {
    struct head head;
    struct subject subject;      /* of the child */
    u32 by;                      /* process id of the parent */
    u32 by_thread;
    u64 clone_flags;
};

struct ended {
    struct head head;
    struct subject subject;
    s32 code;
    u32 unused;
};

/* A control group was made or removed. Text: its path. Ids are those of its own hierarchy; 0 is version 2. */
struct grouped {
    struct head head;
    u64 id;
    u32 hierarchy;
    u32 gone;
};

/* The text of a record that has some begins behind this, whatever its kind. */
union record {
    struct head head;
    struct call call;
    struct exec exec;
    struct fork fork;
    struct ended ended;
    struct grouped grouped;
};

struct counters { u64 numbers[RINGS]; u64 lost[RINGS]; u64 seen; u64 unwanted; };

#endif
