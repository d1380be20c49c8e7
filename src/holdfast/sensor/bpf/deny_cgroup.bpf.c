/* Denials that need neither BPF LSM nor fmod_ret: where the kernel asks a control group before it writes a setting, opens
 * a device or connects a socket. Attached to the root of the version 2 hierarchy, so nobody leaves it.
 *
 * Who acts is told by namespaces, as there is no task storage here: the mount namespace is not the host's, and the
 * root directory, the pids or the users are not either. So what a runtime does inside these before the container's first
 * program counts as the container's; nothing of that is listed. */
#include "kernel.h"

struct mask { u64 low, high; };

enum cgroup_kind { CGROUP_SYSCTL = 1, CGROUP_PORT = 2, CGROUP_ADDRESS = 3, CGROUP_DEVICE = 4 };

#define NAME 64
struct asked { u32 kind, number; u64 more; char name[NAME]; };
struct {
    map_number(type, 1);
    map_number(max_entries, 1024);
    map_type(key, struct asked);
    map_type(value, struct mask);
} cgroup_conditions SEC(".maps");

/* By mount namespace; 0 for those without a row. */
struct {
    map_number(type, 1);
    map_number(max_entries, 16384);
    map_type(key, u32);
    map_type(value, struct mask);
} cgroup_enabled SEC(".maps");

struct cgroup_denial {
    u64 at_ns, low, high, start_ns;
    u32 pid, tid, parent, user, mnt, kind, number, unused;
    u64 more;
    char comm[16];
    char name[NAME];
};
struct {
    map_number(type, 6);         /* per-processor array */
    map_number(max_entries, 1);
    map_type(key, u32);
    map_type(value, struct cgroup_denial);
} cgroup_records SEC(".maps");
struct { map_number(type, 27); map_number(max_entries, 1 << 18); } cgroup_denials SEC(".maps");

struct cgroup_home { u32 mnt, pid, user, net, root_device, unused; u64 root_inode; };
volatile struct cgroup_home cgroup_home;

struct bpf_sysctl { u32 write, file_pos; };
struct bpf_cgroup_dev_ctx { u32 access_type, major, minor; };
struct bpf_sock_addr { u32 user_family, user_ip4, user_ip6[4], user_port; };

static long (*sysctl_name)(struct bpf_sysctl *context, char *to, u64 size, u64 flags) = (void *)101;

inline_ u32 pids_of(struct task_struct *task)
{
    struct signal_struct *signal = task->signal;
    struct pid *id = NULL;
    struct pid_namespace *ns = NULL;
    u32 level = 0, number = 0;
    if (!signal)
        return 0;
    fetch(id, signal->pids[1]);
    if (!id)
        return 0;
    fetch(level, id->level);
    if (level > 32)
        return 0;
    struct upid *last = (void *)&id->numbers[0] + level * sizeof(struct upid);
    fetch(ns, last->ns);
    if (ns)
        fetch(number, ns->ns.inum);
    return number;
}

inline_ u32 host_root(struct task_struct *task)
{
    struct fs_struct *fs = task->fs;
    struct dentry *root;
    struct inode *inode = NULL;
    struct super_block *sb = NULL;
    unsigned long number = 0;
    u32 device = 0;
    if (!fs)
        return 1;
    root = fs->root.dentry;
    fetch(inode, root->d_inode);
    fetch(number, inode->i_ino);
    fetch(sb, inode->i_sb);
    fetch(device, sb->s_dev);
    return number == cgroup_home.root_inode && device == cgroup_home.root_device;
}

