/* Who acts: identity by kernel objects, never by names or paths. */
#ifndef HOLDFAST_SUBJECT_H
#define HOLDFAST_SUBJECT_H

#include "maps.h"

enum { PIDTYPE_TGID = 1, PIDTYPE_PGID = 2, PIDTYPE_SID = 3 };

/* A pid's number and namespace in the innermost pid namespace that it belongs to. */
inline_ void innermost(struct pid *id, u32 *number, u32 *space)
{
    u32 level = 0;
    s32 found = 0;
    struct pid_namespace *ns = NULL;
    if (!id)
        return;
    fetch(level, id->level);
    if (level > 32)
        return;
    /* By hand: a relocation takes no index that is known at run time only. */
    struct upid *last = (void *)&id->numbers[0] + level * sizeof(struct upid);
    fetch(found, last->nr);
    *number = found;
    if (!space)
        return;
    fetch(ns, last->ns);
    if (ns)
        fetch(*space, ns->ns.inum);
}

inline_ u32 separate(struct task_struct *task, struct subject *to)
{
    u32 flags = 0;
    struct dentry *root = NULL;
    struct inode *inode = NULL;
    struct super_block *sb = NULL;
    struct fs_struct *fs = task->fs;
    unsigned long number = 0;
    u32 device = 0;
    if (to->mnt != host_is.mnt)
        flags |= SUBJECT_MNT;
    if (to->pidns != host_is.pid)
        flags |= SUBJECT_PID;
    if (to->userns != host_is.user)
        flags |= SUBJECT_USER;
    if (to->net != host_is.net)
        flags |= SUBJECT_NET;
    if (to->ipc != host_is.ipc)
        flags |= SUBJECT_IPC;
    if (to->uts != host_is.uts)
        flags |= SUBJECT_UTS;
    if (to->cgroupns != host_is.cgroup)
        flags |= SUBJECT_CGROUP;
    if (fs) {
        root = fs->root.dentry;
        fetch(inode, root->d_inode);
        fetch(number, inode->i_ino);
        fetch(sb, inode->i_sb);
        fetch(device, sb->s_dev);
        if (number != host_is.root_inode || device != host_is.root_device)
            flags |= SUBJECT_ROOT;
    }
    /* A service with a mount namespace of its own still has the host's root and pids; a container has not both. */
    if ((flags & SUBJECT_MNT) && (flags & (SUBJECT_PID | SUBJECT_ROOT | SUBJECT_USER)))
        flags |= SUBJECT_SEPARATE;
    return flags;
}

inline_ void describe(struct task_struct *task, struct subject *to)
{
    const struct cred *cred = task->cred;
    struct nsproxy *spaces = task->nsproxy;
    struct mm_struct *mm = task->mm;
    struct signal_struct *signal = task->signal;
    struct file *exe = NULL;
    struct inode *inode = NULL;
    struct super_block *sb = NULL;
    struct program program = {};
    unsigned long number = 0;

    to->start_ns = task->group_leader->start_boottime;
    to->pid = task->tgid;
    to->tid = task->pid;
    to->parent = task->real_parent->tgid;
    to->virtual_pid = 0;
    to->pidns = 0;
    if (signal)
        innermost(signal->pids[PIDTYPE_TGID], &to->virtual_pid, &to->pidns);
    to->user = cred->uid.val;
    to->effective_user = cred->euid.val;
    to->group = cred->gid.val;
    to->effective_group = cred->egid.val;
    to->login_user = task->loginuid.val;
    to->effective = to->permitted = 0;
    read_kernel(&to->effective, sizeof(u64), &cred->cap_effective);
    read_kernel(&to->permitted, sizeof(u64), &cred->cap_permitted);
    to->userns = cred->user_ns->ns.inum;
    to->mnt = to->net = to->ipc = to->uts = to->cgroupns = 0;
    if (spaces) {
        to->mnt = spaces->mnt_ns->ns.inum;
        to->net = spaces->net_ns->ns.inum;
        to->ipc = spaces->ipc_ns->ns.inum;
        to->uts = spaces->uts_ns->ns.inum;
        to->cgroupns = spaces->cgroup_ns->ns.inum;
    }
    read_kernel(to->name, sizeof(to->name), task->comm);
    to->exe_inode = 0;
    to->exe_device = 0;
    to->flags = separate(task, to);
    if (mm) {
        exe = mm->exe_file;
        fetch(inode, exe->f_inode);
        fetch(number, inode->i_ino);
        fetch(sb, inode->i_sb);
        to->exe_inode = number;
        fetch(to->exe_device, sb->s_dev);
        program.inode = number;
        program.device = to->exe_device;
        if (map_lookup(&runtimes, &program))
            to->flags |= SUBJECT_RUNTIME;
    }
}

#endif
