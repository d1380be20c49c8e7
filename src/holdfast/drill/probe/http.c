/* HTTP/1.1 over an open connection, as far as an engine needs it, with a bound on everything that it may answer. */
#include "probe.h"

#include <poll.h>
#include <sys/random.h>
#include <time.h>

#define MOST_BODY (4l << 20)
#define MOST_HEADERS 100
/* More than the megabyte up to which an engine shows a request to its authorization plug-ins. */
#define LARGE_BODY ((1l << 20) + 64)

struct stream {
    int fd;
    long until;
    size_t at, have;
    char bytes[2048];
};

struct reply {
    int status;
    int torn;
    long length;
    char line[256];
    char body[MOST_BYTES + 1];
};

static long now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int next_byte(struct stream *from)
{
    if (from->at == from->have) {
        struct pollfd ready = {.fd = from->fd, .events = POLLIN};
        long left = from->until - now_ms();
        if (left <= 0 || poll(&ready, 1, (int)left) != 1) return (int)refuse(ETIMEDOUT);
        ssize_t more = recv(from->fd, from->bytes, sizeof from->bytes, 0);
        if (more == 0) return (int)refuse(ECONNRESET);
        if (more < 0) return -1;
        from->at = 0;
        from->have = (size_t)more;
    }
    return (unsigned char)from->bytes[from->at++];
}

static int next_line(struct stream *from, char *line, size_t most)
{
    size_t length = 0;
    for (;;) {
        int byte = next_byte(from);
        if (byte < 0) return -1;
        if (byte == '\n') break;
        if (length + 1 == most) return (int)refuse(EPROTO);
        line[length++] = (char)byte;
    }
    if (length && line[length - 1] == '\r') length--;
    line[length] = 0;
    return 0;
}

static int body_part(struct stream *from, struct reply *reply, long length, long *total)
{
    *total += length;
    if (length < 0 || *total > MOST_BODY) return (int)refuse(EPROTO);
    while (length--) {
        int byte = next_byte(from);
        if (byte < 0) return -1;
        if (reply->length < MOST_BYTES) reply->body[reply->length++] = (char)byte;
    }
    return 0;
}

static int chunks(struct stream *from, struct reply *reply)
{
    char line[256];
    long total = 0;
    for (;;) {
        if (next_line(from, line, sizeof line) < 0) return -1;
        if (digit(*line) < 0) return (int)refuse(EPROTO);
        long length = strtol(line, NULL, 16);
        if (length == 0) break;
        if (body_part(from, reply, length, &total) < 0 || next_line(from, line, sizeof line) < 0) return -1;
    }
    for (int i = 0; i < MOST_HEADERS; i++) {
        if (next_line(from, line, sizeof line) < 0) return -1;
        if (!*line) return 0;
    }
    return (int)refuse(EPROTO);
}

static int head(struct stream *from, struct reply *reply, long *length, int *chunked)
{
    char line[4096];
    *length = -1;
    *chunked = 0;
    if (next_line(from, reply->line, sizeof reply->line) < 0) return -1;
    if (strncmp(reply->line, "HTTP/1.", 7) != 0 || strlen(reply->line) < 12) return (int)refuse(EPROTO);
    reply->status = (int)strtol(reply->line + 9, NULL, 10);
    for (int i = 0; i < MOST_HEADERS; i++) {
        if (next_line(from, line, sizeof line) < 0) return -1;
        if (!*line) return 0;
        if (strncasecmp(line, "content-length:", 15) == 0) *length = strtol(line + 15, NULL, 10);
        if (strncasecmp(line, "transfer-encoding:", 18) == 0 && strstr(line, "chunked")) *chunked = 1;
        if (strncasecmp(line, "connection:", 11) == 0 && strstr(line, "close")) reply->torn = 1;
    }
    return (int)refuse(EPROTO);
}

static int send_all(int fd, const char *bytes, size_t length)
{
    while (length) {
        ssize_t sent = send(fd, bytes, length, MSG_NOSIGNAL);
        if (sent <= 0) return -1;
        bytes += sent;
        length -= (size_t)sent;
    }
    return 0;
}

/* The answer to a request; what is longer than the reply's body is read and dropped. */
static int answered(int fd, const char *method, struct reply *reply, long ms)
{
    struct stream from = {.fd = fd, .until = now_ms() + ms};
    long length, total = 0;
    int chunked;
    memset(reply, 0, sizeof *reply);
    do {
        if (head(&from, reply, &length, &chunked) < 0) goto torn;
    } while (reply->status / 100 == 1);
    if (strcmp(method, "HEAD") == 0 || reply->status == 204 || reply->status == 304) {
        length = 0;
    } else if (chunked) {
        if (chunks(&from, reply) < 0) goto torn;
        length = 0;
    }
    if (length >= 0 && body_part(&from, reply, length, &total) < 0) goto torn;
    if (length < 0) {
        while (total < MOST_BODY && body_part(&from, reply, 1, &total) == 0) {}
        reply->torn = 1;
    }
    reply->body[reply->length] = 0;
    return 0;
torn:
    reply->torn = 1;
    return -1;
}

