/* What user space and the programs share: what is wanted, who is who, the rings, and what was lost. */
#ifndef HOLDFAST_MAPS_H
#define HOLDFAST_MAPS_H

#include "kernel.h"
#include "events.h"

#define CALLS 1024               /* system call numbers: the native table first, from COMPAT on the 32-bit one */
#define COMPAT 512
#define TEXT 4096
#define PIECES 64
#define NOTHING 7                /* in place of an argument's index */
#define RESULT 6
#define CONSTANT 8
/* In place of a descriptor's index: an object that the call leaves behind, or names elsewhere. */
enum placed {
    PLACED_DIRECTORY = 8,        /* the current directory */
    PLACED_ROOT = 9,             /* the root directory */
    PLACED_GROUP = 10,           /* the control group in a struct clone_args */
    PLACED_NAMED = 11,           /* the file behind strings[0], where that is /proc/self/fd/N */
};
enum how {
    CONNECTS = 1,                /* the socket's other end is described */
    SENDS_MESSAGE = 2,           /* data is a struct msghdr, of which the name counts */
    SENDS_MESSAGES = 3,          /* data is an array of struct mmsghdr, of which the names count */
    SENDS_TO = 4,
    WRITES = 5,
    WRITES_PARTS = 6,
    SIGNALS = 7,                 /* the descriptor is a process */
    MOUNTS = 8,                  /* the third string is the type of what was mounted */
    OPENS_TYPE = 9,              /* the string is the type behind the descriptor that is returned */
    LIMITS = 10,                 /* told only if it sets a limit, of another process */
};

enum want {                      /* a call is told if one of these holds; other bits narrow nothing */
    WANT_MATCHING = 1,           /* a pattern of path_heads or path_tails matches the resolved path */
    WANT_FOREIGN = 2,            /* the file is not a plain one on the mount that is the process's root */
    WANT_ALL = 4,                /* it succeeded */
    WANT_REFUSED = 8,            /* it failed, and not for want of the thing */
    WANT_ABSENT = 16,            /* it failed for want of the thing */
    WANT_CLIMBING = 32,          /* the path it was given has two dots in a row, whatever became of it */
    WANT_SPEAKING = 64,          /* it is a send that connects in substance, or says something to the host's kernel */
};

/* What is wanted of one system call. Filled in from the compiled rules. */
struct interest {
    u8 host_read, host_write, contained_read, contained_write;   /* enum want; "write": calls without a mode, too */
    u8 host_ring, contained_ring; /* for what is wanted by ALL, ABSENT or CLIMBING alone; the rest is critical */
    u8 values;                   /* index of the argument that must be in `values`, NOTHING if any will do */
    u8 file;                     /* index of the descriptor to describe, RESULT, NOTHING or enum placed */
    u8 mode;                     /* index of open flags, NOTHING if the call has none; 8 + index: pointer to open_how */
    u8 strings[4];               /* indexes of the strings */
    u8 base;                     /* index of the directory descriptor of strings[0]; RESULT: the current directory */
    u8 second;                   /* the same for strings[1] */
    u8 data;                     /* index of a pointer whose bytes are wanted */
    u8 length;                   /* index of their number; from CONSTANT on, CONSTANT more than the number itself */
    u8 how;                      /* enum how: what else is to be known of it */
    u8 sandbox;                  /* 1: also what a sandbox does for its container; its other calls are its own work */
    u8 moves;                    /* 1: if it succeeds, paths mean something else: remembered verdicts are void */
    u8 twice;                    /* 1: it returns in the child too, with 0; the parent's return says it all */
    u8 unused[3];
};

struct {
    map_number(type, 2);         /* array */
    map_number(max_entries, CALLS);
    map_type(key, u32);
    map_type(value, struct interest);
} interests SEC(".maps");

