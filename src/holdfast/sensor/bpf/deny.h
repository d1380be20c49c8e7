/* What user space and the denying programs share. The marks are this object's own, not those of the watching programs:
 * what is pinned must go on marking when no sensor runs, so it may depend on nothing that ends with one. */
#ifndef HOLDFAST_DENY_H
#define HOLDFAST_DENY_H

#include "kernel.h"

/* One bit per technique, in the order of the catalogue; the last one is the canary's. */
struct mask { u64 low, high; };

enum access { ACCESS_READ = 0, ACCESS_WRITE = 1, ACCESS_SYMLINK = 2, ACCESS_CONNECT = 3, ACCESSES = 4 };

/* What an attempt can be like. `number`, `more` and `name` of the key of `conditions`, by kind. */
enum condition_kind {
    KIND_NAME = 1,               /* enum access, magic of the file system, last name */
    KIND_VOLUME = 2,             /* enum access, magic of the file system */
    KIND_DEVICE = 3,             /* 0, device: something in `places` is about it */
    KIND_BLOCK = 4,              /* enum access: a block device is opened, or made */
    KIND_CHAR = 5,               /* major, minor or all ones */
    KIND_HOST_ROOT = 6,          /* enum access, 1 for a directory: through a mount of the host's whole root */
    KIND_FOREIGN = 7,            /* enum access: through a mount of another mount namespace */
    KIND_NAMESPACE = 8,          /* a namespace that is not the process's own is opened */
    KIND_MOUNT = 9,              /* 0, 0, type of the file system */
    KIND_MOUNT_BLOCK = 10,
    KIND_MOUNT_SHARED = 11,      /* where others see it */
    KIND_REMOUNT = 12,           /* 0, magic */
    KIND_UNCOVER = 13,           /* 0, magic of what lies below the mount */
    KIND_TRACE = 14,             /* 1 to read, 2 to attach; a process of another container or of the host */
    KIND_SIGNAL = 15,            /* a process of another container or of the host */
    KIND_SOCKET = 16,            /* 0, 0, last name of the socket's file; its server is not of the same pid namespace */
    KIND_ABSTRACT = 17,          /* a socket without a file, in the host's network namespace */
    KIND_PORT = 18,              /* port */
    KIND_ADDRESS = 19,           /* 4 or 6, 0, address */
    KIND_LOOPBACK = 20,          /* the host's own */
    KIND_FAMILY = 21,            /* address family of a new socket */
    KIND_NETLINK = 22,           /* protocol, type of a message; in the host's network namespace. 0, 0xffff: there are
                                    more messages than were looked at */
    KIND_USER_NAMESPACE = 23,
    KIND_LOAD = 24,              /* what is loaded: enum kernel_read_file_id */
    KIND_BPF = 25,               /* command */
    KIND_CAPABILITY = 26,        /* capability, system call that asks for it; COMPAT_BIT added in the 32-bit table */
    KIND_IOCTL = 27,             /* request */
    KIND_SETUID = 28,            /* a file that is not on the container's own root is given its owner's rights */
    KIND_SHARED_MEMORY = 29,     /* in the host's IPC namespace */
    KIND_CANARY = 30,            /* 0, 0, last name */
    KIND_ROOT = 31,              /* device, inode: the host's root directory, or what stands in for it */
};

#define COMPAT_BIT 0x10000
#define NAME 32
struct condition { u32 kind, number; u64 more; char name[NAME]; };
struct {
    map_number(type, 1);         /* hash */
    map_number(max_entries, 8192);
    map_type(key, struct condition);
    map_type(value, struct mask);
} conditions SEC(".maps");

/* Places on the host, by the path inside their file system. A directory's path ends with a slash here. */
#define PLACE 200
struct place_key { u32 bits, device; char text[PLACE]; };
struct place {
    struct mask on[ACCESSES];
    struct mask wide;            /* of these, those that count only if the mount shows `depth` directories or fewer */
    u32 depth;
    u32 unused;
};
struct {
    map_number(type, 11);        /* longest-prefix trie */
    map_number(max_entries, 4096);
    map_number(map_flags, 1);
    map_type(key, struct place_key);
    map_type(value, struct place);
} places SEC(".maps");

