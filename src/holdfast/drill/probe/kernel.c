/* Doors of the kernel, knocked at with an empty hand: nothing is loaded that does anything. */
#include "probe.h"

#include <linux/perf_event.h>
#include <linux/types.h>
#include <sys/io.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#ifndef SYS_io_uring_setup
#define SYS_io_uring_setup 425
#endif

/*
 * A file in memory that is no module: ENOEXEC says that nothing but the content is in the way. An empty file would not
 * do: it is refused with EINVAL before the kernel asks for a signature.
 */
long do_finit_module(const struct step *s)
{
    static const char none[64] = "this is no module";
    int file = (int)syscall(SYS_memfd_create, "holdfast", 1u);
    (void)s;
    if (file < 0) return -1;
    if (write(file, none, sizeof none) != (ssize_t)sizeof none) {
        close_quietly(file);
        return -1;
    }
    long result = syscall(SYS_finit_module, file, "", 0);
    close_quietly(file);
    return result;
}

/* A program that returns 0, attached to nothing. */
long do_bpf_load(const struct step *s)
{
    static const unsigned char code[16] = {0xb7, 0, 0, 0, 0, 0, 0, 0, 0x95};
    static const char licence[] = "GPL";
    struct {
        unsigned type, count;
        unsigned long long code, licence;
        unsigned level, size;
        unsigned long long log;
        unsigned version, flags;
    } load;
    memset(&load, 0, sizeof load);
    load.type = (unsigned)number(s, 0);
    load.count = 2;
    load.code = (unsigned long long)(size_t)code;
    load.licence = (unsigned long long)(size_t)licence;
    return keep(s, (int)syscall(SYS_bpf, 5, &load, sizeof load));
}

/* A counter that is not started, of every process on the first processor. */
long do_perf_event(const struct step *s)
{
    struct perf_event_attr event;
    memset(&event, 0, sizeof event);
    event.size = PERF_ATTR_SIZE_VER0;
    event.type = (unsigned)number(s, 0);
    event.config = (unsigned long long)number(s, 1);
    event.disabled = 1;
    return keep(s, (int)syscall(SYS_perf_event_open, &event, -1, 0, -1, 8ul));
}

long do_keyctl_describe(const struct step *s)
{
    (void)s;
    long length = syscall(SYS_keyctl, 6, -3, out, (unsigned long)MOST_BYTES, 0);
    out_length = length > MOST_BYTES ? MOST_BYTES : length;
    return length;
}

/* No entries are never granted: EINVAL says that rings would be, EPERM and ENOSYS that they would not. */
long do_io_uring_setup(const struct step *s)
{
    char parameters[120] = {0};
    (void)s;
    return syscall(SYS_io_uring_setup, 0u, parameters);
}

long do_userfaultfd(const struct step *s) { return keep(s, (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK)); }

long do_tiocsti(const struct step *s)
{
    for (long i = 0; i < text_length(s, 1); i++)
        if (ioctl(slot(s, 0), TIOCSTI, text(s, 1) + i) < 0) return -1;
    return text_length(s, 1);
}

/* The right ends with the worker. */
long do_iopl(const struct step *s)
{
#ifdef SYS_iopl
    long level = number(s, 0);
    if (level < 0 || level > 3) return refuse(EINVAL);
    long result = syscall(SYS_iopl, (int)level);
    if (result == 0) syscall(SYS_iopl, 0);
    return result;
#else
    (void)s;
    return refuse(ENOSYS);
#endif
}

/* Questions to a driver that change nothing: name, request, size of the answer. */
static const struct {
    const char *name;
    unsigned long request;
    long size;
} questions[] = {
    {"block_size", 0x80081272, 8}, /* BLKGETSIZE64 */
    {"drm_version", 0xc0406400, 0x40},
    {"input_version", 0x80044501, 4}, /* EVIOCGVERSION */
    {"kvm_version", 0xae00, 0},
    {"loop_status", 0x4c05, 232}, /* LOOP_GET_STATUS64 */
    {"namespace_kind", 0xb703, 0}, /* NS_GET_NSTYPE */
    {"terminal_size", 0x5413, 8}, /* TIOCGWINSZ */
    {"tun_features", 0x800454cf, 4}, /* TUNGETFEATURES */
    {"vfio_version", 0x3b64, 0}, /* VFIO_GET_API_VERSION */
    {"virtual_terminal", 0x5603, 6}, /* VT_GETSTATE */
};

long do_query(const struct step *s)
{
    for (size_t i = 0; i < sizeof questions / sizeof *questions; i++)
        if (strcmp(questions[i].name, text(s, 1)) == 0) {
            memset(out, 0, 256);
            long result = ioctl(slot(s, 0), questions[i].request, out);
            if (result >= 0) out_length = questions[i].size;
            return result;
        }
    return refuse(EINVAL);
}
