/* The parts of the kernel's own structures that the programs read. Offsets come from the running kernel's BTF when the
 * object is loaded (CO-RE), so only names and types matter here, and only the members that are used are named.
 *
 * The programs are free under Apache-2.0 as the rest; BPF itself wants a licence string that the kernel knows as
 * compatible with its own before it lets a program read kernel memory, hence "Dual MIT/GPL" in each of them. */
#ifndef HOLDFAST_KERNEL_H
#define HOLDFAST_KERNEL_H

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef int s32;
typedef unsigned long long u64;
typedef long long s64;

#define SEC(name) __attribute__((section(name), used))
#define inline_ static inline __attribute__((always_inline))
#define NULL ((void *)0)

/* How a map is declared for libbpf: types and numbers in the debug information of a struct. */
#define map_number(name, value) int (*name)[value]
#define map_type(name, of) typeof(of) *name

#define KERNEL struct __attribute__((preserve_access_index))

#if defined(__TARGET_ARCH_x86)
KERNEL pt_regs { unsigned long di, si, dx, cx, r10, r8, r9, bx, bp, orig_ax, ax, ip, sp; };
KERNEL thread_info { u32 status; };
#else
#error "no register names for this kind of machine yet"
#endif

KERNEL ns_common { u32 inum; };
KERNEL user_namespace { struct ns_common ns; s32 level; };
KERNEL pid_namespace { struct ns_common ns; u32 level; };
KERNEL rb_node { struct rb_node *rb_right; };
KERNEL rb_root { struct rb_node *rb_node; };
KERNEL list_head { struct list_head *next, *prev; };
/* Its mounts: in the order of their numbers with the last at hand, in that order, or in the order of their making. */
KERNEL mnt_namespace { struct ns_common ns; struct rb_node *mnt_last_node; struct rb_root mounts; struct list_head list; };
KERNEL uts_namespace { struct ns_common ns; };
KERNEL ipc_namespace { struct ns_common ns; };
KERNEL cgroup_namespace { struct ns_common ns; };
KERNEL net { struct ns_common ns; };
KERNEL nsproxy {
    struct uts_namespace *uts_ns;
    struct ipc_namespace *ipc_ns;
    struct mnt_namespace *mnt_ns;
    struct net *net_ns;
    struct cgroup_namespace *cgroup_ns;
};

KERNEL upid { s32 nr; struct pid_namespace *ns; };
KERNEL pid { u32 level; struct upid numbers[1]; };

typedef struct { u32 val; } kuid_t;
typedef struct { u32 val; } kgid_t;
typedef struct { u64 val; } kernel_cap_t;
KERNEL cred {
    kuid_t uid, euid, suid, fsuid;
    kgid_t gid, egid;
    kernel_cap_t cap_effective, cap_permitted;
    struct user_namespace *user_ns;
};

KERNEL qstr { u64 hash_len; u32 len; const unsigned char *name; };
KERNEL file_system_type { const char *name; };
struct dentry;
struct block_device;
KERNEL super_block {
    u32 s_dev;
    unsigned long s_magic;
    struct file_system_type *s_type;
    struct dentry *s_root;
    struct block_device *s_bdev;
};
KERNEL timespec64 { s64 tv_sec; long tv_nsec; };
KERNEL inode {
    u16 i_mode;
    unsigned long i_ino;
    u32 i_rdev;
    u32 i_nlink;
    struct super_block *i_sb;
    void *i_private;
};
KERNEL fs_context { struct file_system_type *fs_type; };
KERNEL dentry { struct dentry *d_parent; struct qstr d_name; struct inode *d_inode; struct super_block *d_sb; };
KERNEL vfsmount { struct dentry *mnt_root; struct super_block *mnt_sb; s32 mnt_flags; };
KERNEL mount {
    struct mount *mnt_parent;
    struct dentry *mnt_mountpoint;
    struct vfsmount mnt;
    struct mnt_namespace *mnt_ns;
    struct list_head mnt_share, mnt_list;
    struct rb_node mnt_node;
};
KERNEL path { struct vfsmount *mnt; struct dentry *dentry; };
KERNEL file { struct path f_path; struct inode *f_inode; u32 f_flags; u32 f_mode; void *private_data; };
KERNEL fdtable { u32 max_fds; struct file **fd; };
KERNEL files_struct { struct fdtable *fdt; };
KERNEL fs_struct { struct path root, pwd; };