static int request_with(int fd, const char *header, const char *method, const char *path, const char *body,
                        long body_length, struct reply *reply, long ms)
{
    char first[2048];
    int size = snprintf(first, sizeof first,
                        "%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive\r\nContent-Type: application/json\r\n"
                        "%sContent-Length: %ld\r\n\r\n", method, path, header, body_length);
    reply->torn = 1;
    if (size >= (int)sizeof first) return (int)refuse(ENAMETOOLONG);
    if (send_all(fd, first, (size_t)size) < 0 || send_all(fd, body, (size_t)body_length) < 0) return -1;
    return answered(fd, method, reply, ms);
}

static int request(int fd, const char *method, const char *path, const char *body, long body_length,
                   struct reply *reply, long ms)
{
    return request_with(fd, "", method, path, body, body_length, reply, ms);
}

static int is_path(const char *path)
{
    for (const char *c = path; *c; c++)
        if (*c <= ' ' || *c == 0x7f) return 0;
    return *path == '/';
}

/* Questions may be asked; POST only where the answer is all that comes of it. */
static int is_a_question(const char *method, const char *path)
{
    if (!strcmp(method, "GET") || !strcmp(method, "HEAD") || !strcmp(method, "OPTIONS")) return 1;
    return strcmp(method, "POST") == 0 && (strstr(path, "?dryRun=All") || strstr(path, "&dryRun=All") ||
                                           strstr(path, "/selfsubject"));
}

static long told(const struct reply *reply)
{
    said("%s\n", reply->line);
    long length = reply->length < MOST_BYTES - out_length ? reply->length : MOST_BYTES - out_length;
    memcpy(out + out_length, reply->body, (size_t)length);
    out_length += length;
    return reply->status;
}

long do_http(const struct step *s)
{
    static struct reply reply;
    if (!is_path(text(s, 2))) return refuse(EINVAL);
    if (!is_a_question(text(s, 1), text(s, 2))) return refuse(EACCES);
    struct slot *slot = &attempt->slots[number(s, 0)];
    int result = request(slot->fd, text(s, 1), text(s, 2), text(s, 3), text_length(s, 3), &reply, 8000);
    slot->torn |= reply.torn;
    return result < 0 ? -1 : told(&reply);
}

/* A cloud's metadata service, asked as IMDSv2 wants it: only for a role of the drill's own, which no cloud has. */
long do_metadata(const struct step *s)
{
    static const char below[] = "/latest/meta-data/";
    static struct reply reply;
    char header[256];
    struct slot *slot = &attempt->slots[number(s, 0)];
    const char *path = text(s, 1), *last = strrchr(path, '/');
    if (!is_path(path)) return refuse(EINVAL);
    if (strncmp(path, below, sizeof below - 1) || strncmp(last, "/holdfast-", 10)) return refuse(EACCES);
    int result = request_with(slot->fd, "X-aws-ec2-metadata-token-ttl-seconds: 60\r\n", "PUT", "/latest/api/token", "",
                              0, &reply, 2000);
    slot->torn |= reply.torn;
    if (result < 0) return -1;
    if (reply.status != 200) return told(&reply);
    if (!reply.length || reply.length > 128) return refuse(EPROTO);
    for (const char *c = reply.body; c < reply.body + reply.length; c++)
        if (*c <= ' ' || *c >= 0x7f) return refuse(EPROTO);
    snprintf(header, sizeof header, "X-aws-ec2-metadata-token: %s\r\n", reply.body);
    result = request_with(slot->fd, header, "GET", path, "", 0, &reply, 2000);
    slot->torn |= reply.torn;
    return result < 0 ? -1 : told(&reply);
}

static long refused(const struct reply *reply)
{
    said("%s %s", reply->line, reply->body);
    return refuse(reply->status == 403 || reply->status == 401 ? EACCES : reply->status == 404 ? ENOENT : EPROTO);
}

