/* What a call that will be told was about: its object, the texts it was given, and the bytes. Each part is a function of
 * its own, and what they share stands in memory: the verifier then looks at each of them once. */
#ifndef HOLDFAST_LOOKS_H
#define HOLDFAST_LOOKS_H

#include "processes.h"
#include "sends.h"

#define MS_OTHER (32 | 4096 | 8192 | 1 << 17 | 1 << 18 | 1 << 19 | 1 << 20) /* no new file system is mounted */
#define AT_FDCWD -100

inline_ struct interest *interest_of(struct scratch *s)
{
    u32 number = s->number;
    return map_lookup(&interests, &number);
}

inline_ u64 argument(u64 *arguments, u32 index)
{
    return index < 6 ? arguments[index & 7] : 0;
}

inline_ u32 copy_string(struct scratch *s, u64 from, u32 at, u16 *length)
{
    *length = 0;
    if (!from || at >= TEXT - 512)
        return at;
    long got = read_user_text(&s->text[at & (TEXT - 1)], 512, (void *)from);
    if (got > 1) {
        *length = (got - 1) & 511;
        at += *length;
    }
    return at;
}

/* The descriptor in /proc/self/fd/N, which is how the C library changes the mode of what it has opened without following
 * links; -1 where a path is another one. */
apart int descriptor_in(u64 pointer)
{
    struct scratch *s = scratch_of(SCRATCH_CALL);
    char *text = s ? s->tail_key.text : NULL;
    int number = 0;
    if (!text || read_user_text(text, 24, (void *)pointer) < 16)
        return -1;
    if (*(u64 *)text != 0x65732f636f72702fULL || *(u32 *)(text + 8) != 0x662f666cU || text[12] != 'd' || text[13] != '/')
        return -1;
    for (u32 i = 14; i < 22; i++) {
        if (!text[i])
            return number;
        if (text[i] < '0' || text[i] > '9')
            return -1;
        number = number * 10 + (text[i] - '0');
    }
    return -1;
}

apart int look_at_object(void)
{
    struct scratch *s = scratch_of(SCRATCH_CALL);
    struct interest *wanted = s ? interest_of(s) : NULL;
    if (!wanted)
        return 0;
    struct task_struct *task = current_task();
    struct file *file = (void *)s->file;
    struct sock *sk = (void *)s->sock;
    struct object *object = &s->record.call.object;
    u32 how = wanted->how, at = 0;
    if (file && sk) {
        u32 peer = how == CONNECTS || (how >= SENDS_MESSAGE && how <= SENDS_TO && !s->spoke);
        at = describe_socket(s, task, sk, object, at, peer);
    } else if (file && how != OPENS_TYPE) {
        at = describe_file(s, SCRATCH_CALL, task, file, object, at);
        if (how == SIGNALS)
            describe_process(file, object);
        if (wanted->file == PLACED_GROUP) {
            object->flags &= ~OBJECT_OUTSIDE;
            if (leaves_group((u64)file))
                object->flags |= OBJECT_OUTSIDE;
        }
    } else if (s->dentry) {
        struct dentry *dentry = (void *)s->dentry;
        struct inode *inode = NULL;
        fetch(inode, dentry->d_inode);
        at = describe_path(s, SCRATCH_CALL, task, (void *)s->mnt, dentry, inode, object, at, 1);
    }
    s->end = at;
    return 0;
}

