/*
 * What the files of the probe share.
 *
 * The probe performs single, harmless acts for a drill and says what the kernel answered. It starts no other program,
 * needs no library, no /proc and no writable file, and takes back what an attempt changed.
 */
#ifndef HOLDFAST_PROBE_H
#define HOLDFAST_PROBE_H

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#define MOST_STEPS 256
#define MOST_ARGUMENTS 5
#define MOST_BYTES 4096
#define MOST_LINE 65536
#define MOST_UNDO 512
#define MOST_KEPT 65536
#define MOST_WORLDS 16
#define MOST_NAME 256

struct text {
    char *bytes;
    long length;
};

struct step {
    int index;
    int count;
    struct text argument[MOST_ARGUMENTS];
};

/* A descriptor that a step yielded; a connection also keeps where it leads, so that the undo can connect anew. */
struct slot {
    int fd;
    unsigned streams;
    int torn;
    socklen_t to_length;
    struct sockaddr_storage to;
};

enum undo_kind {
    UNDO_UNLINK,
    UNDO_RMDIR,
    UNDO_UMOUNT,
    UNDO_REMOUNT,
    UNDO_SETTING,
    UNDO_BYTES,
    UNDO_MODE,
    UNDO_OWNER,
    UNDO_BINFMT,
    UNDO_CONTAINER,
    UNDO_VOLUME,
    UNDO_NAMESPACE,
};

struct undo {
    enum undo_kind kind;
    int done;
    int world;
    int fd;
    int slot;
    dev_t device;
    ino_t inode;
    long number[2];
    long kept_at, kept_length;
    char name[MOST_NAME];
};

/* A mount namespace that the attempt has been in. */
enum world_kind { WORLD_OWN, WORLD_PRIVATE, WORLD_ENTERED };
struct world {
    enum world_kind kind;
    int fd;
    int flags;
};

/*
 * One attempt, in memory that its worker shares with the parent, as they share their descriptors: when the worker is
 * killed, the parent can still take back what it did.
 */
struct attempt {
    int worker;
    int over;
    int steps;
    int lost_errno;
    char lost_data[32];
    int undo_count;
    int world;
    int asking;
    long kept_length;
    long line_length;
    struct slot slots[MOST_STEPS];
    struct world worlds[MOST_WORLDS];
    struct undo undos[MOST_UNDO];
    char kept[MOST_KEPT];
    char line[MOST_LINE + 1];
    char answer[2 * MOST_BYTES + 64];
};

struct act {
    const char *name;
    const char *arguments;
    /* One letter for each argument: s text, b bytes, n number, o octal, x hexadecimal, f the slot of a descriptor. */
    const char *kinds;
    long (*run)(const struct step *);
};

extern const struct act acts[];
extern const size_t acts_count;
extern struct attempt *attempt;
extern unsigned char out[MOST_BYTES];
extern long out_length;
extern volatile sig_atomic_t stop_asked;

/* attempt.c */
const char *text(const struct step *s, int i);
long text_length(const struct step *s, int i);
long number(const struct step *s, int i);
long octal(const struct step *s, int i);
unsigned long hexadecimal(const struct step *s, int i);
int slot(const struct step *s, int i);
long keep(const struct step *s, int fd);
long refuse(int error);
long said(const char *format, ...) __attribute__((format(printf, 1, 2)));
long capped(long wanted);
int digit(char c);
long unhex(const char *from, unsigned char *to, long most);
void close_quietly(int fd);
void perform(struct attempt *a);
void print_acts(void);
int work(struct attempt *a, int from, int to, int parent);

/* main.c */
int was_inherited(int fd);

/* undo.c */
int parent_of(int base, const char *path, char *name);
struct undo *undo_later(enum undo_kind kind, int fd, const char *name);
void undo_never(struct undo *entry);
void undo_knows(struct undo *entry);
struct undo *undo_of(enum undo_kind kind, int folder, const char *name);
int undo_keeps(struct undo *entry, const void *bytes, long length);
void undo_all(struct attempt *a, int by_worker);
int moved(enum world_kind kind, int fd, int flags);

/* sockets.c and http.c and grpc.c */
int connected_anew(const struct slot *to);
int http_delete(const struct slot *at, const char *kind, const char *id);
int grpc_delete_namespace(const struct slot *at, const char *name);

/* files.c */
long do_open(const struct step *s), do_open_at(const struct step *s), do_inherited(const struct step *s);
long do_read(const struct step *s), do_read_at(const struct step *s), do_write(const struct step *s);
long do_write_at(const struct step *s), do_set(const struct step *s), do_list(const struct step *s);
long do_stat(const struct step *s), do_statfs(const struct step *s), do_read_link(const struct step *s);
long do_close(const struct step *s), do_rewrite(const struct step *s), do_rewrite_at(const struct step *s);
long do_want_module(const struct step *s);
/* names.c */
long do_mkdir(const struct step *s), do_rmdir(const struct step *s), do_unlink(const struct step *s);
long do_symlink(const struct step *s), do_chmod(const struct step *s), do_chown(const struct step *s);
long do_mknod(const struct step *s), do_copy_self(const struct step *s), do_binfmt_register(const struct step *s);
/* mounts.c */
long do_mount(const struct step *s), do_remount(const struct step *s), do_umount(const struct step *s);
long do_detached(const struct step *s), do_attach(const struct step *s), do_clone_mount(const struct step *s);
long do_chroot(const struct step *s), do_chdir(const struct step *s), do_fchdir(const struct step *s);
long do_setns(const struct step *s), do_unshare(const struct step *s), do_user_namespace(const struct step *s);
long do_open_by_handle(const struct step *s), do_name_to_handle(const struct step *s);
/* processes.c */
long do_ptrace_read(const struct step *s), do_process_vm_read(const struct step *s);
long do_signal_check(const struct step *s), do_pidfd_open(const struct step *s), do_pidfd_getfd(const struct step *s);
long do_crash(const struct step *s), do_leave_cgroup(const struct step *s), do_join_cgroup(const struct step *s);
long do_shm_read(const struct step *s), do_identity(const struct step *s), do_sleep_ms(const struct step *s);
/* sockets.c */
long do_connect(const struct step *s), do_connect_tcp(const struct step *s), do_listen_packet(const struct step *s);
long do_send(const struct step *s), do_receive(const struct step *s), do_socket(const struct step *s);
long do_peer(const struct step *s), do_delete_absent_route(const struct step *s);
/* http.c and grpc.c */
long do_engine_start(const struct step *s), do_http(const struct step *s), do_grpc(const struct step *s);
long do_metadata(const struct step *s), do_make_volume(const struct step *s);
/* kernel.c */
long do_finit_module(const struct step *s), do_bpf_load(const struct step *s), do_perf_event(const struct step *s);
long do_keyctl_describe(const struct step *s), do_io_uring_setup(const struct step *s);
long do_userfaultfd(const struct step *s), do_tiocsti(const struct step *s), do_iopl(const struct step *s);
long do_query(const struct step *s);

#endif
