/* What is sent: whether it connects in substance, and the bytes that say to whom, or what is asked of the kernel. */
#ifndef HOLDFAST_SENDS_H
#define HOLDFAST_SENDS_H

#include "sockets.h"

#define SOCK_STREAM 1
#define SOCK_DGRAM 2
#define MSG_FASTOPEN 0x20000000
#define NAME_SLOT 128            /* of sendmmsg, each name: its length, two bytes, then the name */
#define NAMES 16
#define PARTS 64                 /* pieces of all messages of a call that are gathered */
#define SAID 2048                /* bytes of them */

/* Where the kernel says so: struct msghdr, and the struct iovec that it points to, of either table. */
inline_ u64 user_word(struct scratch *s, u64 at, u32 width)
{
    s->word = 0;
    read_user((void *)&s->word, width & 15, (void *)at);
    return s->word;
}

/* Whether a name is the host's own loopback, or an address of no machine, which is the same to a sender. */
inline_ u32 names_loopback(u64 name)
{
    u8 bytes[16] = {};
    u64 high = 0;
    read_user(bytes, sizeof(bytes), (void *)name);
    if (bytes[0] == AF_INET)
        return bytes[4] == 127 || !bytes[4];
    __builtin_memcpy(&high, bytes + 8, 8);
    return !high;
}

/* Whether a send does what connect(2) does, or says something to the host's kernel by netlink. What the socket is comes
 * from the kernel; only a name is read from the caller's memory. */
apart int speaks(u32 how, u32 compat, u32 hosts_network)
{
    struct scratch *s = scratch_of(SCRATCH_CALL);
    if (!s)
        return 0;
    u64 *arguments = s->record.call.arguments;
    struct sock *sk = (void *)s->sock;
    u16 family = 0, type = 0;
    u64 flags = 0, name = 0;
    if (!sk)
        return 0;
    fetch(family, sk->__sk_common.skc_family);
    if (family == AF_NETLINK)
        return hosts_network;
    if (how == SENDS_TO) {
        flags = arguments[3];
        name = arguments[4];
    } else if (how == SENDS_MESSAGE || how == SENDS_MESSAGES) {
        flags = how == SENDS_MESSAGE ? arguments[2] : arguments[3];
        name = user_word(s, arguments[1], compat ? 4 : 8);
    }
    if (how == SENDS_MESSAGES && arguments[2] > 1 && family == AF_UNIX)
        name = 1;                /* one of the others may have it */
    if (!name)
        return 0;
    fetch(type, sk->sk_type);
    if (family == AF_UNIX)
        return type == SOCK_DGRAM;
    if (type == SOCK_STREAM)
        return !!(flags & MSG_FASTOPEN);
    return hosts_network && how != SENDS_MESSAGES ? names_loopback(name) : hosts_network;
}

/* Append the names that the messages of a sendmmsg are for. */
apart int gather_names(u64 messages, u32 count, u32 compat)
{
    struct scratch *s = scratch_of(SCRATCH_CALL);
    if (!s)
        return 0;
    volatile struct walk *w = &s->walk;
    u32 start = w->at, width = compat ? 4 : 8;
    for (u32 i = 0; i < NAMES; i++) {
        u32 at = w->at & (TEXT - 1);
        u64 message = messages + i * width * 8;
        if (i >= count || at >= TEXT - 512)
            break;
        u64 length = user_word(s, message + width, 4);
        w->left = length > NAME_SLOT - 2 ? NAME_SLOT - 2 : length;
        *(volatile u16 *)&s->text[at] = w->left;
        __builtin_memset(&s->text[at + 2], 0, NAME_SLOT - 2);
        u64 name = user_word(s, message, width);
        read_user(&s->text[at + 2], w->left & (NAME_SLOT - 1), (void *)name);
        w->at = at + NAME_SLOT;
    }
    return w->at - start;
}

/* Write what is said to the kernel at the start of the text, up to SAID bytes; OBJECT_CUT tells that this is not all. */
apart int gather_bytes(u64 from, u64 length)
{
    struct scratch *s = scratch_of(SCRATCH_CALL);
    if (!s)
        return 0;
    if (length >= SAID) {
        s->record.call.object.flags |= OBJECT_CUT;
        length = SAID - 1;
    }
    return read_user(s->text, length & (SAID - 1), (void *)from) ? 0 : length & (SAID - 1);
}

/* The same for what the parts of one or more messages hold, one behind the other. `stride` is from one message to the
 * next; 0 for a bare array of parts. */
apart int gather_parts(u64 messages, u32 count, u32 stride, u32 compat)
{
    struct scratch *s = scratch_of(SCRATCH_CALL);
    if (!s)
        return 0;
    volatile struct walk *w = &s->walk;
    u32 one = compat ? 4 : 8;
    w->at = 0;
    w->count = w->mark = 0;      /* which message, and which of its parts */
    for (u32 step = 0; step < PARTS; step++) {
        u64 parts = messages, many = count, from, length;
        u32 at = w->at, which = w->count, part = w->mark;
        if (stride) {
            u64 message = messages + which * stride;
            if (which >= count)
                return at;
            parts = user_word(s, message + one * 2, one);
            many = user_word(s, message + one * 3, one);
        }
        if (part >= many) {
            if (!stride)
                return at;
            w->count = which + 1;
            w->mark = 0;
            continue;
        }
        w->mark = part + 1;
        from = user_word(s, parts + part * one * 2, one);
        length = user_word(s, parts + part * one * 2 + one, one);
        if (at >= SAID)
            break;
        if (length >= SAID - at) {
            s->record.call.object.flags |= OBJECT_CUT;
            length = SAID - at;
        }
        if (length > SAID - 1)
            length = SAID - 1;
        if (length && !read_user(&s->text[at & (SAID - 1)], length & (SAID - 1), (void *)from))
            w->at = at + (length & (SAID - 1));
    }
    s->record.call.object.flags |= OBJECT_CUT;
    return w->at;
}

#endif
