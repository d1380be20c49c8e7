/* Other processes, control groups and shared memory. Nothing is ever written into another process. */
#include "probe.h"

#include <poll.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#define SYS_pidfd_getfd 438
#endif

long do_ptrace_read(const struct step *s)
{
    pid_t pid = (pid_t)number(s, 0);
    unsigned long at = hexadecimal(s, 1);
    long want = capped(number(s, 2)), length = 0;
    int status, failed = 0;
    if (ptrace(PTRACE_SEIZE, pid, 0, 0) < 0) return -1;
    if (ptrace(PTRACE_INTERRUPT, pid, 0, 0) < 0 || waitpid(pid, &status, __WALL) != pid) failed = errno;
    while (!failed && length < want) {
        errno = 0;
        long word = ptrace(PTRACE_PEEKDATA, pid, at + (unsigned long)length, 0);
        if (errno) {
            failed = errno;
            break;
        }
        size_t part = want - length < (long)sizeof word ? (size_t)(want - length) : sizeof word;
        memcpy(out + length, &word, part);
        length += (long)part;
    }
    ptrace(PTRACE_DETACH, pid, 0, 0);
    if (failed) return refuse(failed);
    out_length = length;
    return length;
}

long do_process_vm_read(const struct step *s)
{
    struct iovec here = {out, (size_t)capped(number(s, 2))};
    struct iovec there = {(void *)hexadecimal(s, 1), here.iov_len};
    out_length = process_vm_readv((pid_t)number(s, 0), &here, 1, &there, 1, 0);
    return out_length;
}

/* Signal 0 reaches nobody: the kernel only says whether another signal would. */
long do_signal_check(const struct step *s) { return kill((pid_t)number(s, 0), 0); }

long do_pidfd_open(const struct step *s) { return keep(s, (int)syscall(SYS_pidfd_open, (pid_t)number(s, 0), 0u)); }

long do_pidfd_getfd(const struct step *s)
{
    return keep(s, (int)syscall(SYS_pidfd_getfd, slot(s, 0), (int)number(s, 1), 0u));
}

/* A child that cannot outlive its worker. */
static pid_t child_of_worker(void)
{
    pid_t worker = getpid(), child = fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        signal(SIGTERM, SIG_DFL);
        if (getppid() != worker && getppid() != 0) _exit(ESRCH);
    }
    return child;
}

/* A child that dumps core, so that the kernel starts what core_pattern names. The signal is sent by number: the C
 * library would take the thread's number from before the worker was cloned. */
long do_crash(const struct step *s)
{
    int status = 0;
    (void)s;
    pid_t child = child_of_worker();
    if (child == 0) {
        prctl(PR_SET_DUMPABLE, 1);
        signal(SIGABRT, SIG_DFL);
        kill((pid_t)syscall(SYS_getpid), SIGABRT);
        /* The first process of a process namespace ignores signals it sends itself; a fault it cannot ignore. */
        __builtin_trap();
    }
    return child < 0 || waitpid(child, &status, 0) < 0 ? -1 : WIFSIGNALED(status) && WCOREDUMP(status);
}

static long joined(const char *path)
{
    int procs = open(path, O_WRONLY | O_CLOEXEC);
    if (procs < 0) return -1;
    long result = write(procs, "0", 1) == 1 ? 0 : -1;
    close_quietly(procs);
    return result;
}

/* A child that joins a control group and ends, so that its last member is gone. */
long do_leave_cgroup(const struct step *s)
{
    int status = 0;
    pid_t child = child_of_worker();
    if (child == 0) _exit(joined(text(s, 0)) < 0 ? errno : 0);
    if (child < 0 || waitpid(child, &status, 0) < 0) return -1;
    if (!WIFEXITED(status)) return refuse(EINTR);
    return WEXITSTATUS(status) ? refuse(WEXITSTATUS(status)) : 0;
}

/* The worker itself joins; it ends with the attempt. */
long do_join_cgroup(const struct step *s) { return joined(text(s, 0)); }

long do_shm_read(const struct step *s)
{
    struct shmid_ds about;
    int id = shmget((key_t)number(s, 0), 0, 0);
    if (id < 0) return -1;
    void *at = shmat(id, NULL, SHM_RDONLY);
    if (at == (void *)-1) return -1;
    long want = capped(number(s, 1));
    if (shmctl(id, IPC_STAT, &about) == 0 && (long)about.shm_segsz < want) want = (long)about.shm_segsz;
    memcpy(out, at, (size_t)want);
    out_length = want;
    shmdt(at);
    return want;
}

/* User, group, and the effective, permitted and inheritable capabilities, as the kernel tells without /proc. */
long do_identity(const struct step *s)
{
    struct {
        unsigned version;
        int pid;
    } head = {0x20080522, 0};
    struct {
        unsigned effective, permitted, inheritable;
    } sets[2];
    (void)s;
    memset(sets, 0, sizeof sets);
    if (syscall(SYS_capget, &head, sets) < 0) return -1;
    return said("%u %u %u %u %08x%08x %08x%08x %08x%08x", getuid(), geteuid(), getgid(), getegid(),
                sets[1].effective, sets[0].effective, sets[1].permitted, sets[0].permitted, sets[1].inheritable,
                sets[0].inheritable);
}

long do_sleep_ms(const struct step *s)
{
    long wait = number(s, 0);
    if (wait < 0 || wait > 20000) return refuse(EINVAL);
    poll(NULL, 0, (int)wait);
    return 0;
}
