/* What is handed to io_uring: the kernel does it without a system call, so it is told when it is handed over. The kernel
 * has copied the paths by then; how it ends is not known. The numbers are those of include/uapi/linux/io_uring.h, and
 * what stands in a request depends on them. */
#ifndef HOLDFAST_RINGS_H
#define HOLDFAST_RINGS_H

#include "looks.h"

enum operation {
    RING_CONNECT = 16, RING_OPENAT = 18, RING_OPENAT2 = 28, RING_RENAMEAT = 35, RING_UNLINKAT = 36, RING_MKDIRAT = 37,
    RING_SYMLINKAT = 38, RING_LINKAT = 39, RING_SOCKET = 45,
};
/* The system calls that do the same, in the machine's own table. */
enum call_number {
    CALL_SOCKET = 41, CALL_CONNECT = 42, CALL_OPENAT = 257, CALL_MKDIRAT = 258, CALL_UNLINKAT = 263, CALL_LINKAT = 265,
    CALL_SYMLINKAT = 266, CALL_RENAMEAT2 = 316,
};
#define HANDED_OVER 2            /* in place of `compat`: it was handed to io_uring */
#define ACCMODE 3
#define CREATES (0100 | 01000)

KERNEL filename { const char *name; };
KERNEL open_how { u64 flags, mode; };
KERNEL io_kiocb { struct file *file; u8 opcode; };
KERNEL io_open { s32 dfd; struct filename *filename; struct open_how how; };
KERNEL io_connect { void *addr; s32 addr_len; };
KERNEL io_rename { s32 old_dfd, new_dfd; struct filename *oldpath, *newpath; u32 flags; };
KERNEL io_unlink { s32 dfd, flags; struct filename *filename; };
KERNEL io_mkdir { s32 dfd; u16 mode; struct filename *filename; };
KERNEL io_link { s32 old_dfd, new_dfd; struct filename *oldpath, *newpath; s32 flags; };
KERNEL io_socket { s32 domain, type, protocol; };

apart int collect_name(u32 i, u64 from)
{
    struct scratch *s = scratch_of(SCRATCH_CALL);
    const char *name = NULL;
    if (!s || i > 3 || !from)
        return 0;
    u32 at = bounded(s->end);
    if (at >= TEXT - 512)
        return 0;
    fetch(name, ((struct filename *)from)->name);
    long got = read_kernel_text(&s->text[at & (TEXT - 1)], 512, name);
    if (got > 1) {
        s->record.call.strings[i & 3] = (got - 1) & 511;
        s->end = at + ((got - 1) & 511);
    }
    return 0;
}

/* Read a request into the record's arguments, as the system call would have them. Returns that call's number. */
apart int read_request(u64 request)
{
    struct scratch *s = scratch_of(SCRATCH_CALL);
    struct io_kiocb *handed = (void *)request;
    u8 operation = 0;
    s32 first = 0, second = 0, third = 0;
    u16 mode = 0;
    if (!s)
        return 0;
    u64 *to = s->record.call.arguments;
    u64 command = request + __builtin_preserve_field_info(((struct io_kiocb *)0)->file, 0);
    fetch(operation, handed->opcode);
    s->names[0] = s->names[1] = 0;
    for (u32 i = 0; i < 6; i++)
        to[i] = 0;
    if (operation == RING_OPENAT || operation == RING_OPENAT2) {
        struct io_open *one = (void *)command;
        if (!has(one->filename))
            return 0;
        fetch(first, one->dfd);
        fetch(to[2], one->how.flags);
        fetch(to[3], one->how.mode);
        fetch(s->names[0], one->filename);
        to[0] = first;
        return CALL_OPENAT;
    }
    if (operation == RING_CONNECT) {
        struct io_connect *one = (void *)command;
        if (!has(one->addr))
            return 0;
        fetch(to[1], one->addr);
        fetch(first, one->addr_len);
        to[0] = -1;
        to[2] = first;
        return CALL_CONNECT;
    }
    if (operation == RING_SOCKET) {
        struct io_socket *one = (void *)command;
        if (!has(one->domain))
            return 0;
        fetch(first, one->domain);
        fetch(second, one->type);
        fetch(third, one->protocol);
        to[0] = first;
        to[1] = second;
        to[2] = third;
        return CALL_SOCKET;
    }
    if (operation == RING_UNLINKAT) {
        struct io_unlink *one = (void *)command;
        if (!has(one->filename))
            return 0;
        fetch(first, one->dfd);
        fetch(second, one->flags);
        fetch(s->names[0], one->filename);
        to[0] = first;
        to[2] = second;
        return CALL_UNLINKAT;
    }
    if (operation == RING_MKDIRAT) {
        struct io_mkdir *one = (void *)command;
        if (!has(one->filename))
            return 0;
        fetch(first, one->dfd);
        fetch(mode, one->mode);
        fetch(s->names[0], one->filename);
        to[0] = first;
        to[2] = mode;
        return CALL_MKDIRAT;
    }
    if (operation == RING_RENAMEAT) {
        struct io_rename *one = (void *)command;
        if (!has(one->oldpath))
            return 0;
        fetch(first, one->old_dfd);
        fetch(second, one->new_dfd);
        fetch(s->names[0], one->oldpath);
        fetch(s->names[1], one->newpath);
        to[0] = first;
        to[2] = second;
        return CALL_RENAMEAT2;
    }
    if (operation == RING_LINKAT || operation == RING_SYMLINKAT) {
        struct io_link *one = (void *)command;
        if (!has(one->oldpath))
            return 0;
        fetch(first, one->old_dfd);
        fetch(second, one->new_dfd);
        if (operation == RING_SYMLINKAT) {
            fetch(s->names[1], one->oldpath);
            fetch(s->names[0], one->newpath);
            to[1] = second;
            return CALL_SYMLINKAT;
        }
        fetch(s->names[0], one->oldpath);
        fetch(s->names[1], one->newpath);
        to[0] = first;
        to[2] = second;
        return CALL_LINKAT;
    }
    return 0;
}

#endif