/* What is denied, by container: the mount namespace in which it executed its first program. 0: to those without a row. */
struct {
    map_number(type, 1);
    map_number(max_entries, 16384);
    map_type(key, u32);
    map_type(value, struct mask);
} enabled SEC(".maps");

#define TEXT 256
struct denial {
    u64 at_ns;
    u64 number;                  /* counts per container's task */
    u64 low, high;
    u64 start_ns;
    u64 cgroup;
    u64 more;                    /* of the last condition that was looked up */
    u64 inode;
    u32 pid, tid, parent, user;
    u32 container;
    u32 mnt;
    u32 hook;                    /* enum hook */
    u32 call;                    /* system call; COMPAT_BIT added in the 32-bit table */
    s32 result;
    u32 kind, count;             /* of the last condition */
    u32 device, magic, mode;
    char name[16];
    char object[NAME];           /* last name, type of the file system, ... */
    char path[TEXT];             /* in its own file system, with a slash behind; may be cut */
};

enum hook {
    HOOK_SB_MOUNT = 1, HOOK_SB_KERN_MOUNT = 2, HOOK_MOVE_MOUNT = 3, HOOK_SB_UMOUNT = 4, HOOK_FILE_OPEN = 5,
    HOOK_PATH_MKNOD = 6, HOOK_PATH_CHMOD = 7, HOOK_PATH_SYMLINK = 8, HOOK_PATH_RENAME = 9, HOOK_PATH_LINK = 10,
    HOOK_PATH_UNLINK = 11, HOOK_PATH_MKDIR = 12, HOOK_PATH_RMDIR = 13, HOOK_PATH_TRUNCATE = 14, HOOK_PATH_CHOWN = 15,
    HOOK_PTRACE_ACCESS_CHECK = 16, HOOK_TASK_KILL = 17, HOOK_UNIX_STREAM_CONNECT = 18, HOOK_UNIX_MAY_SEND = 19,
    HOOK_SOCKET_CONNECT = 20, HOOK_SOCKET_CREATE = 21, HOOK_NETLINK_SEND = 22, HOOK_CREATE_USER_NS = 23,
    HOOK_KERNEL_READ_FILE = 24, HOOK_KERNEL_LOAD_DATA = 25, HOOK_BPF = 26, HOOK_CAPABLE = 27, HOOK_FILE_IOCTL = 28,
    HOOK_SHM_SHMAT = 29, HOOK_SOCKET_SENDMSG = 30, HOOK_INODE_SETXATTR = 31,
};

struct {
    map_number(type, 27);        /* ring */
    map_number(max_entries, 1 << 20);
} denials SEC(".maps");

struct tally { u64 denied, untold, unmarked; };
struct {
    map_number(type, 6);         /* per-processor array */
    map_number(max_entries, 1);
    map_type(key, u32);
    map_type(value, struct tally);
} tallies SEC(".maps");

struct program { u64 inode; u32 device; u32 unused; };
struct {
    map_number(type, 1);
    map_number(max_entries, 256);
    map_type(key, struct program);
    map_type(value, u32);
} runtimes SEC(".maps");

/* The host's own namespaces and root directory. */
struct home { u32 mnt, pid, user, net, ipc, root_device; u64 root_inode; u32 ready, unused; };
volatile struct home home;

#define PIECES 64
#define ROOM 512
/* On every task of a container: whose it is, and room to work in. A program may be interrupted by another task's on the
 * same processor, so room that belongs to the processor would be written by both. */
struct mark {
    u32 container;               /* mount namespace at the first exec; CANARY for the sensor's own proof */
    u32 device;                  /* of the root directory's file system, then */
    u64 root;                    /* address of the root directory's mount, then */
    u64 number;
    struct mask wanted, found;
    struct dentry *dentry, *top;
    u32 count, depth, whole, at;
    u64 next, end;               /* of the messages to the kernel */
    struct condition condition;
    struct place_key key;
    struct denial denial;
    struct dentry *pieces[PIECES];
    char text[ROOM];
};
struct {
    map_number(type, 29);        /* task storage */
    map_number(map_flags, 1);
    map_type(key, s32);
    map_type(value, struct mark);
} marks SEC(".maps");

