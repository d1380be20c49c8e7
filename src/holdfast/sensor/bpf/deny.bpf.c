/* The back end that denies: one body per hook, to be attached as BPF LSM program or, where `bpf` is not among the
 * kernel's security modules, as fmod_ret program to the function that calls them. Only tasks that carry a mark are asked
 * about, so a runtime that sets a container up is exempt by what it is and where it comes from.
 *
 * A refusal is a constant behind a barrier: from 6.12 on the verifier wants to see that it lies between -4095 and 0, and
 * the compiler would otherwise compute it. */
#include "deny_place.h"

#define PF_KTHREAD 0x00200000
#define FMODE_WRITE 2
#define FMODE_BACKING 0x2000000
#define O_TRUNC 01000
#define S_IFMT 0170000
#define S_IFDIR 0040000
#define S_IFCHR 0020000
#define S_IFBLK 0060000
#define S_IFREG 0100000
#define MAGIC_NSFS 0x6e736673
#define MS_REMOUNT 32
#define MS_OTHER (4096 | 8192 | 1 << 17 | 1 << 18 | 1 << 19 | 1 << 20)
#define MNT_SHARED 0x1000
#define AF_INET 2
#define AF_INET6 10
#define MSG_FASTOPEN 0x20000000
#define PTRACE_MODE_ATTACH 2
#define PTRACE_MODE_NOAUDIT 4

#define REFUSE                                                                                                         \
    do {                                                                                                               \
        asm volatile("" ::: "memory");                                                                                 \
        return -1L;                                                                                                    \
    } while (0)