inline_ int denied(struct asked *asked)
{
    struct task_struct *task = current_task();
    struct nsproxy *spaces = task->nsproxy;
    u32 everyone = 0;
    if (!spaces || !cgroup_home.mnt)
        return 0;
    u32 mnt = spaces->mnt_ns->ns.inum;
    if (mnt == cgroup_home.mnt)
        return 0;
    if (pids_of(task) == cgroup_home.pid && task->cred->user_ns->ns.inum == cgroup_home.user && host_root(task))
        return 0;
    struct mask *wanted = map_lookup(&cgroup_enabled, &mnt);
    if (!wanted)
        wanted = map_lookup(&cgroup_enabled, &everyone);
    struct mask *found = map_lookup(&cgroup_conditions, asked);
    if (!wanted || !found || !((wanted->low & found->low) | (wanted->high & found->high)))
        return 0;
    struct cgroup_denial *record = map_lookup(&cgroup_records, &everyone);
    if (!record)
        return 1;
    record->at_ns = boot_ns();
    record->low = wanted->low & found->low;
    record->high = wanted->high & found->high;
    record->start_ns = task->group_leader->start_boottime;
    record->pid = task->tgid;
    record->tid = task->pid;
    record->parent = task->real_parent->tgid;
    record->user = task->cred->uid.val;
    record->mnt = mnt;
    record->kind = asked->kind;
    record->number = asked->number;
    record->more = asked->more;
    read_kernel(record->comm, sizeof(record->comm), task->comm);
    __builtin_memcpy(record->name, asked->name, NAME);
    ring_output(&cgroup_denials, record, sizeof(*record), 0);
    return 1;
}

SEC("cgroup/sysctl")
int setting(struct bpf_sysctl *context)
{
    struct asked asked = {.kind = CGROUP_SYSCTL};
    if (!context->write)
        return 1;
    if (sysctl_name(context, asked.name, sizeof(asked.name), 0) < 0)
        return 1;
    return !denied(&asked);
}

SEC("cgroup/dev")
int device(struct bpf_cgroup_dev_ctx *context)
{
    struct asked asked = {.kind = CGROUP_DEVICE};
    u32 type = context->access_type & 0xffff;
    asked.number = type;         /* 1 block, 2 character */
    asked.more = type == 1 ? 0 : (u64)context->major << 32 | context->minor;
    if (denied(&asked))
        return 0;
    if (type == 1)
        return 1;
    asked.more = (u64)context->major << 32 | 0xffffffff;
    return !denied(&asked);
}

inline_ int reaches_four(struct bpf_sock_addr *context)
{
    struct asked asked = {.kind = CGROUP_ADDRESS, .number = 4};
    u32 address = context->user_ip4, port = context->user_port;
    asked.more = address;
    if (denied(&asked))
        return 0;
    asked.kind = CGROUP_PORT;
    asked.number = __builtin_bswap16(port);
    asked.more = 0;
    if ((address & 0xff) == 127) {
        struct nsproxy *spaces = current_task()->nsproxy;
        if (!spaces || spaces->net_ns->ns.inum != cgroup_home.net)
            return 1;
    }
    return !denied(&asked);
}

inline_ int reaches_six(struct bpf_sock_addr *context)
{
    struct asked asked = {.kind = CGROUP_ADDRESS, .number = 6};
    u32 words[4] = {context->user_ip6[0], context->user_ip6[1], context->user_ip6[2], context->user_ip6[3]};
    u32 port = context->user_port;
    if (!words[0] && !words[1] && words[2] == 0xffff0000) { /* an IPv4 address in an IPv6 one */
        asked.number = 4;
        asked.more = words[3];
    } else {
        __builtin_memcpy(asked.name, words, sizeof(words));
    }
    if (denied(&asked))
        return 0;
    __builtin_memset(asked.name, 0, sizeof(words));
    asked.kind = CGROUP_PORT;
    asked.number = __builtin_bswap16(port);
    asked.more = 0;
    return !denied(&asked);
}

SEC("cgroup/connect4")
int connect_four(struct bpf_sock_addr *context)
{
    return reaches_four(context);
}

SEC("cgroup/connect6")
int connect_six(struct bpf_sock_addr *context)
{
    return reaches_six(context);
}

/* Datagrams of sockets that are not connected. A first send of TCP with MSG_FASTOPEN is asked about as a connect. */
SEC("cgroup/sendmsg4")
int send_four(struct bpf_sock_addr *context)
{
    return reaches_four(context);
}

SEC("cgroup/sendmsg6")
int send_six(struct bpf_sock_addr *context)
{
    return reaches_six(context);
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