#define CANARY 0xffffffff

/* Functions that are not inlined are looked at by the verifier once, not once per use. */
#define apart __attribute__((noinline))

inline_ struct mark *mark_of(struct task_struct *task)
{
    return task_storage(&marks, task, NULL, 0);
}

/* The mark of the current task if anything is denied to it. */
inline_ struct mark *subject(void)
{
    struct mark *m = mark_of(current_task());
    u32 everyone = 0;
    if (!m)
        return NULL;
    u32 container = m->container;
    struct mask *wanted = map_lookup(&enabled, &container);
    if (!wanted)
        wanted = container == CANARY ? NULL : map_lookup(&enabled, &everyone);
    if (!wanted || !(wanted->low | wanted->high))
        return NULL;
    m->wanted = *wanted;
    m->found.low = m->found.high = 0;
    m->denial.inode = m->denial.device = m->denial.magic = m->denial.mode = 0;
    m->denial.path[0] = 0;
    __builtin_memset(&m->condition, 0, sizeof(m->condition));
    return m;
}

/* Look a condition up; its name is what stands there already. */
inline_ u32 ask(struct mark *m, u32 kind, u32 number, u64 more)
{
    m->condition.kind = kind;
    m->condition.number = number;
    m->condition.more = more;
    struct mask *found = map_lookup(&conditions, &m->condition);
    if (!found)
        return 0;
    u64 low = found->low & m->wanted.low, high = found->high & m->wanted.high;
    if (!(low | high))
        return 0;
    m->found.low |= low;
    m->found.high |= high;
    m->denial.kind = kind;
    m->denial.count = number;
    m->denial.more = more;
    __builtin_memcpy(m->denial.object, m->condition.name, NAME);
    return 1;
}

inline_ void unnamed(struct mark *m)
{
    __builtin_memset(m->condition.name, 0, NAME);
}

inline_ void named(struct mark *m, const void *text)
{
    unnamed(m);
    if (text)
        read_kernel_text(m->condition.name, NAME, text);
}

inline_ u32 call_of(struct task_struct *task)
{
    struct pt_regs *registers = registers_of(task);
    u32 number = registers->orig_ax;
    return task->thread_info.status & 2 ? number | COMPAT_BIT : number & 0xffff;
}

inline_ u32 net_of(struct task_struct *task)
{
    struct nsproxy *spaces = task->nsproxy;
    return spaces ? spaces->net_ns->ns.inum : 0;
}

/* Whether something that is denied was found; then it is told. */
apart int refused(u32 hook)
{
    struct task_struct *task = current_task();
    struct mark *m = mark_of(task);
    u32 zero = 0;
    if (!m || !(m->found.low | m->found.high))
        return 0;
    struct denial *d = &m->denial;
    struct nsproxy *spaces = task->nsproxy;
    d->at_ns = boot_ns();
    d->number = m->number++;
    d->low = m->found.low;
    d->high = m->found.high;
    d->start_ns = task->group_leader->start_boottime;
    d->cgroup = current_cgroup();
    d->pid = task->tgid;
    d->tid = task->pid;
    d->parent = task->real_parent->tgid;
    d->user = task->cred->uid.val;
    d->container = m->container;
    d->mnt = spaces ? spaces->mnt_ns->ns.inum : 0;
    d->hook = hook;
    d->call = call_of(task);
    d->result = -1;
    read_kernel(d->name, sizeof(d->name), task->comm);
    struct tally *tally = map_lookup(&tallies, &zero);
    long lost = ring_output(&denials, d, sizeof(*d), 0);
    if (tally) {
        tally->denied++;
        if (lost)
            tally->untold++;
    }
    return 1;
}

#endif