/* `hook` is the LSM hook, `function` the kernel's function that calls it; `body` says whether to refuse. */
#define DENY(hook, function, body)                                                                                     \
    SEC("lsm/" #hook) long lsm_##function(u64 *context)                                                                \
    {                                                                                                                  \
        if (body(context))                                                                                             \
            REFUSE;                                                                                                    \
        return 0;                                                                                                      \
    }                                                                                                                  \
    SEC("fmod_ret/security_" #function) long mod_##function(u64 *context)                                              \
    {                                                                                                                  \
        if (body(context))                                                                                             \
            REFUSE;                                                                                                    \
        return 0;                                                                                                      \
    }

inline_ u64 magic_of(struct super_block *sb)
{
    unsigned long magic = 0;
    if (sb)
        fetch(magic, sb->s_magic);
    return magic;
}

inline_ u32 namespace_of_pid(struct pid *id)
{
    struct pid_namespace *ns = NULL;
    u32 level = 0, number = 0;
    if (!id)
        return 0;
    fetch(level, id->level);
    if (level > 32)
        return 0;
    /* By hand: a relocation takes no index that is known at run time only. */
    struct upid *last = (void *)&id->numbers[0] + level * sizeof(struct upid);
    fetch(ns, last->ns);
    if (ns)
        fetch(number, ns->ns.inum);
    return number;
}

inline_ u32 pid_namespace_of(struct task_struct *task)
{
    struct signal_struct *signal = task->signal;
    struct pid *id = NULL;
    if (signal)
        fetch(id, signal->pids[1]);
    return namespace_of_pid(id);
}

/* --- files --- */

inline_ int refuse_open(u64 *context)
{
    struct mark *m = subject();
    struct file *file = (void *)context[0];
    struct vfsmount *mnt = NULL;
    struct dentry *dentry = NULL;
    struct inode *inode = NULL;
    struct super_block *sb = NULL;
    u32 flags = 0, how = 0, number = 0;
    u16 mode = 0;
    if (!m)
        return 0;
    fetch(mnt, file->f_path.mnt);
    fetch(dentry, file->f_path.dentry);
    fetch(inode, file->f_inode);
    fetch(flags, file->f_flags);
    fetch(how, file->f_mode);
    if (how & FMODE_BACKING)     /* an overlay opens the file below; the one above was judged */
        return 0;
    u32 access = (how & FMODE_WRITE) || (flags & O_TRUNC) ? ACCESS_WRITE : ACCESS_READ;
    fetch(mode, inode->i_mode);
    fetch(sb, inode->i_sb);
    if (magic_of(sb) == MAGIC_NSFS) {
        struct task_struct *task = current_task();
        struct nsproxy *own = task->nsproxy;
        unsigned long which = 0;
        fetch(which, inode->i_ino);
        if (!own || which == own->mnt_ns->ns.inum || which == own->net_ns->ns.inum || which == own->ipc_ns->ns.inum ||
            which == own->uts_ns->ns.inum || which == own->cgroup_ns->ns.inum ||
            which == task->cred->user_ns->ns.inum)
            return 0;
        if (which == home.mnt || which == home.pid || which == home.user || which == home.net || which == home.ipc)
            ask(m, KIND_NAMESPACE, 1, 0);
        m->denial.inode = which;
        return refused(HOOK_FILE_OPEN);
    }
    if (internal(mnt))           /* an older kernel's overlay opens the directories below through a mount of its own */
        return 0;
    if ((mode & S_IFMT) == S_IFBLK || (mode & S_IFMT) == S_IFCHR) {
        fetch(number, inode->i_rdev);
        if ((mode & S_IFMT) == S_IFBLK) {
            ask(m, KIND_BLOCK, access, 0);
        } else {
            ask(m, KIND_CHAR, number >> 20, number & 0xfffff);
            ask(m, KIND_CHAR, number >> 20, ~0ULL);
        }
    } else if ((mode & S_IFMT) == S_IFREG || (mode & S_IFMT) == S_IFDIR) {
        u32 where = namespace_of(mnt);
        struct nsproxy *own = current_task()->nsproxy;
        if (where && own && where != own->mnt_ns->ns.inum && where != m->container)
            ask(m, KIND_FOREIGN, access, 0);
    }
    placed(m, mnt, dentry, access);
    return refused(HOOK_FILE_OPEN);
}

inline_ int refuse_node(u64 *context)
{
    struct mark *m = subject();
    struct path *folder = (void *)context[0];
    struct vfsmount *mnt = NULL;
    u32 mode = context[2], number = context[3];
    if (!m)
        return 0;
    if ((mode & S_IFMT) == S_IFBLK)
        ask(m, KIND_BLOCK, ACCESS_WRITE, 0);
    if ((mode & S_IFMT) == S_IFCHR) {
        ask(m, KIND_CHAR, (number & 0xfff00) >> 8, (number & 0xff) | ((number >> 12) & 0xfff00));
        ask(m, KIND_CHAR, (number & 0xfff00) >> 8, ~0ULL);
    }
    fetch(mnt, folder->mnt);
    if ((mode & 06000) && (u64)mnt != m->root)
        ask(m, KIND_SETUID, 0, 0);
    placed(m, mnt, (void *)context[1], ACCESS_WRITE);
    return refused(HOOK_PATH_MKNOD);
}

inline_ int refuse_change(struct path *folder, struct dentry *dentry, u32 access, u32 hook)
{
    struct mark *m = subject();
    struct vfsmount *mnt = NULL;
    if (!m)
        return 0;
    fetch(mnt, folder->mnt);
    if (!dentry)
        fetch(dentry, folder->dentry);
    placed(m, mnt, dentry, access);
    return refused(hook);
}

inline_ int refuse_chmod(u64 *context)
{
    struct mark *m = subject();
    struct path *path = (void *)context[0];
    struct vfsmount *mnt = NULL;
    struct dentry *dentry = NULL;
    if (!m)
        return 0;
    fetch(mnt, path->mnt);
    fetch(dentry, path->dentry);
    if ((context[1] & 06000) && (u64)mnt != m->root)
        ask(m, KIND_SETUID, 0, 0);
    placed(m, mnt, dentry, ACCESS_WRITE);
    return refused(HOOK_PATH_CHMOD);
}

inline_ int refuse_symlink(u64 *context)
{
    return refuse_change((void *)context[0], (void *)context[1], ACCESS_WRITE, HOOK_PATH_SYMLINK) ||
           refuse_change((void *)context[0], (void *)context[1], ACCESS_SYMLINK, HOOK_PATH_SYMLINK);
}

inline_ int refuse_rename(u64 *context)
{
    return refuse_change((void *)context[0], (void *)context[1], ACCESS_WRITE, HOOK_PATH_RENAME) ||
           refuse_change((void *)context[2], (void *)context[3], ACCESS_WRITE, HOOK_PATH_RENAME);
}

/* A second name for a file gives a second way to it, so the old name counts as well. */
inline_ int refuse_link(u64 *context)
{
    return refuse_change((void *)context[1], (void *)context[2], ACCESS_WRITE, HOOK_PATH_LINK) ||
           refuse_change((void *)context[1], (void *)context[0], ACCESS_WRITE, HOOK_PATH_LINK);
}

inline_ int refuse_unlink(u64 *context)
{
    return refuse_change((void *)context[0], (void *)context[1], ACCESS_WRITE, HOOK_PATH_UNLINK);
}

inline_ int refuse_mkdir(u64 *context)
{
    return refuse_change((void *)context[0], (void *)context[1], ACCESS_WRITE, HOOK_PATH_MKDIR);
}

inline_ int refuse_rmdir(u64 *context)
{
    return refuse_change((void *)context[0], (void *)context[1], ACCESS_WRITE, HOOK_PATH_RMDIR);
}

inline_ int refuse_truncate(u64 *context)
{
    return refuse_change((void *)context[0], NULL, ACCESS_WRITE, HOOK_PATH_TRUNCATE);
}

inline_ int refuse_chown(u64 *context)
{
    return refuse_change((void *)context[0], NULL, ACCESS_WRITE, HOOK_PATH_CHOWN);
}

/* The capabilities that a file carries are a setuid bit by another name. */
inline_ int refuse_attribute(u64 *context)
{
    struct mark *m = subject();
    struct dentry *dentry = (void *)context[1];
    struct super_block *sb = NULL;
    u32 device = 0;
    char name[24] = {};
    if (!m)
        return 0;
    read_kernel_text(name, sizeof(name), (void *)context[2]);
    if (same_text(name, sizeof("security.capability"), "security.capability"))
        return 0;
    fetch(sb, dentry->d_sb);
    fetch(device, sb->s_dev);
    if (device == m->device)     /* no mount is told here; the container's own file system is known by its number */
        return 0;
    unnamed(m);
    ask(m, KIND_SETUID, 0, 0);
    m->denial.device = device;
    return refused(HOOK_INODE_SETXATTR);
}

inline_ int refuse_ioctl(u64 *context)
{
    struct mark *m = subject();
    if (!m)
        return 0;
    ask(m, KIND_IOCTL, context[1], 0);
    return refused(HOOK_FILE_IOCTL);
}

DENY(file_open, file_open, refuse_open)
DENY(path_mknod, path_mknod, refuse_node)
DENY(path_chmod, path_chmod, refuse_chmod)
DENY(path_symlink, path_symlink, refuse_symlink)
DENY(path_rename, path_rename, refuse_rename)
DENY(path_link, path_link, refuse_link)
DENY(path_unlink, path_unlink, refuse_unlink)
DENY(path_mkdir, path_mkdir, refuse_mkdir)
DENY(path_rmdir, path_rmdir, refuse_rmdir)
DENY(path_truncate, path_truncate, refuse_truncate)
DENY(path_chown, path_chown, refuse_chown)
DENY(inode_setxattr, inode_setxattr, refuse_attribute)
DENY(file_ioctl, file_ioctl, refuse_ioctl)
DENY(file_ioctl_compat, file_ioctl_compat, refuse_ioctl)

/* --- mounts --- */

/* Whether what is mounted there is seen in another mount namespace as well. */
inline_ u32 shown_elsewhere(struct vfsmount *mnt)
{
    s32 flags = 0;
    u32 own = namespace_of(mnt);
    struct list_head *next = NULL;
    fetch(flags, mnt->mnt_flags);
    if (!(flags & MNT_SHARED))
        return 0;
    fetch(next, MOUNT_OF(mnt)->mnt_share.next);
    for (u32 i = 0; i < 16; i++) {
        struct mount *peer = (void *)next - __builtin_preserve_field_info(((struct mount *)0)->mnt_share, 0);
        struct mnt_namespace *ns = NULL;
        u32 number = 0;
        if (!next)
            return 0;
        if (peer == MOUNT_OF(mnt))
            return 0;
        fetch(ns, peer->mnt_ns);
        if (ns && (u64)ns < (u64)-4095) {
            fetch(number, ns->ns.inum);
            if (number != own)
                return 1;
        }
        fetch(next, peer->mnt_share.next);
    }
    return 1;
}

inline_ void ask_type(struct mark *m, struct super_block *sb)
{
    struct file_system_type *type = NULL;
    struct block_device *disk = NULL;
    const char *name = NULL;
    fetch(type, sb->s_type);
    fetch(name, type->name);
    fetch(disk, sb->s_bdev);
    fetch(m->denial.device, sb->s_dev);
    m->denial.magic = magic_of(sb);
    named(m, name);
    ask(m, KIND_MOUNT, 0, 0);
    unnamed(m);
    if (disk)
        ask(m, KIND_MOUNT_BLOCK, 0, 0);
}

inline_ int refuse_mount(u64 *context)
{
    struct mark *m = subject();
    struct path *where = (void *)context[1];
    u64 flags = context[3];
    struct vfsmount *mnt = NULL;
    struct dentry *dentry = NULL;
    struct super_block *sb = NULL;
    if (!m)
        return 0;
    fetch(mnt, where->mnt);
    fetch(dentry, where->dentry);
    if (flags & MS_REMOUNT) {
        fetch(sb, dentry->d_sb);
        ask(m, KIND_REMOUNT, 0, magic_of(sb));
        return refused(HOOK_SB_MOUNT);
    }
    if (!(flags & MS_OTHER)) {
        named(m, (void *)context[2]);
        ask(m, KIND_MOUNT, 0, 0);
        unnamed(m);
    }
    if (shown_elsewhere(mnt))
        ask(m, KIND_MOUNT_SHARED, 0, 0);
    return refused(HOOK_SB_MOUNT);
}

/* Both ways to mount come by here, once the file system was made and before anybody sees it. */
inline_ int refuse_kern_mount(u64 *context)
{
    struct mark *m = subject();
    if (!m)
        return 0;
    ask_type(m, (void *)context[0]);
    return refused(HOOK_SB_KERN_MOUNT);
}

inline_ int refuse_move(u64 *context)
{
    struct mark *m = subject();
    struct path *from = (void *)context[0], *to = (void *)context[1];
    struct vfsmount *mnt = NULL;
    struct dentry *dentry = NULL;
    struct super_block *sb = NULL;
    if (!m)
        return 0;
    fetch(dentry, from->dentry);
    fetch(sb, dentry->d_sb);
    ask_type(m, sb);
    fetch(mnt, to->mnt);
    if (shown_elsewhere(mnt))
        ask(m, KIND_MOUNT_SHARED, 0, 0);
    return refused(HOOK_MOVE_MOUNT);
}

/* What covers a part of /proc or /sys keeps it from the container. */
inline_ int refuse_umount(u64 *context)
{
    struct mark *m = subject();
    struct vfsmount *mnt = (void *)context[0];
    struct dentry *below = NULL;
    struct super_block *sb = NULL;
    if (!m)
        return 0;
    fetch(below, MOUNT_OF(mnt)->mnt_mountpoint);
    if (below)
        fetch(sb, below->d_sb);
    ask(m, KIND_UNCOVER, 0, magic_of(sb));
    return refused(HOOK_SB_UMOUNT);
}

DENY(sb_mount, sb_mount, refuse_mount)
DENY(sb_kern_mount, sb_kern_mount, refuse_kern_mount)
DENY(move_mount, move_mount, refuse_move)
DENY(sb_umount, sb_umount, refuse_umount)

/* --- processes --- */

inline_ u32 outside(struct mark *m, struct task_struct *task)
{
    struct mark *theirs = mark_of(task);
    return !theirs || theirs->container != m->container;
}

inline_ int refuse_trace(u64 *context)
{
    struct mark *m = subject();
    struct task_struct *child = (void *)context[0];
    u32 mode = context[1];
    /* Without audit: the kernel only asks how much of a process's state it shows, ps(1) reads it. */
    if (!m || (mode & PTRACE_MODE_NOAUDIT) || !outside(m, child))
        return 0;
    m->denial.inode = child->tgid;
    ask(m, KIND_TRACE, mode & PTRACE_MODE_ATTACH ? 2 : 1, 0);
    return refused(HOOK_PTRACE_ACCESS_CHECK);
}

inline_ int refuse_kill(u64 *context)
{
    struct mark *m = subject();
    struct task_struct *target = (void *)context[0];
    if (!m || !outside(m, target))
        return 0;
    m->denial.inode = target->tgid;
    ask(m, KIND_SIGNAL, 0, 0);
    return refused(HOOK_TASK_KILL);
}

inline_ int refuse_user_namespace(u64 *context)
{
    struct mark *m = subject();
    (void)context;
    if (!m)
        return 0;
    ask(m, KIND_USER_NAMESPACE, 0, 0);
    return refused(HOOK_CREATE_USER_NS);
}

inline_ int refuse_capability(u64 *context)
{
    struct mark *m = subject();
    if (!m)
        return 0;
    ask(m, KIND_CAPABILITY, context[2], call_of(current_task()));
    return refused(HOOK_CAPABLE);
}

DENY(ptrace_access_check, ptrace_access_check, refuse_trace)
DENY(task_kill, task_kill, refuse_kill)
DENY(userns_create, create_user_ns, refuse_user_namespace)
DENY(capable, capable, refuse_capability)

/* --- the kernel itself --- */

inline_ int refuse_read_file(u64 *context)
{
    struct mark *m = subject();
    if (!m)
        return 0;
    ask(m, KIND_LOAD, context[1], 0);
    return refused(HOOK_KERNEL_READ_FILE);
}

inline_ int refuse_load_data(u64 *context)
{
    struct mark *m = subject();
    if (!m)
        return 0;
    ask(m, KIND_LOAD, context[0], 0);
    return refused(HOOK_KERNEL_LOAD_DATA);
}

inline_ int refuse_bpf(u64 *context)
{
    struct mark *m = subject();
    if (!m)
        return 0;
    ask(m, KIND_BPF, context[0], 0);
    return refused(HOOK_BPF);
}

inline_ int refuse_shared_memory(u64 *context)
{
    struct mark *m = subject();
    struct nsproxy *spaces = current_task()->nsproxy;
    (void)context;
    if (!m || !spaces || spaces->ipc_ns->ns.inum != home.ipc)
        return 0;
    ask(m, KIND_SHARED_MEMORY, 0, 0);
    return refused(HOOK_SHM_SHMAT);
}

DENY(kernel_read_file, kernel_read_file, refuse_read_file)
DENY(kernel_load_data, kernel_load_data, refuse_load_data)
DENY(bpf, bpf, refuse_bpf)
DENY(shm_shmat, shm_shmat, refuse_shared_memory)

/* --- sockets --- */

inline_ void ask_address(struct mark *m, const void *address)
{
    u16 family = 0, port = 0;
    u8 bytes[16] = {};
    u32 four = 0, loopback;
    read_kernel(&family, 2, address);
    if (family != AF_INET && family != AF_INET6)
        return;
    read_kernel(&port, 2, address + 2);
    port = __builtin_bswap16(port);
    if (family == AF_INET) {
        read_kernel(bytes, 4, address + 4);
        four = 1;
    } else {
        u64 high = 0;
        u32 middle = 0;
        read_kernel(bytes, 16, address + 8);
        read_kernel(&high, 8, bytes);
        read_kernel(&middle, 4, bytes + 8);
        if (!high && middle == 0xffff0000) { /* an IPv4 address in an IPv6 one */
            four = 1;
            read_kernel(bytes, 4, address + 20);
            __builtin_memset(bytes + 4, 0, 12);
        }
        loopback = !high && !middle && !bytes[12] && !bytes[13] && !bytes[14] && bytes[15] == 1;
    }
    if (four)
        loopback = bytes[0] == 127;
    u32 host = net_of(current_task()) == home.net;
    if (loopback && !host)
        return;
    unnamed(m);
    __builtin_memcpy(m->condition.name, bytes, 16);
    ask(m, KIND_ADDRESS, four ? 4 : 6, 0);
    unnamed(m);
    if (loopback)
        ask(m, KIND_LOOPBACK, 0, 0);
    ask(m, KIND_PORT, port, 0);
}

inline_ int refuse_connect(u64 *context)
{
    struct mark *m = subject();
    if (!m)
        return 0;
    ask_address(m, (void *)context[1]);
    return refused(HOOK_SOCKET_CONNECT);
}

/* A send that names an address connects: a first one with MSG_FASTOPEN, and each datagram. No hook for connecting is
 * asked about these. */
inline_ int refuse_send(u64 *context)
{
    struct msghdr *message = (void *)context[1];
    void *to = NULL;
    fetch(to, message->msg_name);
    if (!to)
        return 0;
    struct mark *m = subject();
    if (!m)
        return 0;
    ask_address(m, to);
    return refused(HOOK_SOCKET_SENDMSG);
}

inline_ int refuse_unix(struct sock *other, u32 hook)
{
    struct mark *m = subject();
    struct unix_sock *peer = (void *)other;
    struct dentry *dentry = NULL;
    struct vfsmount *mnt = NULL;
    struct pid *server = NULL;
    u32 theirs;
    if (!m || !other)
        return 0;
    fetch(dentry, peer->path.dentry);
    fetch(mnt, peer->path.mnt);
    /* An engine inside the container is its own; one outside is not, and with the host's pids that cannot be told. */
    fetch(server, other->sk_peer_pid);
    theirs = namespace_of_pid(server);
    if (theirs && theirs != home.pid && theirs == pid_namespace_of(current_task()))
        return 0;
    if (dentry)
        placed(m, mnt, dentry, ACCESS_CONNECT);
    else if (net_of(current_task()) == home.net)
        ask(m, KIND_ABSTRACT, 0, 0);
    return refused(hook);
}

inline_ int refuse_stream(u64 *context)
{
    return refuse_unix((void *)context[1], HOOK_UNIX_STREAM_CONNECT);
}

inline_ int refuse_datagram(u64 *context)
{
    struct socket *other = (void *)context[1];
    struct sock *sk = NULL;
    fetch(sk, other->sk);
    return refuse_unix(sk, HOOK_UNIX_MAY_SEND);
}

inline_ int refuse_socket(u64 *context)
{
    struct mark *m = subject();
    if (!m || context[3])        /* the kernel makes it for itself */
        return 0;
    ask(m, KIND_FAMILY, context[0], 0);
    return refused(HOOK_SOCKET_CREATE);
}

/* One buffer may hold many messages; a batch of nftables always does. */
#define MESSAGES 64
apart int ask_messages(u32 protocol)
{
    struct mark *m = mark_of(current_task());
    if (!m)
        return 0;
    volatile struct mark *w = m;
    for (u32 i = 0; i < MESSAGES; i++) {
        u64 at = w->next;
        u32 length = 0;
        u16 type = 0;
        if (at + 16 > w->end)
            return 0;
        read_kernel(&length, 4, (void *)at);
        read_kernel(&type, 2, (void *)at + 4);
        ask(m, KIND_NETLINK, protocol, type);
        if (length < 16)
            return 0;
        w->next = at + ((length + 3) & ~3U);
    }
    ask(m, KIND_NETLINK, 0, 0xffff);
    return 0;
}

inline_ int refuse_netlink(u64 *context)
{
    struct mark *m = subject();
    struct sock *sk = (void *)context[0];
    struct sk_buff *buffer = (void *)context[1];
    unsigned char *data = NULL;
    u32 length = 0;
    u16 protocol = 0;
    if (!m || net_of(current_task()) != home.net)
        return 0;
    fetch(protocol, sk->sk_protocol);
    fetch(data, buffer->data);
    fetch(length, buffer->len);
    m->next = (u64)data;
    m->end = (u64)data + length;
    unnamed(m);
    ask_messages(protocol);
    return refused(HOOK_NETLINK_SEND);
}

DENY(socket_connect, socket_connect, refuse_connect)
DENY(socket_sendmsg, socket_sendmsg, refuse_send)
DENY(unix_stream_connect, unix_stream_connect, refuse_stream)
DENY(unix_may_send, unix_may_send, refuse_datagram)
DENY(socket_create, socket_create, refuse_socket)
DENY(netlink_send, netlink_send, refuse_netlink)

/* --- who is in a container --- */

inline_ struct mark *make_mark(struct task_struct *task)
{
    u32 zero = 0;
    struct mark *m = task_storage(&marks, task, NULL, 1);
    struct tally *tally = m ? NULL : map_lookup(&tallies, &zero);
    if (tally)
        tally->unmarked++;
    return m;
}

inline_ u32 numbers(struct task_struct *task, struct program *program)
{
    struct mm_struct *mm = task->mm;
    struct file *exe = NULL;
    struct inode *inode = NULL;
    struct super_block *sb = NULL;
    if (!mm)
        return 0;
    exe = mm->exe_file;
    if (!exe)
        return 0;
    fetch(inode, exe->f_inode);
    fetch(program->inode, inode->i_ino);
    fetch(sb, inode->i_sb);
    fetch(program->device, sb->s_dev);
    return 1;
}

/* Mark a task that has a mount namespace and a root, pids or users of its own, and is no runtime at work. */
inline_ void consider(struct task_struct *task)
{
    struct nsproxy *spaces = task->nsproxy;
    struct fs_struct *fs = task->fs;
    struct dentry *root = NULL;
    struct inode *inode = NULL;
    struct super_block *sb = NULL;
    struct vfsmount *mnt = NULL;
    struct program program = {};
    unsigned long number = 0;
    u32 device = 0;
    if (!spaces || !fs || !home.ready)
        return;
    u32 where = spaces->mnt_ns->ns.inum;
    if (where == home.mnt)
        return;
    root = fs->root.dentry;
    mnt = fs->root.mnt;
    fetch(inode, root->d_inode);
    fetch(number, inode->i_ino);
    fetch(sb, inode->i_sb);
    fetch(device, sb->s_dev);
    if (number == home.root_inode && device == home.root_device && pid_namespace_of(task) == home.pid &&
        task->cred->user_ns->ns.inum == home.user)
        return;
    if (numbers(task, &program) && map_lookup(&runtimes, &program))
        return;
    struct mark *m = make_mark(task);
    if (!m)
        return;
    m->container = where;
    m->device = device;
    m->root = (u64)mnt;
}

inline_ int inherit(struct task_struct *parent, struct task_struct *child)
{
    struct mark *from = mark_of(parent), *to;
    if (!from)
        return 0;
    to = make_mark(child);
    if (!to)
        return 0;
    to->container = from->container;
    to->device = from->device;
    to->root = from->root;
    return 0;
}

/* The tracepoint below knows nothing of the threads that io_uring makes and that then do what they were handed. */
inline_ int born(u64 *context)
{
    inherit(current_task(), (void *)context[0]);
    return 0;
}

DENY(task_alloc, task_alloc, born)

SEC("tp_btf/sched_process_fork")
int forked(u64 *context)
{
    return inherit((void *)context[0], (void *)context[1]);
}

SEC("tp_btf/sched_process_exec")
int executed(u64 *context)
{
    struct task_struct *task = (void *)context[0];
    if (!mark_of(task))
        consider(task);
    return 0;
}

/* Run twice at the start: learn the host's own namespaces, then mark the tasks that are in containers already. */
SEC("iter/task")
int take_stock(struct bpf_iter__task *context)
{
    struct task_struct *task = context->task;
    if (!task)
        return 0;
    if (task->pid == 2 && (task->flags & PF_KTHREAD)) {
        struct nsproxy *spaces = task->nsproxy;
        if (!spaces)
            return 0;
        home.mnt = spaces->mnt_ns->ns.inum;
        home.net = spaces->net_ns->ns.inum;
        home.ipc = spaces->ipc_ns->ns.inum;
        home.user = task->cred->user_ns->ns.inum;
        home.pid = pid_namespace_of(task);
    } else if (!mark_of(task)) {
        consider(task);
    }
    return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
