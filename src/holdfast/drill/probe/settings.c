/* Settings of the kernel that are written back as they are: every check of a change, and no change. */
#include "probe.h"

#include <sys/socket.h>

static long rewritten(int base, const char *path)
{
    char old[MOST_BYTES];
    long length = 0, written;
    ssize_t more;
    int from = openat(base, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (from < 0) return -1;
    while ((more = read(from, old + length, sizeof old - (size_t)length)) > 0) length += more;
    close_quietly(from);
    if (more < 0) return -1;
    if (length == (long)sizeof old) return refuse(E2BIG);
    /* An empty setting is still empty after a line end, and a write of nothing would not be looked at. */
    if (length == 0) old[length++] = '\n';
    int to = openat(base, path, O_WRONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (to < 0) return -1;
    written = write(to, old, (size_t)length);
    close_quietly(to);
    return written;
}

long do_rewrite(const struct step *s) { return rewritten(AT_FDCWD, text(s, 0)); }
long do_rewrite_at(const struct step *s) { return rewritten(slot(s, 0), text(s, 1)); }

/* A protocol family that no kernel has built in: the kernel looks for its module. It is refused at last either way. */
long do_want_module(const struct step *s)
{
    (void)s;
    int fd = socket(AF_ECONET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd >= 0) close_quietly(fd);
    return 0;
}
