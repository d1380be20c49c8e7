/* Files as the kernel knows them: the resolved path, the file system, the inode. */
#ifndef HOLDFAST_PATH_H
#define HOLDFAST_PATH_H

#include "maps.h"

#define MAGIC_NSFS 0x6e736673
#define FMODE_READ 1
#define FMODE_WRITE 2
#define FMODE_EXEC 32

/* The functions that loop are not inlined: the verifier then looks at each of them once, not once per use. */
#define apart __attribute__((noinline))

/* The state of a loop stands in memory and is volatile: the verifier then forgets its values from step to step, and the
 * states of the steps do not multiply. */

/* Names are kept leaf first. Of more than there is room for, those nearest to the leaf and those nearest to the root stay:
 * what is looked for in a path stands at one of its ends. */
#define LEAVES (PIECES / 2)
#define DEPTH 256
inline_ u32 slot_of(u32 count)
{
    return count < LEAVES ? count : LEAVES + (count & (LEAVES - 1));
}

/* Collect the names from an object up to the process's root. */
apart int climb(u32 which)
{
    struct scratch *s = scratch_of(which);
    if (!s)
        return 0;
    volatile struct walk *w = &s->walk;
    w->count = w->mark = w->flags = 0;
    w->crossed = 0;
    for (u32 step = 0; step < DEPTH; step++) {
        struct dentry *dentry = w->dentry, *top = NULL, *parent = NULL;
        struct vfsmount *mnt = w->mnt;
        u32 count = w->count;
        if (dentry == w->root && mnt == w->root_mnt) {
            if (!w->crossed) {
                w->mark = count;
                w->flags = OBJECT_OWN_ROOT;
            }
            return 0;
        }
        fetch(top, mnt->mnt_root);
        if (dentry == top) {
            struct mount *above = NULL;
            struct mount *at = (void *)mnt - __builtin_preserve_field_info(((struct mount *)0)->mnt, 0);
            fetch(above, at->mnt_parent);
            if (!w->crossed)
                w->mark = count;
            w->crossed = 1;
            if (above == at || !above) {
                w->flags = OBJECT_OUTSIDE;
                return 0;
            }
            fetch(dentry, at->mnt_mountpoint);
            w->dentry = dentry;
            w->mnt = (void *)above + __builtin_preserve_field_info(((struct mount *)0)->mnt, 0);
            continue;
        }
        s->pieces[slot_of(count) & (PIECES - 1)] = dentry;
        w->count = count + 1;
        fetch(parent, dentry->d_parent);
        if (parent == dentry || !parent) {
            w->flags = OBJECT_LOOSE;
            if (!w->crossed)
                w->mark = count + 1;
            return 0;
        }
        w->dentry = parent;
    }
    w->flags = OBJECT_CUT;
    if (!w->crossed)
        w->mark = w->count;
    return 0;
}

/* Write the collected names, root first. What there is no room for is left out in the middle, and "/..." stands there. */
#define FRONT 1200
#define BACK 4                   /* names */
apart int spell(u32 which)
{
    struct scratch *s = scratch_of(which);
    if (!s)
        return 0;
    volatile struct walk *w = &s->walk;
    u32 start = w->at;
    w->inside = start;
    w->left = w->count;
    w->jumped = 0;
    for (u32 step = 0; step < PIECES + 2; step++) {
        const unsigned char *name = NULL;
        u32 left = w->left, at = w->at, index = left - 1, to = 0;
        if (!left)
            break;
        if (index >= LEAVES && index + LEAVES < w->count)
            to = LEAVES;
        else if (!w->jumped && left > BACK && (at - start >= FRONT || at >= TEXT - 1560))
            to = BACK;
        if (at >= TEXT - 260) {
            w->flags |= OBJECT_CUT;
            break;
        }
        if (to) {
            if (w->mark <= left && w->mark > to)
                w->inside = at;
            w->flags |= OBJECT_CUT;
            w->left = to;
            w->jumped = to == BACK;
            __builtin_memcpy(&s->text[at & (TEXT - 1)], "/...", 4);
            w->at = at + 4;
            continue;
        }
        struct dentry *piece = s->pieces[slot_of(index) & (PIECES - 1)];
        if (left == w->mark)
            w->inside = at;
        if (step || !(w->flags & OBJECT_LOOSE)) {
            s->text[at & (TEXT - 1)] = '/';
            at++;
        }
        fetch(name, piece->d_name.name);
        long got = read_kernel_text(&s->text[at & (TEXT - 1)], 256, name);
        if (got > 1)
            at += (got - 1) & 255;
        w->at = at;
        w->left = index;
    }
    u32 at = w->at;
    if (!w->count && at < TEXT) {
        s->text[at & (TEXT - 1)] = '/';
        w->at = ++at;
    }
    if (!w->mark)
        w->inside = at;
    w->path = at - start;
    w->inside -= start;
    return 0;
}