KERNEL mm_struct { unsigned long arg_start, arg_end, env_start, env_end; struct file *exe_file; };
KERNEL tty_driver { s32 major, minor_start; };
KERNEL tty_struct { struct tty_driver *driver; s32 index; };
KERNEL signal_struct { struct pid *pids[4]; struct tty_struct *tty; s32 group_exit_code; };
KERNEL seccomp { s32 mode; };
KERNEL task_struct {
    struct thread_info thread_info;
    struct seccomp seccomp;
    s32 pid, tgid;
    u32 flags;
    u64 start_boottime;
    struct task_struct *real_parent, *group_leader;
    const struct cred *cred;
    struct nsproxy *nsproxy;
    struct fs_struct *fs;
    struct files_struct *files;
    struct mm_struct *mm;
    struct signal_struct *signal;
    char comm[16];
    kuid_t loginuid;
    s32 exit_code;
};
KERNEL linux_binprm { struct file *file; const char *filename, *interp; };

KERNEL in6_addr { u8 bytes[16]; };
KERNEL sock_common {
    u16 skc_family;
    u32 skc_daddr, skc_rcv_saddr;
    u16 skc_dport, skc_num;
    struct in6_addr skc_v6_daddr, skc_v6_rcv_saddr;
    unsigned char skc_state;
};
KERNEL sock { struct sock_common __sk_common; u16 sk_type, sk_protocol; struct pid *sk_peer_pid; };
KERNEL unix_address { s32 len; char name[108]; };
KERNEL unix_sock { struct sock sk; struct unix_address *addr; struct path path; struct sock *peer; };
KERNEL socket { struct sock *sk; short type; struct file *file; };
KERNEL sk_buff { unsigned char *data; u32 len; };
KERNEL msghdr { void *msg_name; u32 msg_flags; };

KERNEL kernfs_node { u64 id; };
KERNEL cgroup_root { s32 hierarchy_id; };
KERNEL cgroup { struct kernfs_node *kn; struct cgroup_root *root; };

KERNEL bpf_iter_meta { u64 seq_num; };
KERNEL bpf_iter__task { struct bpf_iter_meta *meta; struct task_struct *task; };

/* The kernel's functions for programs, by their numbers in the user API (include/uapi/linux/bpf.h). */
static void *(*map_lookup)(void *map, const void *key) = (void *)1;
static long (*map_update)(void *map, const void *key, const void *value, u64 flags) = (void *)2;
static long (*map_delete)(void *map, const void *key) = (void *)3;
static u32 (*this_processor)(void) = (void *)8;
static u64 (*current_cgroup)(void) = (void *)80;
static long (*send_signal)(u32 signal) = (void *)109;
static long (*read_user)(void *to, u32 size, const void *from) = (void *)112;
static long (*read_kernel)(void *to, u32 size, const void *from) = (void *)113;
static long (*read_user_text)(void *to, u32 size, const void *from) = (void *)114;
static long (*read_kernel_text)(void *to, u32 size, const void *from) = (void *)115;
static u64 (*boot_ns)(void) = (void *)125;
static long (*ring_output)(void *ring, void *data, u64 size, u64 flags) = (void *)130;
static u64 (*ring_query)(void *ring, u64 what) = (void *)134;
static void *(*task_storage)(void *map, struct task_struct *task, void *value, u64 flags) = (void *)156;
static struct task_struct *(*current_task)(void) = (void *)158;
static long (*same_text)(const char *one, u32 size, const char *other) = (void *)182;
static struct pt_regs *(*registers_of)(struct task_struct *task) = (void *)175;

#define fetch(to, from) read_kernel(&(to), sizeof(to), &(from))
/* Whether the running kernel's struct has the member. */
#define has(member) __builtin_preserve_field_info(member, 2)

#endif
