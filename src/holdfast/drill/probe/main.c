/*
 * The probe's modes, and the parent that speaks with the runner.
 *
 * usage: probe attempts SECONDS | hold SECONDS TOKEN | mark PATH TOKEN | acts | euid
 *
 * A copy of the probe that the kernel starts by a bare path (release_agent, modprobe, uevent_helper) cannot be given
 * arguments: where argv[0] is an absolute path that ends in "/helper", it marks argv[0].mark with the token that
 * stands in argv[0].token.
 */
#include "probe.h"

#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>

#define MOST_FILES 1024
#define STEP_MS 10000
#define ENGINE_MS 30000
#define UNDO_MS 20000

volatile sig_atomic_t stop_asked;

static unsigned char inherited[MOST_FILES];
static char buffer[MOST_LINE + 1];
static size_t buffered;

int was_inherited(int fd) { return fd >= 0 && fd < MOST_FILES && inherited[fd]; }

static void on_signal(int which)
{
    /* A second alarm means that even stopping hangs. */
    if (which == SIGALRM && stop_asked) _exit(3);
    stop_asked = 1;
    if (which == SIGALRM) alarm(2 * UNDO_MS / 1000);
}

static long now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void say(const char *line)
{
    size_t length = strlen(line);
    while (length) {
        ssize_t written = write(1, line, length);
        if (written < 0 && errno == EINTR && !stop_asked) continue;
        if (written <= 0) {
            stop_asked = 1;
            return;
        }
        line += written;
        length -= (size_t)written;
    }
}

enum heard { HEARD_LINE, HEARD_TOO_LONG, HEARD_NOT_TEXT, HEARD_END };

/* The next line of the runner, without its end. What is too long is dropped up to the line's end. */
static enum heard next_line(char *line)
{
    int too_long = 0;
    for (;;) {
        char *end = memchr(buffer, '\n', buffered);
        if (end) {
            size_t length = (size_t)(end - buffer);
            memcpy(line, buffer, length);
            line[length] = 0;
            buffered -= length + 1;
            memmove(buffer, end + 1, buffered);
            if (too_long) return HEARD_TOO_LONG;
            return strlen(line) == length ? HEARD_LINE : HEARD_NOT_TEXT;
        }
        if (buffered >= MOST_LINE) {
            too_long = 1;
            buffered = 0;
        }
        struct pollfd ready = {.fd = 0, .events = POLLIN};
        if (stop_asked) return HEARD_END;
        if (poll(&ready, 1, 1000) <= 0) continue;
        ssize_t more = read(0, buffer + buffered, MOST_LINE - buffered);
        if (more < 0 && (errno == EINTR || errno == EAGAIN)) continue;
        if (more <= 0) return HEARD_END;
        buffered += (size_t)more;
    }
}

/* Wait for a child without being held up by it; 1 where it ended in time. */
static int ended_within(pid_t child, int *status, long ms)
{
    long until = now_ms() + ms, pause = 1;
    for (;;) {
        pid_t found = waitpid(child, status, WNOHANG);
        if (found == child || (found < 0 && errno == ECHILD)) return 1;
        if (now_ms() >= until) return 0;
        poll(NULL, 0, (int)pause);
        if (pause < 20) pause *= 2;
    }
}

static void end_now(pid_t child)
{
    int status;
    kill(child, SIGKILL);
    ended_within(child, &status, 3000);
}

struct pipes {
    int ask[2], told[2];
};

static int begin(struct attempt *a, struct pipes *pipes)
{
    memset(a, 0, offsetof(struct attempt, kept));
    for (int i = 0; i < MOST_STEPS; i++) a->slots[i].fd = -1;
    if (pipe2(pipes->ask, O_CLOEXEC) < 0 || pipe2(pipes->told, O_CLOEXEC) < 0) return -1;
    pid_t parent = (pid_t)syscall(SYS_getpid);
    /* The C library's fork cannot share the descriptors. */
    pid_t worker = (pid_t)syscall(SYS_clone, (unsigned long)CLONE_FILES | SIGCHLD, 0ul, 0ul, 0ul, 0ul);
    if (worker == 0) _exit(work(a, pipes->ask[0], pipes->told[1], parent));
    /* Not by the worker, which shares this memory and is 0 to itself. */
    a->worker = worker;
    return worker < 0 ? -1 : 0;
}

