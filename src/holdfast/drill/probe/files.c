/* Opening, reading and writing. */
#include "probe.h"

#include <dirent.h>
#include <limits.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

static long opened(const struct step *s, int base, const char *path, const char *mode)
{
    int flags = O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
    if (!*mode || strspn(mode, "rwcdp") != strlen(mode)) return refuse(EINVAL);
    if (strchr(mode, 'w')) flags |= strchr(mode, 'r') ? O_RDWR : O_WRONLY;
    if (strchr(mode, 'd')) flags |= O_DIRECTORY;
    if (strchr(mode, 'p')) flags |= O_PATH;
    if (!strchr(mode, 'c')) return keep(s, openat(base, path, flags));

    char name[MOST_NAME];
    int folder = parent_of(base, path, name);
    if (folder < 0) return -1;
    if (faccessat(folder, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
        close(folder);
        return refuse(EEXIST);
    }
    struct undo *entry = undo_later(UNDO_UNLINK, folder, name);
    if (!entry) return -1;
    if (keep(s, openat(folder, name, flags | O_CREAT | O_EXCL, 0600)) < 0) undo_never(entry);
    else undo_knows(entry);
    return attempt->slots[s->index].fd;
}

long do_open(const struct step *s) { return opened(s, AT_FDCWD, text(s, 0), text(s, 1)); }
long do_open_at(const struct step *s) { return opened(s, slot(s, 0), text(s, 1), text(s, 2)); }

long do_inherited(const struct step *s)
{
    int fd = (int)number(s, 0);
    if (fd <= 2 || !was_inherited(fd)) return refuse(EBADF);
    return keep(s, fcntl(fd, F_DUPFD_CLOEXEC, 3));
}

long do_close(const struct step *s)
{
    int fd = slot(s, 0);
    attempt->slots[number(s, 0)].fd = -1;
    return close(fd);
}

long do_read(const struct step *s)
{
    out_length = read(slot(s, 0), out, (size_t)capped(number(s, 1)));
    return out_length;
}

long do_read_at(const struct step *s)
{
    out_length = pread(slot(s, 0), out, (size_t)capped(number(s, 2)), number(s, 1));
    return out_length;
}

long do_write(const struct step *s) { return write(slot(s, 0), text(s, 1), (size_t)text_length(s, 1)); }

/* What stood there is written back at the end, where it can be read: on a disk nobody else would. */
long do_write_at(const struct step *s)
{
    char old[MOST_BYTES];
    long length = text_length(s, 2), at = number(s, 1);
    if (length > MOST_BYTES) return refuse(E2BIG);
    ssize_t had = pread(slot(s, 0), old, (size_t)length, at);
    if (had <= 0) return pwrite(slot(s, 0), text(s, 2), (size_t)length, at);

    int again = fcntl(slot(s, 0), F_DUPFD_CLOEXEC, 3);
    if (again < 0) return -1;
    struct undo *entry = undo_later(UNDO_BYTES, again, "");
    if (!entry) return -1;
    entry->number[0] = at;
    if (undo_keeps(entry, old, had) < 0) {
        undo_never(entry);
        return -1;
    }
    long written = pwrite(slot(s, 0), text(s, 2), (size_t)length, at);
    if (written < 0) undo_never(entry);
    return written;
}

static const struct {
    unsigned long magic;
    const char *name;
    int is_shown; /* what is read there is no content of a file, but what the kernel or a program says */
} types[] = {
    {0x01021994, "tmpfs", 0}, {0x01021997, "9p", 0}, {0x0027e0eb, "cgroup", 1}, {0x19800202, "mqueue", 1},
    {0x1cd1, "devpts", 1}, {0x58465342, "xfs", 0}, {0x62656572, "sysfs", 1}, {0x63677270, "cgroup2", 1},
    {0x64626720, "debugfs", 1}, {0x65735546, "fuse", 1}, {0x6969, "nfs", 0}, {0x73636673, "securityfs", 1},
    {0x73717368, "squashfs", 0}, {0x74726163, "tracefs", 1}, {0x794c7630, "overlay", 0}, {0x858458f6, "ramfs", 0},
    {0x9123683e, "btrfs", 0}, {0x9fa0, "proc", 1}, {0xcafe4a11, "bpf", 1}, {0xef53, "ext4", 0},
    {0x42494e4d, "binfmt_misc", 1}, {0x4d44, "vfat", 0}, {0x6e736673, "nsfs", 1}, {0x62656570, "configfs", 1},
};

static size_t type_of(const struct statfs *seen)
{
    size_t i = 0;
    while (i < sizeof types / sizeof *types && types[i].magic != ((unsigned long)seen->f_type & 0xffffffff)) i++;
    return i;
}

/* A file whose content is cut off before another is written, unlike a setting, which takes each write as a whole. */
static int is_plain(int fd)
{
    struct stat kind;
    struct statfs seen;
    if (fstat(fd, &kind) < 0 || fstatfs(fd, &seen) < 0 || !S_ISREG(kind.st_mode)) return 0;
    size_t type = type_of(&seen);
    return type == sizeof types / sizeof *types || !types[type].is_shown;
}

/* Change a setting whose old value could be read; nothing is written where it could not. */
long do_set(const struct step *s)
{
    char old[MOST_BYTES];
    long length = 0;
    ssize_t more;
    int from = open(text(s, 0), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (from < 0) return -1;
    while ((more = read(from, old + length, sizeof old - (size_t)length)) > 0) length += more;
    close_quietly(from);
    if (more < 0) return -1;
    if (length == (long)sizeof old) return refuse(E2BIG);

    int fd = open(text(s, 0), O_WRONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) return -1;
    struct undo *entry = undo_later(UNDO_SETTING, fd, "");
    if (!entry) return -1;
    entry->number[0] = is_plain(fd);
    if (undo_keeps(entry, old, length) < 0 || (entry->number[0] && ftruncate(fd, 0) < 0)) {
        undo_never(entry);
        return -1;
    }
    long written = write(fd, text(s, 1), (size_t)text_length(s, 1));
    /* A refused setting is as it was; a file has been cut off and is put back at the end. */
    if (written < 0 && !entry->number[0]) undo_never(entry);
    return written;
}

long do_list(const struct step *s)
{
    DIR *folder = opendir(text(s, 0));
    struct dirent *entry;
    long length = 0;
    if (!folder) return -1;
    while ((entry = readdir(folder))) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        if (length + (long)strlen(entry->d_name) + 2 > MOST_BYTES) break;
        length += sprintf((char *)out + length, "%s\n", entry->d_name);
    }
    closedir(folder);
    out_length = length;
    return length;
}

long do_stat(const struct step *s)
{
    struct stat seen;
    if (stat(text(s, 0), &seen) < 0) return -1;
    return said("%o %u %u %u:%u %llu %lld %u:%u", (unsigned)seen.st_mode, seen.st_uid, seen.st_gid,
                major(seen.st_dev), minor(seen.st_dev), (unsigned long long)seen.st_ino, (long long)seen.st_size,
                major(seen.st_rdev), minor(seen.st_rdev));
}

long do_statfs(const struct step *s)
{
    struct statfs seen;
    if (statfs(text(s, 0), &seen) < 0) return -1;
    size_t type = type_of(&seen);
    return said("%lx %s", (unsigned long)seen.f_type & 0xffffffff,
                type < sizeof types / sizeof *types ? types[type].name : "unknown");
}

long do_read_link(const struct step *s)
{
    out_length = readlink(text(s, 0), (char *)out, MOST_BYTES);
    return out_length;
}
