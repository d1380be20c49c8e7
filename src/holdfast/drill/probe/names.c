/* Making, changing and removing what has a name. Only what the attempt itself made is ever removed. */
#include "probe.h"

#include <sys/auxv.h>
#include <sys/sysmacros.h>

/* Prepare to make something new: the folder stays open in the entry. NULL where something of that name is there. */
static struct undo *new_name(const char *path, enum undo_kind kind)
{
    char name[MOST_NAME];
    int folder = parent_of(AT_FDCWD, path, name);
    if (folder < 0) return NULL;
    if (faccessat(folder, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
        close(folder);
        errno = EEXIST;
        return NULL;
    }
    return undo_later(kind, folder, name);
}

static long made(struct undo *entry, long result)
{
    if (result < 0) undo_never(entry);
    else undo_knows(entry);
    return result;
}

long do_mkdir(const struct step *s)
{
    struct undo *entry = new_name(text(s, 0), UNDO_RMDIR);
    return entry ? made(entry, mkdirat(entry->fd, entry->name, 0700)) : -1;
}

long do_symlink(const struct step *s)
{
    struct undo *entry = new_name(text(s, 1), UNDO_UNLINK);
    return entry ? made(entry, symlinkat(text(s, 0), entry->fd, entry->name)) : -1;
}

long do_mknod(const struct step *s)
{
    const char *kind = text(s, 1);
    mode_t mode = !strcmp(kind, "b") ? S_IFBLK : !strcmp(kind, "c") ? S_IFCHR : !strcmp(kind, "p") ? S_IFIFO : 0;
    if (!mode) return refuse(EINVAL);
    struct undo *entry = new_name(text(s, 0), UNDO_UNLINK);
    dev_t device = mode == S_IFIFO ? 0 : makedev((unsigned)number(s, 2), (unsigned)number(s, 3));
    return entry ? made(entry, mknodat(entry->fd, entry->name, mode | 0600, device)) : -1;
}

static long removed(const char *path, enum undo_kind kind, int flags)
{
    char name[MOST_NAME];
    int folder = parent_of(AT_FDCWD, path, name);
    if (folder < 0) return -1;
    struct undo *entry = undo_of(kind, folder, name);
    long result = entry ? unlinkat(folder, name, flags) : refuse(EACCES);
    if (entry && result == 0) entry->done = 1;
    close_quietly(folder);
    return result;
}

long do_rmdir(const struct step *s) { return removed(text(s, 0), UNDO_RMDIR, AT_REMOVEDIR); }
long do_unlink(const struct step *s) { return removed(text(s, 0), UNDO_UNLINK, 0); }

/* Prepare to change the mode or owner of what is there. */
static struct undo *old_name(const char *path, enum undo_kind kind, struct stat *before)
{
    char name[MOST_NAME];
    int folder = parent_of(AT_FDCWD, path, name);
    if (folder < 0) return NULL;
    if (fstatat(folder, name, before, 0) < 0) {
        close_quietly(folder);
        return NULL;
    }
    return undo_later(kind, folder, name);
}

long do_chmod(const struct step *s)
{
    struct stat before;
    struct undo *entry = old_name(text(s, 0), UNDO_MODE, &before);
    if (!entry) return -1;
    entry->number[0] = before.st_mode & 07777;
    long result = fchmodat(entry->fd, entry->name, (mode_t)octal(s, 1) & 07777, 0);
    if (result < 0) undo_never(entry);
    return result;
}

long do_chown(const struct step *s)
{
    struct stat before;
    /* A change of owner takes the setuid bits away, so the mode is put back after it: the newest entry first. */
    struct undo *mode = old_name(text(s, 0), UNDO_MODE, &before);
    if (!mode) return -1;
    mode->number[0] = before.st_mode & 07777;
    struct undo *entry = old_name(text(s, 0), UNDO_OWNER, &before);
    if (!entry) {
        undo_never(mode);
        return -1;
    }
    entry->number[0] = before.st_uid;
    entry->number[1] = before.st_gid;
    long result = fchownat(entry->fd, entry->name, (uid_t)number(s, 1), (gid_t)number(s, 2), 0);
    if (result < 0) {
        undo_never(entry);
        undo_never(mode);
    }
    return result;
}

/* A copy of this program; without /proc it is found by the name it was started with. */
long do_copy_self(const struct step *s)
{
    char block[MOST_BYTES];
    ssize_t length = -1;
    int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    if (from < 0) from = open((const char *)getauxval(AT_EXECFN), O_RDONLY | O_CLOEXEC);
    if (from < 0) return -1;
    struct undo *entry = new_name(text(s, 0), UNDO_UNLINK);
    if (!entry) {
        close_quietly(from);
        return -1;
    }
    int to = openat(entry->fd, entry->name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (to < 0) {
        undo_never(entry);
        close_quietly(from);
        return -1;
    }
    undo_knows(entry);
    while ((length = read(from, block, sizeof block)) > 0)
        if (write(to, block, (size_t)length) != length) {
            length = -1;
            break;
        }
    if (length == 0) length = fchmod(to, (mode_t)octal(s, 1) & 07777);
    close_quietly(to);
    close_quietly(from);
    return length;
}

/* Register an interpreter: the folder of binfmt_misc, and the line :NAME:... */
long do_binfmt_register(const struct step *s)
{
    const char *line = text(s, 1);
    char name[MOST_NAME];
    size_t length = *line ? strcspn(line + 1, (char[]){line[0], 0}) : 0;
    if (length == 0 || length >= sizeof name || memchr(line + 1, '/', length)) return refuse(EINVAL);
    memcpy(name, line + 1, length);
    name[length] = 0;
    int folder = open(text(s, 0), O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0) return -1;
    int to = openat(folder, "register", O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
    if (to < 0 || faccessat(folder, name, F_OK, 0) == 0) {
        int error = to < 0 ? errno : EEXIST;
        close_quietly(to);
        close_quietly(folder);
        return refuse(error);
    }
    struct undo *entry = undo_later(UNDO_BINFMT, folder, name);
    long result = entry ? write(to, line, strlen(line)) : -1;
    if (entry && result < 0) undo_never(entry);
    close_quietly(to);
    return result;
}