/* Have the worker perform the line; where it cannot answer, answer for it. */
static void ask(struct attempt *a, const struct pipes *pipes)
{
    long limit = strncmp(a->line, "engine_start|", 13) == 0 || strncmp(a->line, "sleep_ms|", 9) == 0 ? ENGINE_MS : STEP_MS;
    long until = now_ms() + limit;
    int status = 0, error = ETIMEDOUT;
    char byte, signal_name[32] = "-";
    if (write(pipes->ask[1], "g", 1) == 1) {
        for (;;) {
            struct pollfd ready = {.fd = pipes->told[0], .events = POLLIN};
            if (poll(&ready, 1, 100) > 0) {
                if (read(pipes->told[0], &byte, 1) == 1) return say(a->answer);
                break;
            }
            if (waitpid(a->worker, &status, WNOHANG) == a->worker) {
                error = ESRCH;
                if (WIFSIGNALED(status)) {
                    char *to = signal_name;
                    char words[16];
                    snprintf(words, sizeof words, "signal %d", WTERMSIG(status));
                    for (const char *c = words; *c; c++) to += sprintf(to, "%02x", *c);
                }
                break;
            }
            if (now_ms() >= until || stop_asked) break;
        }
    }
    if (error == ETIMEDOUT) end_now(a->worker);
    a->over = 1;
    a->lost_errno = error;
    strcpy(a->lost_data, signal_name);
    sprintf(a->answer, "-2 %d %s\n", error, signal_name);
    say(a->answer);
}

static void note_inherited(void)
{
    for (int fd = 0; fd < MOST_FILES; fd++) inherited[fd] = fcntl(fd, F_GETFD) >= 0;
}

static void close_ours(void)
{
    for (int fd = 0; fd < MOST_FILES; fd++)
        if (!inherited[fd]) close(fd);
}

/* End the attempt: the worker takes back what it can, then a process that never left home takes back the rest. */
static void finish(struct attempt *a, struct pipes *pipes, int *undone, int *failed)
{
    int status;
    if (!a->over && (write(pipes->ask[1], "e", 1) != 1 || !ended_within(a->worker, &status, UNDO_MS)))
        end_now(a->worker);
    *undone = *failed = 0;
    for (int i = 0; i < a->undo_count; i++) *failed += !a->undos[i].done;
    if (*failed) {
        pid_t child = fork();
        if (child == 0) {
            signal(SIGTERM, SIG_IGN);
            signal(SIGALRM, SIG_DFL);
            attempt = a;
            undo_all(a, 0);
            _exit(0);
        }
        if (child > 0 && !ended_within(child, &status, UNDO_MS)) end_now(child);
    }
    *failed = 0;
    for (int i = 0; i < a->undo_count; i++) {
        *undone += a->undos[i].done;
        *failed += !a->undos[i].done;
    }
    close_ours();
}

static int is_name(const char *word)
{
    size_t length = strlen(word);
    for (const char *c = word; *c; c++)
        if (digit(*c) < 0 && !(*c >= 'a' && *c <= 'z') && !(*c >= 'A' && *c <= 'Z') && !strchr("._-", *c)) return 0;
    return length > 0 && length <= 64;
}