/* A relative path begins somewhere; the name of a unix socket, too. `which` of the first two strings it is. */
apart int begin_at(u32 which)
{
    struct scratch *s = scratch_of(SCRATCH_CALL);
    struct interest *wanted = s ? interest_of(s) : NULL;
    if (!wanted)
        return 0;
    struct call *call = &s->record.call;
    struct task_struct *task = current_task();
    struct fs_struct *fs = task->fs;
    struct object *base = &s->base;
    s32 directory = AT_FDCWD;
    u32 how = wanted->how, index = which ? wanted->second : wanted->base;
    s->mnt = s->dentry = 0;
    if (!which && how && how <= SENDS_TO) {
        if (call->object.family != AF_UNIX || (call->object.flags & OBJECT_PEER))
            return 0;
    } else {
        char first = 0;
        u32 string = which ? wanted->strings[1] : wanted->strings[0];
        if (index == NOTHING || string == NOTHING || (!which && (call->object.flags & OBJECT_FILE)))
            return 0;
        read_user(&first, 1, (void *)argument(call->arguments, string));
        if (first == '/')
            return 0;
        if (index != RESULT)
            directory = argument(call->arguments, index);
    }
    if (directory == AT_FDCWD) {
        if (!fs)
            return 0;
        s->mnt = (u64)fs->pwd.mnt;
        s->dentry = (u64)fs->pwd.dentry;
    } else {
        struct file *from = file_of(task, directory);
        if (!from)
            return 0;
        fetch(s->mnt, from->f_path.mnt);
        fetch(s->dentry, from->f_path.dentry);
    }
    if (!s->mnt || !s->dentry)
        return 0;
    u32 at = bounded(s->end);
    base->path = 0;
    describe_path(s, SCRATCH_CALL, task, (void *)s->mnt, (void *)s->dentry, NULL, base, at, 0);
    if (which)
        call->second = base->path;
    else
        call->base = base->path;
    s->end = at + base->path;
    return 0;
}

/* What was mounted is asked of what was mounted: the caller's memory may say something else by now. */
apart int type_of_mounted(void)
{
    struct scratch *s = scratch_of(SCRATCH_CALL);
    struct interest *wanted = s ? interest_of(s) : NULL;
    if (!wanted || s->result < 0)
        return 0;
    s->walk.at = bounded(s->end);
    if (wanted->how == OPENS_TYPE && s->file)
        return type_of_context(s->file);
    if (wanted->how == MOUNTS && !(s->record.call.arguments[3] & MS_OTHER))
        return type_of_newest();
    return 0;
}

apart int collect_strings(void)
{
    struct scratch *s = scratch_of(SCRATCH_CALL);
    struct interest *wanted = s ? interest_of(s) : NULL;
    if (!wanted)
        return 0;
    struct call *call = &s->record.call;
    for (u32 i = 0; i < 4; i++) {
        u32 at = bounded(s->end), got = 0;
        if (wanted->strings[i] == NOTHING)
            continue;
        if ((wanted->how == MOUNTS && i == 2) || (wanted->how == OPENS_TYPE && i == 0))
            got = type_of_mounted() & 63;
        if (got) {
            call->strings[i] = got;
            s->end = at + got;
        } else {
            s->end = copy_string(s, argument(call->arguments, wanted->strings[i]), at, &call->strings[i]);
        }
    }
    return 0;
}

apart int collect_data(void)
{
    struct scratch *s = scratch_of(SCRATCH_CALL);
    struct interest *wanted = s ? interest_of(s) : NULL;
    if (!wanted)
        return 0;
    struct call *call = &s->record.call;
    u32 how = wanted->how, compat = s->compat, at = bounded(s->end), got = 0;
    u32 width = compat ? 4 : 8;
    if (call->object.family == AF_NETLINK && how >= SENDS_MESSAGE && how <= WRITES_PARTS) {
        /* What is said to the kernel counts, not to whom. Nothing else stands in the text. */
        if (how == SENDS_TO || how == WRITES)
            got = gather_bytes(call->arguments[1], call->arguments[2]);
        else if (how == WRITES_PARTS)
            got = gather_parts(call->arguments[1], call->arguments[2], 0, compat);
        else if (how == SENDS_MESSAGE)
            got = gather_parts(call->arguments[1], 1, 1, compat);
        else
            got = gather_parts(call->arguments[1], call->arguments[2], width * 8, compat);
        at = 0;
    } else if (how == SENDS_MESSAGES) {
        s->walk.at = at;
        got = gather_names(call->arguments[1], call->arguments[2], compat);
    } else if (wanted->data != NOTHING && at < TEXT - 512) {
        u64 pointer = argument(call->arguments, wanted->data), length = wanted->length;
        if (how == SENDS_MESSAGE) {
            length = user_word(s, pointer + width, 4);
            pointer = user_word(s, pointer, width);
        } else if (length >= CONSTANT) {
            length -= CONSTANT;
        } else {
            length = argument(call->arguments, length);
        }
        if (length > 256)
            length = 256;
        if (pointer && !read_user(&s->text[at & (TEXT - 1)], length & 511, (void *)pointer))
            got = length;
    }
    got &= TEXT - 1;
    call->data = got;
    s->end = bounded(at + got);
    return 0;
}

#endif
