/* The worker of an attempt: reads one step at a time, performs the act, and answers. */
#include "probe.h"

#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <sys/prctl.h>

struct attempt *attempt;
unsigned char out[MOST_BYTES];
long out_length;

const char *text(const struct step *s, int i) { return s->argument[i].bytes; }
long text_length(const struct step *s, int i) { return s->argument[i].length; }
long number(const struct step *s, int i) { return strtol(text(s, i), NULL, 0); }
long octal(const struct step *s, int i) { return strtol(text(s, i), NULL, 8); }
unsigned long hexadecimal(const struct step *s, int i) { return strtoul(text(s, i), NULL, 16); }
int slot(const struct step *s, int i) { return attempt->slots[number(s, i)].fd; }
long capped(long wanted) { return wanted < 0 ? 0 : wanted > MOST_BYTES ? MOST_BYTES : wanted; }

long keep(const struct step *s, int fd)
{
    attempt->slots[s->index].fd = fd;
    return fd;
}

long refuse(int error)
{
    errno = error;
    return -1;
}

void close_quietly(int fd)
{
    int failed = errno;
    if (fd >= 0) close(fd);
    errno = failed;
}

/* Say something in words; the result is 0, as of a call that succeeded. */
long said(const char *format, ...)
{
    va_list rest;
    va_start(rest, format);
    int length = vsnprintf((char *)out, sizeof out, format, rest);
    va_end(rest);
    out_length = length < 0 ? 0 : length < (int)sizeof out ? length : (int)sizeof out - 1;
    return 0;
}

int digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/* Bytes written in hex, or -1 where the text is not hex or too long. */
long unhex(const char *from, unsigned char *to, long most)
{
    long length = 0;
    for (; *from; from += 2) {
        if (digit(from[0]) < 0 || digit(from[1]) < 0 || length == most) return -1;
        to[length++] = (unsigned char)(digit(from[0]) * 16 + digit(from[1]));
    }
    return length;
}

/* Replace %XX in place and return the length, since the bytes may hold a zero; -1 where % is followed by no hex. */
static long plain(char *from)
{
    char *start = from, *to = from;
    while (*from) {
        if (*from != '%') {
            *to++ = *from++;
            continue;
        }
        if (digit(from[1]) < 0 || digit(from[2]) < 0) return -1;
        *to++ = (char)(digit(from[1]) * 16 + digit(from[2]));
        from += 3;
    }
    *to = 0;
    return to - start;
}

static int is_number(const char *word, int base)
{
    char *end;
    errno = 0;
    if (!*word || *word == ' ' || *word == '+') return 0;
    if (*word == '-') strtol(word, &end, base);
    else strtoul(word, &end, base);
    return !*end && !errno;
}

/* The errno of an argument that is not what it should be, before the kernel is asked anything; 0 where it is fine. */
static int wrong(const struct text *argument, char kind)
{
    if (kind != 'b' && (long)strlen(argument->bytes) != argument->length) return EINVAL;
    if (kind == 'n') return is_number(argument->bytes, 0) ? 0 : EINVAL;
    if (kind == 'o') return is_number(argument->bytes, 8) ? 0 : EINVAL;
    if (kind == 'x') return is_number(argument->bytes, 16) ? 0 : EINVAL;
    if (kind != 'f') return 0;
    if (!is_number(argument->bytes, 10)) return EINVAL;
    long at = strtol(argument->bytes, NULL, 10);
    return at >= 0 && at < MOST_STEPS && attempt->slots[at].fd >= 0 ? 0 : EBADF;
}

static void answer(struct attempt *a, long result, int failed)
{
    int at = sprintf(a->answer, "%ld %d ", result, failed);
    if (out_length <= 0) a->answer[at++] = '-';
    for (long i = 0; i < out_length; i++) at += sprintf(a->answer + at, "%02x", out[i]);
    a->answer[at++] = '\n';
    a->answer[at] = 0;
}

/* Perform the step that stands in the attempt's line, and leave the answer there. */
void perform(struct attempt *a)
{
    struct step step = {.index = a->steps};
    char *rest = a->line;
    out_length = 0;
    if (a->steps == MOST_STEPS) return answer(a, -1, E2BIG);
    a->steps++;
    const char *name = strsep(&rest, "|");
    const struct act *act = NULL;
    for (size_t i = 0; i < acts_count; i++)
        if (strcmp(acts[i].name, name) == 0) act = &acts[i];
    while (rest && step.count < MOST_ARGUMENTS) {
        struct text *argument = &step.argument[step.count++];
        argument->bytes = strsep(&rest, "|");
        argument->length = plain(argument->bytes);
        if (argument->length < 0) act = NULL;
    }
    if (!act || rest || step.count != (int)strlen(act->kinds)) return answer(a, -1, ENOSYS);
    for (int i = 0; i < step.count; i++) {
        int error = wrong(&step.argument[i], act->kinds[i]);
        if (error) return answer(a, -1, error);
    }
    errno = 0;
    long result = act->run(&step);
    int failed = result < 0 ? errno : 0;
    answer(a, result, failed);
}

static void ask_to_stop(int unused)
{
    (void)unused;
    stop_asked = 1;
}

/*
 * The worker's life: one byte asks for a step, another says that it is done. It shares the descriptors of its parent,
 * so it never sees the end of the pipe; it looks for its parent instead.
 */
int work(struct attempt *a, int from, int to, int parent)
{
    struct sigaction asked = {.sa_handler = ask_to_stop};
    attempt = a;
    sigaction(SIGTERM, &asked, NULL);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    while (!stop_asked && getppid() == parent) {
        struct pollfd ready = {.fd = from, .events = POLLIN};
        char byte;
        if (poll(&ready, 1, 1000) <= 0) continue;
        if (read(from, &byte, 1) != 1 || byte == 'e') break;
        perform(a);
        if (write(to, "d", 1) != 1) break;
    }
    undo_all(a, 1);
    return 0;
}