/* Path patterns: `bits` says for which (1 read on the host, 2 write on the host, 4 read, 8 write in a container). */
#define HEAD 200
struct head_key { u32 bits; char text[HEAD]; };
struct {
    map_number(type, 11);        /* longest-prefix trie */
    map_number(max_entries, 4096);
    map_number(map_flags, 1);
    map_type(key, struct head_key);
    map_type(value, u32);
} path_heads SEC(".maps");

#define TAIL 48
struct tail_key { u32 bits; char text[TAIL]; };
struct {
    map_number(type, 11);
    map_number(max_entries, 4096);
    map_number(map_flags, 1);
    map_type(key, struct tail_key);
    map_type(value, u32);
} path_tails SEC(".maps");

/* Opens that nobody wanted a moment ago, per processor: to know a file again is cheaper than to spell its path. What is
 * remembered is void after each call that moves something; user space voids all of it when the host's mounts change, and
 * every ten seconds. */
#define KNOWN 4096
struct known { u64 dentry, mnt, root, parent, name, inode, stamp; };
struct {
    map_number(type, 6);
    map_number(max_entries, KNOWN);
    map_type(key, u32);
    map_type(value, struct known);
} boring SEC(".maps");
volatile u32 generation SEC(".data.generation");

/* For calls of which only some are wanted: the values of one argument, ioctl(2)'s request for one. */
struct value { u64 argument; u32 number; u32 unused; };
struct {
    map_number(type, 1);
    map_number(max_entries, 4096);
    map_type(key, struct value);
    map_type(value, u32);
} values SEC(".maps");

/* Programs of container runtimes on the host, by what they are and not by how they are called. */
struct program { u64 inode; u32 device; u32 unused; };
enum { RUNTIME_SETS_UP = 1, RUNTIME_SANDBOX = 2 };
struct {
    map_number(type, 1);         /* hash */
    map_number(max_entries, 256);
    map_type(key, struct program);
    map_type(value, u32);
} runtimes SEC(".maps");

/* What a mark holds. `top` is the uppermost directory of the mount that was the root when the mark was set; it stays the
 * same in copies of the mount namespace. Whoever calls chroot into another mount has another root, not another home.
 * `untold` is set for a process whose start was not told. */
struct mark { u32 kind; u32 untold; u64 top; };

/* Tasks that have executed a program inside a container, and their descendants. Goes away with the task. */
struct {
    map_number(type, 29);        /* task storage */
    map_number(map_flags, 1);
    map_type(key, s32);
    map_type(value, struct mark);
} marks SEC(".maps");

struct { map_number(type, 27); map_number(max_entries, 4 << 20); } ring_critical SEC(".maps");
struct { map_number(type, 27); map_number(max_entries, 8 << 20); } ring_life SEC(".maps");
struct { map_number(type, 27); map_number(max_entries, 16 << 20); } ring_bulk SEC(".maps");

struct {
    map_number(type, 6);         /* per-processor array */
    map_number(max_entries, 1);
    map_type(key, u32);
    map_type(value, struct counters);
} counting SEC(".maps");

/* The host's own namespaces and root directory, as process 1 has them; and the sensor itself. */
struct host_ids {
    u32 mnt, pid, user, net, ipc, uts, cgroup;
    u32 root_device;
    u64 root_inode;
    u32 sensor;                  /* its own process id; it is never reported */
    u32 ready;
    u32 eager;                   /* enum eager: what of the host's own processes a rule is about */
    u32 unused;
};
enum eager { EAGER_EXEC = 1, EAGER_LIFE = 2 };
volatile struct host_ids host_is;

/* One resolution of a path: what goes in, and what comes out. */
struct walk {
    struct dentry *dentry, *root;
    struct vfsmount *mnt, *root_mnt, *first;
    u32 at;                      /* end of the text so far; moved on */
    u32 flags;                   /* enum object_flag */
    u32 path, inside, above;     /* bytes, as in struct object */
    u32 count, mark;             /* pieces; of these, below the last mount */
    u32 left, jumped;            /* pieces that are not spelled yet; some were left out for want of room */
    u32 crossed;                 /* a mount was left */
    u64 home;                    /* the mark's `top`; 0: whatever root the process has counts as its own */
};

