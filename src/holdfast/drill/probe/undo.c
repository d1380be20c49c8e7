/*
 * What an attempt changed, and how it is taken back.
 *
 * An entry is written before the act, so that a kill in between loses nothing. It names a thing by an open folder and
 * a name below it, which stays right after chroot, chdir and setns. Mounts belong to a mount namespace besides: who
 * stands in another one leaves them to the parent, which enters it first.
 */
#include "probe.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>

/* Open the folder that a path's last name stands in, and copy that name. Names that are no name of their own fail. */
int parent_of(int base, const char *path, char *name)
{
    char folder[4096];
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/') length--;
    size_t cut = length;
    while (cut && path[cut - 1] != '/') cut--;
    if (length == 0) return (int)refuse(ENOENT);
    if (length - cut >= MOST_NAME || cut >= sizeof folder) return (int)refuse(ENAMETOOLONG);
    memcpy(name, path + cut, length - cut);
    name[length - cut] = 0;
    if (!*name || strcmp(name, ".") == 0 || strcmp(name, "..") == 0) return (int)refuse(EINVAL);
    memcpy(folder, path, cut);
    folder[cut] = 0;
    return openat(base, cut ? folder : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
}

/* Note what is to be taken back; NULL with ENOSPC where there is no more room. Takes the descriptor over. */
struct undo *undo_later(enum undo_kind kind, int fd, const char *name)
{
    if (attempt->undo_count == MOST_UNDO || strlen(name) >= MOST_NAME) {
        close_quietly(fd);
        errno = ENOSPC;
        return NULL;
    }
    struct undo *entry = &attempt->undos[attempt->undo_count];
    memset(entry, 0, sizeof *entry);
    entry->kind = kind;
    entry->fd = fd;
    entry->slot = -1;
    entry->world = attempt->world;
    strcpy(entry->name, name);
    __atomic_store_n(&attempt->undo_count, attempt->undo_count + 1, __ATOMIC_SEQ_CST);
    return entry;
}

/* The act failed: forget the entry, which is the newest one. */
void undo_never(struct undo *entry)
{
    attempt->undo_count--;
    close_quietly(entry->fd);
    entry->fd = -1;
}

/* Remember which file was made, so that a stranger's file of the same name is never removed. */
void undo_knows(struct undo *entry)
{
    struct stat made;
    if (fstatat(entry->fd, entry->name, &made, AT_SYMLINK_NOFOLLOW) == 0) {
        entry->device = made.st_dev;
        entry->inode = made.st_ino;
    }
}

static int is_same(const struct undo *entry, int folder, const char *name)
{
    struct stat now;
    if (fstatat(folder, name, &now, AT_SYMLINK_NOFOLLOW) < 0) return 0;
    return entry->inode == 0 || (now.st_ino == entry->inode && now.st_dev == entry->device);
}

/* The entry that made what now bears this name, or NULL. */
struct undo *undo_of(enum undo_kind kind, int folder, const char *name)
{
    for (int i = attempt->undo_count - 1; i >= 0; i--) {
        struct undo *entry = &attempt->undos[i];
        if (entry->kind == kind && !entry->done && entry->inode && is_same(entry, folder, name)) return entry;
    }
    return NULL;
}

int undo_keeps(struct undo *entry, const void *bytes, long length)
{
    if (attempt->kept_length + length > MOST_KEPT) return (int)refuse(ENOSPC);
    entry->kept_at = attempt->kept_length;
    entry->kept_length = length;
    memcpy(attempt->kept + entry->kept_at, bytes, (size_t)length);
    attempt->kept_length += length;
    return 0;
}

/* Note that the attempt stands in another mount namespace now. */
int moved(enum world_kind kind, int fd, int flags)
{
    if (attempt->world + 1 == MOST_WORLDS) return (int)refuse(ENOSPC);
    attempt->worlds[attempt->world + 1] = (struct world){.kind = kind, .fd = fd, .flags = flags};
    attempt->world++;
    return 0;
}

static int gone_is_fine(int result) { return result == 0 || errno == ENOENT ? 0 : -1; }

static int remove_name(const struct undo *entry, int flags)
{
    struct stat now;
    if (fstatat(entry->fd, entry->name, &now, AT_SYMLINK_NOFOLLOW) < 0) return gone_is_fine(-1);
    if (!is_same(entry, entry->fd, entry->name)) return (int)refuse(ESTALE);
    return gone_is_fine(unlinkat(entry->fd, entry->name, flags));
}

static int write_setting(const struct undo *entry, const char *old)
{
    int is_plain = (int)entry->number[0];
    if (is_plain && ftruncate(entry->fd, 0) < 0) return -1;
    if (is_plain && entry->kept_length == 0) return 0;
    /* Writing nothing to a setting of the kernel changes nothing; an empty line empties it. */
    const char *bytes = entry->kept_length ? old : "\n";
    size_t length = entry->kept_length ? (size_t)entry->kept_length : 1;
    ssize_t written = pwrite(entry->fd, bytes, length, 0);
    if (written < 0 && errno == ESPIPE) written = write(entry->fd, bytes, length);
    return written == (ssize_t)length ? 0 : -1;
}

static int unmount(const struct undo *entry)
{
    if (fchdir(entry->fd) < 0) return -1;
    return umount2(entry->name, MNT_DETACH);
}

static int remount_back(const struct undo *entry)
{
    if (fchdir(entry->fd) < 0) return -1;
    return mount("none", entry->name, "", (unsigned long)entry->number[0] | MS_REMOUNT | MS_BIND, "");
}

static int unregister(const struct undo *entry)
{
    int at = openat(entry->fd, entry->name, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
    if (at < 0) return gone_is_fine(-1);
    int written = write(at, "-1", 2) == 2 ? 0 : -1;
    close_quietly(at);
    return written;
}

static int take_back(const struct attempt *a, const struct undo *entry)
{
    const char *old = a->kept + entry->kept_at;
    switch (entry->kind) {
    case UNDO_UNLINK: return remove_name(entry, 0);
    case UNDO_RMDIR: return remove_name(entry, AT_REMOVEDIR);
    case UNDO_UMOUNT: return unmount(entry);
    case UNDO_REMOUNT: return remount_back(entry);
    case UNDO_SETTING: return write_setting(entry, old);
    case UNDO_BYTES:
        return pwrite(entry->fd, old, (size_t)entry->kept_length, entry->number[0]) == entry->kept_length ? 0 : -1;
    case UNDO_MODE: return gone_is_fine(fchmodat(entry->fd, entry->name, (mode_t)entry->number[0], 0));
    case UNDO_OWNER:
        return gone_is_fine(
            fchownat(entry->fd, entry->name, (uid_t)entry->number[0], (gid_t)entry->number[1], 0));
    case UNDO_BINFMT: return unregister(entry);
    case UNDO_CONTAINER: return http_delete(&a->slots[entry->slot], "containers", entry->name);
    case UNDO_VOLUME: return http_delete(&a->slots[entry->slot], "volumes", entry->name);
    case UNDO_NAMESPACE: return grpc_delete_namespace(&a->slots[entry->slot], entry->name);
    }
    return -1;
}

static int is_of_mounts(const struct undo *entry)
{
    return entry->kind == UNDO_UMOUNT || entry->kind == UNDO_REMOUNT;
}

/* A process that steps into the entry's mount namespace and takes it back there. */
static int take_back_there(struct attempt *a, struct undo *entry)
{
    const struct world *there = &a->worlds[entry->world];
    int status = -1;
    if (there->kind == WORLD_PRIVATE) return 0; /* it went away with the only process that was in it */
    pid_t child = fork();
    if (child == 0)
        _exit((there->kind == WORLD_ENTERED && setns(there->fd, there->flags) < 0) || take_back(a, entry) < 0);
    return child > 0 && waitpid(child, &status, 0) == child && status == 0 ? 0 : -1;
}

/* Take everything back, the newest first. What fails or lies elsewhere is left to the next one who tries. */
void undo_all(struct attempt *a, int by_worker)
{
    for (int i = a->undo_count - 1; i >= 0; i--) {
        struct undo *entry = &a->undos[i];
        if (entry->done) continue;
        if (!is_of_mounts(entry) || (by_worker && entry->world == a->world)) {
            entry->done = take_back(a, entry) == 0;
        } else if (!by_worker) {
            entry->done = take_back_there(a, entry) == 0;
        }
    }
}
