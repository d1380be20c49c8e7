/* What a call names or leaves behind other than by a descriptor of its own: a process, a control group, a mount. */
#ifndef HOLDFAST_PROCESSES_H
#define HOLDFAST_PROCESSES_H

#include "path.h"

#define MAGIC_PIDFS 0x50494446
#define MAGIC_ANONYMOUS 0x09041934
#define CLONE_INTO_CGROUP 0x200000000ULL

/* The process behind a descriptor of one, by its number on the host. */
inline_ void describe_process(struct file *file, struct object *to)
{
    struct inode *inode = NULL;
    struct pid *who = NULL;
    s32 number = 0;
    if (to->magic == MAGIC_PIDFS) {
        fetch(inode, file->f_inode);
        fetch(who, inode->i_private);
    } else if (to->magic == MAGIC_ANONYMOUS) {
        fetch(who, file->private_data);
    }
    if (!who || fetch(number, who->numbers[0].nr) || number <= 0)
        return;
    to->peer_pid = number;
    to->flags |= OBJECT_PEER;
}

/* The directory of the control group that clone3(2) is told to make the child in. */
inline_ struct file *group_of(struct task_struct *task, u64 arguments, u64 size)
{
    u64 flags = 0, descriptor = 0;
    if (size < 88 || read_user(&flags, sizeof(flags), (void *)arguments) || !(flags & CLONE_INTO_CGROUP))
        return NULL;
    read_user(&descriptor, sizeof(descriptor), (void *)arguments + 80);
    return file_of(task, (s32)descriptor);
}

/* Whether the directory of a control group lies neither at nor below the process's own group. */
apart int leaves_group(u64 file)
{
    struct scratch *s = scratch_of(SCRATCH_CALL);
    struct dentry *first = NULL;
    if (!s || !file)
        return 0;
    volatile struct walk *w = &s->walk;
    u64 own = current_cgroup();
    fetch(first, ((struct file *)file)->f_path.dentry);
    w->dentry = first;
    for (u32 step = 0; step < PIECES; step++) {
        struct dentry *dentry = w->dentry, *parent = NULL;
        struct inode *inode = NULL;
        unsigned long number = 0;
        fetch(inode, dentry->d_inode);
        fetch(number, inode->i_ino);
        if (number == own)
            return 0;
        fetch(parent, dentry->d_parent);
        if (parent == dentry || !parent)
            return 1;
        w->dentry = parent;
    }
    return 1;
}

apart int copy_type(u64 type)
{
    struct scratch *s = scratch_of(SCRATCH_CALL);
    const char *name = NULL;
    if (!s || !type)
        return 0;
    u32 at = s->walk.at;
    fetch(name, ((struct file_system_type *)type)->name);
    long got = read_kernel_text(&s->text[at & (TEXT - 1)], 64, name);
    return got > 1 ? got - 1 : 0;
}

/* Append the type of the file system that was mounted last in the process's mount namespace. */
apart int type_of_newest(void)
{
    struct nsproxy *spaces = current_task()->nsproxy;
    struct mnt_namespace *ns;
    struct mount *mount = NULL;
    struct super_block *sb = NULL;
    struct file_system_type *type = NULL;
    if (!spaces)
        return 0;
    ns = spaces->mnt_ns;
    if (has(ns->mounts)) {
        struct rb_node *node = NULL, *next = NULL;
        if (has(ns->mnt_last_node)) {
            fetch(node, ns->mnt_last_node);
        } else {
            fetch(next, ns->mounts.rb_node);
            for (u32 step = 0; step < 40 && next; step++) {
                node = next;
                fetch(next, node->rb_right);
            }
        }
        if (node)
            mount = (void *)node - __builtin_preserve_field_info(((struct mount *)0)->mnt_node, 0);
    } else if (has(ns->list)) {
        struct list_head *last = NULL;
        fetch(last, ns->list.prev);
        if (last)
            mount = (void *)last - __builtin_preserve_field_info(((struct mount *)0)->mnt_list, 0);
    }
    if (!mount)
        return 0;
    fetch(sb, mount->mnt.mnt_sb);
    fetch(type, sb->s_type);
    return copy_type((u64)type);
}

/* Append the type of the file system that fsopen(2) began to set up. */
apart int type_of_context(u64 file)
{
    struct fs_context *context = NULL;
    struct file_system_type *type = NULL;
    fetch(context, ((struct file *)file)->private_data);
    if (!context)
        return 0;
    fetch(type, context->fs_type);
    return copy_type((u64)type);
}

#endif
