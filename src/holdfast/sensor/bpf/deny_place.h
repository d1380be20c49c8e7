/* Which place a file is, for the programs that deny: by its file system, its last name, and its path inside that. */
#ifndef HOLDFAST_DENY_PLACE_H
#define HOLDFAST_DENY_PLACE_H

#include "deny.h"

#define DEPTH 256                /* what lies deeper is taken for denied where anything of its file system is */

/* Collect the names from a file up to the root of its file system. Those nearest to the root are kept.
 * The state stands in memory and is volatile: the verifier then forgets its values from step to step. */
apart int climb(void)
{
    struct mark *m = mark_of(current_task());
    if (!m)
        return 0;
    volatile struct mark *w = m;
    w->count = w->whole = 0;
    w->depth = 0;
    for (u32 step = 0; step < DEPTH; step++) {
        struct dentry *dentry = w->dentry, *parent = NULL;
        if (dentry == w->top)
            w->depth = w->count;
        fetch(parent, dentry->d_parent);
        if (parent == dentry || !parent) {
            w->whole = 1;
            /* From here on: how many directories lie above the root of the mount. */
            w->depth = w->count - w->depth;
            return 0;
        }
        w->pieces[step & (PIECES - 1)] = dentry;
        w->count = step + 1;
        w->dentry = parent;
    }
    return 0;
}

/* Write the collected names into the key, root first, with a slash behind each. */
apart int spell(void)
{
    struct mark *m = mark_of(current_task());
    if (!m)
        return 0;
    volatile struct mark *w = m;
    __builtin_memset(m->text, 0, ROOM);
    m->text[0] = '/';
    w->at = 1;
    for (u32 step = 0; step < PIECES; step++) {
        const unsigned char *name = NULL;
        u32 count = w->count, at = w->at, index = count - 1 - step;
        if (step >= count || at >= PLACE)
            break;
        struct dentry *piece = m->pieces[index & (PIECES - 1)];
        fetch(name, piece->d_name.name);
        long got = read_kernel_text(&m->text[at & 255], 255, name);
        if (got > 1)
            at += (got - 1) & 255;
        m->text[at & (ROOM - 1)] = '/';
        w->at = at + 1;
    }
    /* All of it, zeros included: an older verifier does not follow a length through a comparison. */
    read_kernel(m->key.text, PLACE, m->text);
    read_kernel(m->denial.path, TEXT, m->text);
    return 0;
}

/* Look up everything that the place of a file decides. `dentry` and `top`, the root of its mount, are set. */
apart int place(u32 access)
{
    struct mark *m = mark_of(current_task());
    struct super_block *sb = NULL;
    struct inode *inode = NULL, *top = NULL;
    unsigned long magic = 0, number = 0;
    const unsigned char *name = NULL;
    u32 device = 0;
    u16 mode = 0;
    if (!m || access >= ACCESSES)
        return 0;
    struct dentry *dentry = m->dentry;
    fetch(sb, dentry->d_sb);
    fetch(magic, sb->s_magic);
    fetch(device, sb->s_dev);
    fetch(inode, dentry->d_inode);
    if (inode) {
        fetch(number, inode->i_ino);
        fetch(mode, inode->i_mode);
    }
    m->denial.device = device;
    m->denial.magic = magic;
    m->denial.inode = number;
    m->denial.mode = mode;
    /* The container's own root file system, unless it is the host's: a directory of it can be a root, too. */
    u32 own = m->device == device && device != home.root_device;
    fetch(name, dentry->d_name.name);
    named(m, name);
    if (m->container == CANARY)
        ask(m, KIND_CANARY, 0, 0);
    if (!own) {
        ask(m, access == ACCESS_CONNECT ? KIND_SOCKET : KIND_NAME, access == ACCESS_CONNECT ? 0 : access,
            access == ACCESS_CONNECT ? 0 : magic);
        unnamed(m);
        ask(m, KIND_VOLUME, access, magic);
    }
    unnamed(m);
    if (m->top) {
        fetch(top, m->top->d_inode);
        number = 0;
        if (top)
            fetch(number, top->i_ino);
        m->condition.kind = KIND_ROOT;
        m->condition.number = device;
        m->condition.more = number;
        if (map_lookup(&conditions, &m->condition))
            ask(m, KIND_HOST_ROOT, access, (mode & 0170000) == 0040000);
    }
    m->condition.kind = KIND_DEVICE;
    m->condition.number = 0;
    m->condition.more = device;
    struct mask *about = map_lookup(&conditions, &m->condition);
    if (!about || !((about->low & m->wanted.low) | (about->high & m->wanted.high)))
        return 0;
    climb();
    spell();
    m->key.bits = (4 + PLACE) * 8;
    m->key.device = device;
    struct place *found = map_lookup(&places, &m->key);
    if (!m->whole)               /* nobody lays files so deep but to be overlooked */
        found = NULL;
    u64 low, high;
    if (found) {
        /* One by one: an older verifier forgets the bounds of an index that was kept on the stack. */
        struct mask *on = access == ACCESS_READ    ? &found->on[ACCESS_READ]
                          : access == ACCESS_WRITE ? &found->on[ACCESS_WRITE]
                          : access == ACCESS_CONNECT ? &found->on[ACCESS_CONNECT]
                                                     : &found->on[ACCESS_SYMLINK];
        low = on->low;
        high = on->high;
        if (m->depth > found->depth) {
            low &= ~found->wide.low;
            high &= ~found->wide.high;
        }
    } else if (!m->whole) {
        low = about->low;
        high = about->high;
    } else {
        return 0;
    }
    low &= m->wanted.low;
    high &= m->wanted.high;
    if (low | high) {
        m->found.low |= low;
        m->found.high |= high;
        m->denial.kind = KIND_DEVICE;
        m->denial.count = access;
        m->denial.more = device;
        __builtin_memset(m->denial.object, 0, NAME);
    }
    return 0;
}

/* The same for what was made known by a mount and a dentry. */
inline_ void placed(struct mark *m, struct vfsmount *mnt, struct dentry *dentry, u32 access)
{
    struct dentry *top = NULL;
    if (!dentry)
        return;
    if (mnt)
        fetch(top, mnt->mnt_root);
    m->dentry = dentry;
    m->top = top;
    /* Of the mount that is the container's root only the last names and the file system count. */
    if (mnt && (u64)mnt == m->root)
        return;
    place(access);
}

#define MOUNT_OF(mnt) ((struct mount *)((void *)(mnt) - __builtin_preserve_field_info(((struct mount *)0)->mnt, 0)))

/* A mount that the kernel made for itself and that nobody can reach by a path. One that was taken away is none. */
inline_ u32 internal(struct vfsmount *mnt)
{
    struct mnt_namespace *ns = NULL;
    fetch(ns, MOUNT_OF(mnt)->mnt_ns);
    return (u64)ns >= (u64)-4095;
}

inline_ u32 namespace_of(struct vfsmount *mnt)
{
    struct mnt_namespace *ns = NULL;
    u32 number = 0;
    if (!mnt)
        return 0;
    fetch(ns, MOUNT_OF(mnt)->mnt_ns);
    if (!ns || (u64)ns >= (u64)-4095)
        return 0;
    fetch(number, ns->ns.inum);
    return number == 0xEFFFFFF7 ? 0 : number; /* nobody's: made by fsmount(2) and not attached yet */
}

#endif