/* The container gets a name before it is made, so that it can be taken back whatever happens meanwhile. */
long do_engine_start(const struct step *s)
{
    static struct reply reply;
    unsigned char random[8];
    char name[MOST_NAME] = "holdfast-drill-", path[512], id[65] = "";
    int at = (int)number(s, 0);
    struct slot *slot = &attempt->slots[at];
    if (getrandom(random, sizeof random, 0) != sizeof random) return -1;
    for (size_t i = 0; i < sizeof random; i++) sprintf(name + strlen(name), "%02x", random[i]);
    struct undo *entry = undo_later(UNDO_CONTAINER, -1, name);
    if (!entry) return -1;
    entry->slot = at;

    snprintf(path, sizeof path, "/containers/create?name=%s", name);
    int result = request(slot->fd, "POST", path, text(s, 1), text_length(s, 1), &reply, 8000);
    slot->torn |= reply.torn;
    if (result < 0) return -1;
    if (reply.status != 201) {
        undo_never(entry);
        return refused(&reply);
    }
    const char *found = strstr(reply.body, "\"Id\":");
    found = found ? strchr(found + 5, '"') : NULL;
    for (int i = 0; found && i < 64 && digit(found[1 + i]) >= 0; i++) id[i] = found[1 + i];
    if (!*id) return refuse(EPROTO);

    snprintf(path, sizeof path, "/containers/%s/start", id);
    result = request(slot->fd, "POST", path, "", 0, &reply, 8000);
    slot->torn |= reply.torn;
    if (result < 0) return -1;
    if (reply.status / 100 != 2) return refused(&reply);

    snprintf(path, sizeof path, "/containers/%s/wait", id);
    result = request(slot->fd, "POST", path, "", 0, &reply, 10000);
    slot->torn |= reply.torn;
    int failed = errno;
    said("%s", id);
    if (result < 0) return refuse(failed);
    if (reply.status != 200) return refused(&reply);
    found = strstr(reply.body, "\"StatusCode\":");
    return found ? strtol(found + 13, NULL, 10) : refuse(EPROTO);
}

/* Names of volumes that nobody else has: holdfast- and at least 16 small letters and digits. */
static int is_own_volume(const char *name)
{
    size_t length = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-");
    return strncmp(name, "holdfast-", 9) == 0 && !name[length] && length >= 9 + 16 && length < 100;
}

static int send_volume(int fd, const char *name, const char *form)
{
    char first[512], body[256], spaces[4096];
    int large = !strcmp(form, "large"), unsized = !strcmp(form, "unsized");
    int size = snprintf(body, sizeof body, "{\"Name\":\"%s\"", name);
    long rest = large ? LARGE_BODY - size - 1 : 0;
    char length[64];
    snprintf(length, sizeof length, unsized ? "Transfer-Encoding: chunked" : "Content-Length: %ld", size + rest + 1);
    int head_size = snprintf(first, sizeof first,
                             "POST /volumes/create HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive\r\n"
                             "Content-Type: application/json\r\n%s\r\n\r\n", length);
    if (unsized) head_size += snprintf(first + head_size, sizeof first - (size_t)head_size, "%x\r\n", size + 1);
    if (send_all(fd, first, (size_t)head_size) < 0 || send_all(fd, body, (size_t)size) < 0) return -1;
    memset(spaces, ' ', sizeof spaces);
    for (; rest > 0; rest -= (long)sizeof spaces)
        if (send_all(fd, spaces, rest < (long)sizeof spaces ? (size_t)rest : sizeof spaces) < 0) return -1;
    return unsized ? send_all(fd, "}\r\n0\r\n\r\n", 8) : send_all(fd, "}", 1);
}

/* An empty volume of the engine's own kind, asked for in a form that a guard before the engine may not get to read. */
long do_make_volume(const struct step *s)
{
    static struct reply reply;
    int at = (int)number(s, 0);
    struct slot *slot = &attempt->slots[at];
    const char *name = text(s, 1), *form = text(s, 2);
    if (!is_own_volume(name)) return refuse(EACCES);
    if (strcmp(form, "plain") && strcmp(form, "large") && strcmp(form, "unsized")) return refuse(EINVAL);
    struct undo *entry = undo_later(UNDO_VOLUME, -1, name);
    if (!entry) return -1;
    entry->slot = at;
    /* Whoever refuses a large request may answer before all of it was sent. */
    int sent = send_volume(slot->fd, name, form), failed = errno;
    int result = answered(slot->fd, "POST", &reply, 8000);
    slot->torn |= reply.torn | (sent < 0);
    if (result < 0) return sent < 0 ? refuse(failed) : -1;
    if (reply.status != 201) {
        undo_never(entry);
        return refused(&reply);
    }
    said("%s", reply.line);
    return 0;
}

/* Take away what an engine made, over a new connection where one can be had: the old one may be within an answer. */
int http_delete(const struct slot *at, const char *kind, const char *id)
{
    static struct reply reply;
    char path[512];
    int anew = connected_anew(at);
    if (anew < 0 && (at->fd < 0 || at->torn)) return -1;
    snprintf(path, sizeof path, "/%s/%s?force=1&v=1", kind, id);
    int result = request(anew < 0 ? at->fd : anew, "DELETE", path, "", 0, &reply, 10000);
    close_quietly(anew);
    return result == 0 && (reply.status / 100 == 2 || reply.status == 404) ? 0 : -1;
}