/* Collect what lies above the root of the mount in its own file system: a bind mount shows a part only. */
apart int climb_above(u32 which)
{
    struct scratch *s = scratch_of(which);
    if (!s)
        return 0;
    volatile struct walk *w = &s->walk;
    struct vfsmount *mnt = w->first;
    struct dentry *top = NULL;
    fetch(top, mnt->mnt_root);
    /* Below a root that is not the mount's own, the path began at that root. */
    if (!w->crossed && mnt == w->root_mnt)
        top = w->root;
    w->dentry = top;
    w->count = 0;
    for (u32 step = 0; step < DEPTH; step++) {
        struct dentry *dentry = w->dentry, *parent = NULL;
        fetch(parent, dentry->d_parent);
        if (parent == dentry || !parent)
            break;
        s->pieces[slot_of(step) & (PIECES - 1)] = dentry;
        w->count = step + 1;
        w->dentry = parent;
    }
    w->mark = w->count;
    return 0;
}

/* Describe a file: fills the object and appends `path` and, if asked, `above` to the text. Returns its new end. */
inline_ u32 describe_path(struct scratch *s, u32 which, struct task_struct *task, struct vfsmount *mnt,
                          struct dentry *dentry, struct inode *inode, struct object *to, u32 at, u32 full)
{
    struct super_block *sb = NULL;
    struct mnt_namespace *ns = NULL;
    struct fs_struct *fs = task->fs;
    volatile struct walk *w = &s->walk;

    w->dentry = dentry;
    w->mnt = w->first = mnt;
    w->root = fs ? fs->root.dentry : NULL;
    w->root_mnt = fs ? fs->root.mnt : NULL;
    w->at = at;
    if (full) {
        unsigned long number = 0, magic = 0;
        u32 links = 1;
        u16 mode = 0;
        to->flags |= OBJECT_FILE;
        if (inode) {
            fetch(number, inode->i_ino);
            fetch(mode, inode->i_mode);
            fetch(to->number, inode->i_rdev);
            fetch(links, inode->i_nlink);
            fetch(sb, inode->i_sb);
        } else {
            fetch(sb, dentry->d_sb);
        }
        to->inode = number;
        to->mode = mode;
        if (!links)
            to->flags |= OBJECT_UNLINKED;
        if (sb) {
            fetch(to->device, sb->s_dev);
            fetch(magic, sb->s_magic);
            to->magic = magic;
        }
        struct mount *real = (void *)mnt - __builtin_preserve_field_info(((struct mount *)0)->mnt, 0);
        fetch(ns, real->mnt_ns);
        to->mount_ns = 0;
        if (ns)
            fetch(to->mount_ns, ns->ns.inum);
    }
    climb(which);
    spell(which);
    to->path = w->path;
    to->inside = w->inside;
    if ((w->flags & OBJECT_OWN_ROOT) && w->home) {
        struct vfsmount *root_mnt = w->root_mnt;
        struct dentry *top = NULL;
        fetch(top, root_mnt->mnt_root);
        if (w->home != (u64)top) {
            w->flags &= ~OBJECT_OWN_ROOT;
            to->inside = 0;
        }
    }
    to->flags |= w->flags;
    to->above = 0;
    if (full && !(w->flags & (OBJECT_LOOSE | OBJECT_OWN_ROOT))) {
        climb_above(which);
        if (w->count) {
            spell(which);
            to->above = w->path;
            to->flags |= w->flags & OBJECT_CUT;
        }
    }
    return w->at;
}

inline_ u32 describe_file(struct scratch *s, u32 which, struct task_struct *task, struct file *file, struct object *to,
                          u32 at)
{
    struct vfsmount *mnt = NULL;
    struct dentry *dentry = NULL;
    struct inode *inode = NULL;
    u32 mode = 0;
    fetch(mnt, file->f_path.mnt);
    fetch(dentry, file->f_path.dentry);
    fetch(inode, file->f_inode);
    fetch(mode, file->f_mode);
    if (!mnt || !dentry)
        return at;
    if (mode & FMODE_WRITE)
        to->flags |= OBJECT_WRITE;
    if (mode & FMODE_READ)
        to->flags |= OBJECT_READ;
    if (mode & FMODE_EXEC)
        to->flags |= OBJECT_EXEC;
    return describe_path(s, which, task, mnt, dentry, inode, to, at, 1);
}

inline_ struct file *file_of(struct task_struct *task, s64 descriptor)
{
    struct files_struct *files = task->files;
    struct fdtable *table = NULL;
    struct file **list = NULL, *file = NULL;
    u32 size = 0;
    if (!files || descriptor < 0 || descriptor > 1 << 20)
        return NULL;
    table = files->fdt;
    size = table->max_fds;
    list = table->fd;
    if (descriptor >= size)
        return NULL;
    read_kernel(&file, sizeof(file), list + descriptor);
    return file;
}

#endif