struct scratch {
    struct dentry *pieces[PIECES];
    struct walk walk;
    union record record;
    char text[TEXT + 512];
    struct head_key head_key;
    struct tail_key tail_key;
    struct known now;
    /* Of the call that is looked at, for the functions that look at a part of it. */
    u64 file, sock;
    u64 mnt, dentry;             /* what it leaves behind in place of a file */
    s64 result;
    u32 number, compat, spoke, end;
    struct object base;          /* where its path begins */
    u64 names[2];                /* paths that the kernel has copied */
    volatile u64 request;        /* what io_uring was handed */
    volatile u64 word;           /* what was read last from the caller's memory; see path.h on loops and the verifier */
};
/* One per kind of program: a fork can be traced while a system call is. */
enum { SCRATCH_CALL = 0, SCRATCH_EXEC = 1, SCRATCH_FORK = 2, SCRATCH_EXIT = 3, SCRATCH_GROUP = 4 };
struct {
    map_number(type, 6);
    map_number(max_entries, 5);
    map_type(key, u32);
    map_type(value, struct scratch);
} scratches SEC(".maps");

inline_ struct scratch *scratch_of(u32 which)
{
    return map_lookup(&scratches, &which);
}

/* The end of the text as a number that the verifier of Linux 6.1 sees the bound of: the compiler, which knows it, would
 * drop the test. */
inline_ u64 bounded(u64 at)
{
    __asm__ volatile("" : "+r"(at));
    return at > TEXT ? TEXT : at;
}

#define AVAILABLE 0              /* of a ring: bytes that nobody has read */
#define NO_WAKEUP 1
#define FORCE_WAKEUP 2
#define HEAP 65536               /* bytes that may wait for the reader's next look */

/* Whether a record of the life of processes is worth an interruption of its reader. To wake it costs whoever starts a
 * program more than all else that is done here, and most of what the host starts matters only once it does something:
 * then its record is read first. The reader looks every so often (watching.py), and is woken when much waits. */
inline_ u64 wakes(u16 kind, u32 urgent)
{
    u32 eager = host_is.eager;
    if (urgent || (eager & EAGER_LIFE) || (kind == KIND_EXEC && (eager & EAGER_EXEC)))
        return FORCE_WAKEUP;
    return ring_query(&ring_life, AVAILABLE) >= HEAP ? FORCE_WAKEUP : NO_WAKEUP;
}

/* Number the record and send it: a struct of `size` bytes and the text behind it, which must follow it in memory.
 * `urgent` is asked for in the ring of process life only; in the others each record wakes the reader. */
inline_ void emit(struct head *head, u32 ring, u16 kind, void *record, u64 size, u32 urgent)
{
    u32 zero = 0;
    struct counters *counted = map_lookup(&counting, &zero);
    if (!counted || ring >= RINGS)
        return;
    head->at_ns = boot_ns();
    head->kind = kind;
    head->ring = ring;
    head->processor = this_processor();
    long failed;
    if (ring == RING_CRITICAL) {
        head->number = counted->numbers[RING_CRITICAL]++;
        failed = ring_output(&ring_critical, record, size, 0);
        /* Since Linux 6.15 the ring's lock may give up where a processor stands still; that is no want of room. */
        if (failed)
            failed = ring_output(&ring_critical, record, size, 0);
        if (failed)
            counted->lost[RING_CRITICAL]++;
    } else if (ring == RING_LIFE) {
        head->number = counted->numbers[RING_LIFE]++;
        failed = ring_output(&ring_life, record, size, wakes(kind, urgent));
        if (failed)
            counted->lost[RING_LIFE]++;
    } else {
        head->number = counted->numbers[RING_BULK]++;
        failed = ring_output(&ring_bulk, record, size, 0);
        if (failed)
            counted->lost[RING_BULK]++;
    }
}

#endif