static int attempts(long seconds)
{
    struct sigaction stop = {.sa_handler = on_signal};
    struct pipes pipes;
    char line[MOST_LINE + 1], words[160];
    int running = 0, undone, failed;
    struct attempt *a = mmap(NULL, sizeof *a, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (a == MAP_FAILED || seconds <= 0 || seconds > 86400) return 64;
    sigaction(SIGTERM, &stop, NULL);
    sigaction(SIGINT, &stop, NULL);
    sigaction(SIGHUP, &stop, NULL);
    sigaction(SIGALRM, &stop, NULL);
    signal(SIGPIPE, SIG_IGN);
    note_inherited();
    alarm((unsigned)seconds);
    snprintf(words, sizeof words, "ready %d %u %u\n", getpid(), getuid(), geteuid());
    say(words);
    while (!stop_asked) {
        enum heard heard = next_line(line);
        if (heard == HEARD_END) break;
        if (heard == HEARD_TOO_LONG) {
            say("-1 7 -\n");
        } else if (heard == HEARD_NOT_TEXT) {
            say("-1 38 -\n");
        } else if (!running && strncmp(line, "begin ", 6) == 0 && is_name(line + 6)) {
            running = begin(a, &pipes) == 0;
            if (!running) close_ours();
            snprintf(words, sizeof words, "begun %s\n", line + 6);
            say(running ? words : "-2 11 -\n");
        } else if (running && strcmp(line, "end") == 0) {
            finish(a, &pipes, &undone, &failed);
            running = 0;
            snprintf(words, sizeof words, "ended %d %d\n", undone, failed);
            say(words);
        } else if (!running || strcmp(line, "end") == 0 || strncmp(line, "begin", 5) == 0) {
            say("-1 38 -\n");
        } else if (a->over) {
            snprintf(words, sizeof words, "-2 %d %s\n", a->lost_errno, a->lost_data);
            say(words);
        } else {
            strcpy(a->line, line);
            ask(a, &pipes);
        }
        /* As process 1 it inherits whatever an attempt left behind. */
        while (!running && waitpid(-1, NULL, WNOHANG) > 0) {}
    }
    if (running) finish(a, &pipes, &undone, &failed);
    return 0;
}

/* A process with a secret in its memory, for others to try to read. */
static int hold(long seconds, char *token)
{
    pid_t parent = getppid();
    char *secret = strdup(token);
    if (!secret || seconds <= 0 || seconds > 86400) return 64;
    memset(token, 0, strlen(token));
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) return 3;
    printf("%d %lx\n", getpid(), (unsigned long)(size_t)secret);
    fflush(stdout);
    for (long until = now_ms() + seconds * 1000; now_ms() < until && getppid() == parent;) poll(NULL, 0, 1000);
    return 0;
}

static int mark(const char *path, const char *token)
{
    char line[256];
    int length = snprintf(line, sizeof line, "%.200s %u\n", token, geteuid());
    close(0);
    int to = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (to < 0) return 3;
    return write(to, line, (size_t)length) == length && close(to) == 0 ? 0 : 3;
}

static int mark_as_helper(const char *self)
{
    char path[PATH_MAX], token[129];
    if (snprintf(path, sizeof path, "%s.token", self) >= (int)sizeof path) return 64;
    int from = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    ssize_t length = from < 0 ? -1 : read(from, token, sizeof token - 1);
    if (length <= 0) return 3;
    token[length] = 0;
    token[strcspn(token, "\n")] = 0;
    snprintf(path, sizeof path, "%s.mark", self);
    return mark(path, token);
}

int main(int count, char **words)
{
    const char *self = count > 0 ? words[0] : "", *mode = count > 1 ? words[1] : "";
    size_t length = strlen(self);
    if (strcmp(mode, "euid") == 0 && count == 2) {
        printf("%u\n", geteuid());
        return 0;
    }
    /* Started setuid or setgid, by whoever found a planted copy: it says who it is and nothing else. */
    if (getuid() != geteuid() || getgid() != getegid()) return 77;
    if (strcmp(mode, "mark") == 0 && count >= 4) return mark(words[2], words[3]);
    if (self[0] == '/' && length > 7 && strcmp(self + length - 7, "/helper") == 0) return mark_as_helper(self);
    if (strcmp(mode, "acts") == 0 && count == 2) return print_acts(), 0;
    if (strcmp(mode, "attempts") == 0 && count == 3) return attempts(strtol(words[2], NULL, 10));
    if (strcmp(mode, "hold") == 0 && count == 4) return hold(strtol(words[2], NULL, 10), words[3]);
    fputs("usage: probe attempts SECONDS | hold SECONDS TOKEN | mark PATH TOKEN | acts | euid\n", stderr);
    return 64;
}
