/* Mounts, roots, namespaces and file handles. */
#include "probe.h"

#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/syscall.h>

#ifndef SYS_open_tree
#define SYS_open_tree 428
#define SYS_move_mount 429
#define SYS_fsopen 430
#define SYS_fsconfig 431
#define SYS_fsmount 432
#endif
#define CONFIG_FLAG 0u
#define CONFIG_STRING 1u
#define CONFIG_CREATE 6u
#define MOVE_FROM_EMPTY_PATH 4u
#define KIND_OF_NAMESPACE _IO(0xb7, 3)

/* Note where a mount is about to appear. A target such as / or . has no name below a folder: see settled(). */
static struct undo *mounting(const char *target)
{
    char name[MOST_NAME];
    int folder = parent_of(AT_FDCWD, target, name);
    if (folder < 0 && errno == EINVAL) {
        folder = open(target, O_PATH | O_DIRECTORY | O_CLOEXEC);
        strcpy(name, ".");
    }
    return folder < 0 ? NULL : undo_later(UNDO_UMOUNT, folder, name);
}

static long settled(struct undo *entry, const char *target, long result)
{
    if (result < 0) {
        undo_never(entry);
        return -1;
    }
    if (strcmp(entry->name, ".") == 0) {
        int root = open(target, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (root >= 0) {
            close(entry->fd);
            entry->fd = root;
        }
    }
    return result;
}

long do_mount(const struct step *s)
{
    unsigned long flags = (unsigned long)number(s, 3);
    /* Changing the mount that is there has an act of its own, which knows how to take it back. */
    if (flags & (MS_REMOUNT | MS_MOVE)) return refuse(EINVAL);
    if (flags & (MS_PRIVATE | MS_SHARED | MS_SLAVE | MS_UNBINDABLE)) {
        /* Nobody can tell how it was, so it may only be changed where all is thrown away. */
        if (attempt->worlds[attempt->world].kind == WORLD_ENTERED) return refuse(EACCES);
        return mount("none", text(s, 1), "", flags, "");
    }
    struct undo *entry = mounting(text(s, 1));
    if (!entry) return -1;
    return settled(entry, text(s, 1), mount(text(s, 0), text(s, 1), text(s, 2), flags, text(s, 4)));
}

long do_remount(const struct step *s)
{
    char name[MOST_NAME];
    int folder = parent_of(AT_FDCWD, text(s, 0), name);
    if (folder < 0 && errno == EINVAL) {
        folder = open(text(s, 0), O_PATH | O_DIRECTORY | O_CLOEXEC);
        strcpy(name, ".");
    }
    struct undo *entry = folder < 0 ? NULL : undo_later(UNDO_REMOUNT, folder, name);
    if (!entry) return -1;
    entry->number[0] = number(s, 2);
    long result = mount("none", text(s, 0), "", (unsigned long)number(s, 1) | MS_REMOUNT | MS_BIND, "");
    if (result < 0) undo_never(entry);
    return result;
}

/* Mounts of the replica may go, the whole of it is thrown away. In a namespace that was entered only our own may. */
long do_umount(const struct step *s)
{
    char name[MOST_NAME];
    struct undo *own = NULL;
    int folder = parent_of(AT_FDCWD, text(s, 0), name);
    struct stat here, there;
    if (folder >= 0 && fstat(folder, &here) == 0)
        for (int i = 0; i < attempt->undo_count; i++) {
            struct undo *entry = &attempt->undos[i];
            if (entry->kind == UNDO_UMOUNT && !entry->done && entry->world == attempt->world &&
                strcmp(entry->name, name) == 0 && fstat(entry->fd, &there) == 0 && here.st_ino == there.st_ino &&
                here.st_dev == there.st_dev)
                own = entry;
        }
    close_quietly(folder);
    if (!own && attempt->worlds[attempt->world].kind == WORLD_ENTERED) return refuse(EACCES);
    long result = umount2(text(s, 0), MNT_DETACH);
    if (result == 0 && own) own->done = 1;
    return result;
}

/* A file system that is mounted nowhere yet: its type, and KEY=VALUE or KEY, separated by commas. */
long do_detached(const struct step *s)
{
    char options[MOST_BYTES], *rest = options, *option;
    if (strlen(text(s, 1)) >= sizeof options) return refuse(E2BIG);
    strcpy(options, text(s, 1));
    int fs = (int)syscall(SYS_fsopen, text(s, 0), 1u);
    if (fs < 0) return -1;
    long result = 0;
    while (result == 0 && (option = strsep(&rest, ","))) {
        if (!*option) continue;
        char *key = strsep(&option, "=");
        result = syscall(SYS_fsconfig, fs, option ? CONFIG_STRING : CONFIG_FLAG, key, option, 0);
    }
    if (result == 0) result = syscall(SYS_fsconfig, fs, CONFIG_CREATE, NULL, NULL, 0);
    if (result == 0) result = keep(s, (int)syscall(SYS_fsmount, fs, 1u, 0u));
    close_quietly(fs);
    return result;
}

long do_attach(const struct step *s)
{
    struct undo *entry = mounting(text(s, 1));
    if (!entry) return -1;
    long result = syscall(SYS_move_mount, slot(s, 0), "", AT_FDCWD, text(s, 1), MOVE_FROM_EMPTY_PATH);
    return settled(entry, text(s, 1), result);
}

long do_clone_mount(const struct step *s)
{
    return keep(s, (int)syscall(SYS_open_tree, AT_FDCWD, text(s, 0), (unsigned)number(s, 1) | 1u | O_CLOEXEC));
}

long do_chroot(const struct step *s) { return chroot(text(s, 0)); }
long do_chdir(const struct step *s) { return chdir(text(s, 0)); }
long do_fchdir(const struct step *s) { return fchdir(slot(s, 0)); }

long do_setns(const struct step *s)
{
    int flags = (int)number(s, 1);
    int kind = flags ? flags : ioctl(slot(s, 0), KIND_OF_NAMESPACE);
    if (attempt->world + 1 == MOST_WORLDS) return refuse(ENOSPC);
    if (setns(slot(s, 0), flags) < 0) return -1;
    return kind > 0 && kind & CLONE_NEWNS ? moved(WORLD_ENTERED, slot(s, 0), flags) : 0;
}

static long unshared(int flags)
{
    if (attempt->world + 1 == MOST_WORLDS) return refuse(ENOSPC);
    if (unshare(flags) < 0) return -1;
    return flags & CLONE_NEWNS ? moved(WORLD_PRIVATE, -1, 0) : 0;
}

/* CLONE_FILES would end the sharing that lets the parent clean up. */
long do_unshare(const struct step *s)
{
    return number(s, 0) & CLONE_FILES ? refuse(EINVAL) : unshared((int)number(s, 0));
}

static int write_once(const char *path, const char *line)
{
    int to = open(path, O_WRONLY | O_CLOEXEC);
    if (to < 0) return -1;
    int result = write(to, line, strlen(line)) == (ssize_t)strlen(line) ? 0 : -1;
    close_quietly(to);
    return result;
}

long do_user_namespace(const struct step *s)
{
    char users[64], groups[64];
    int flags = (int)number(s, 0);
    if (flags & CLONE_FILES) return refuse(EINVAL);
    snprintf(users, sizeof users, "0 %u 1", geteuid());
    snprintf(groups, sizeof groups, "0 %u 1", getegid());
    if (unshared(flags | CLONE_NEWUSER) < 0) return -1;
    if (write_once("/proc/self/setgroups", "deny") < 0 && errno != ENOENT) return -1;
    return write_once("/proc/self/uid_map", users) < 0 || write_once("/proc/self/gid_map", groups) < 0 ? -1 : 0;
}

union handle {
    struct file_handle head;
    char room[sizeof(struct file_handle) + MAX_HANDLE_SZ];
};

long do_open_by_handle(const struct step *s)
{
    union handle handle = {.head = {.handle_type = (int)number(s, 1)}};
    long length = unhex(text(s, 2), handle.head.f_handle, MAX_HANDLE_SZ);
    if (length < 0) return refuse(EINVAL);
    handle.head.handle_bytes = (unsigned)length;
    return keep(s, open_by_handle_at(slot(s, 0), &handle.head, (int)number(s, 3) | O_CLOEXEC));
}

long do_name_to_handle(const struct step *s)
{
    union handle handle = {.head = {.handle_bytes = MAX_HANDLE_SZ}};
    char hex[2 * MAX_HANDLE_SZ + 1] = "";
    int id;
    if (name_to_handle_at(AT_FDCWD, text(s, 0), &handle.head, &id, 0) < 0) return -1;
    for (unsigned i = 0; i < handle.head.handle_bytes && i < MAX_HANDLE_SZ; i++)
        sprintf(hex + (size_t)2 * i, "%02x", handle.head.f_handle[i]);
    return said("%d %d %s", handle.head.handle_type, id, hex);
}
