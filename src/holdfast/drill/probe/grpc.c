/*
 * One gRPC call at a time: HTTP/2 with prior knowledge (RFC 9113), headers that are literals (RFC 7541).
 *
 * The server is told that our table of headers has no room, so that it sends literals as well and nothing has to be
 * remembered between answers.
 */
#include "probe.h"

#include <poll.h>
#include <time.h>

#define MOST_FRAME 16384
#define MOST_FRAMES 1000
#define MOST_PATH 120

enum { DATA = 0, HEADERS = 1, RESET = 3, SETTINGS = 4, PING = 6, GOAWAY = 7, WINDOW = 8, CONTINUATION = 9 };
enum { END_STREAM = 1, ACK = 1, END_HEADERS = 4, PADDED = 8, PRIORITY = 32 };

struct call {
    int fd;
    unsigned stream;
    long until;
    int status;
    int ended;
    long length, block_length;
    unsigned char frame[MOST_FRAME];
    unsigned char block[MOST_FRAME];
    unsigned char message[MOST_BYTES + 5];
    char words[512];
};

/* Lengths in bits of the Huffman codes of the bytes 0 to 255 and of the end (RFC 7541, appendix B). Codes of one
 * length follow each other in the order of the bytes, so that the lengths say everything. */
static const unsigned char code_bits[257] = {
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28,
    28, 28, 28, 28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
    5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7,
    7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20, 22, 22, 23, 23, 21,
    23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24,
    21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, 30,
};

/* Decode a Huffman-coded string; -1 where it is none or too long. */
static long unhuffman(const unsigned char *from, long length, char *to, long most)
{
    unsigned code = 0, first = 0, bits = 0;
    int before = 0;
    long made = 0;
    for (long i = 0; i < 8 * length; i++) {
        code = code << 1 | (from[i / 8] >> (7 - i % 8) & 1u);
        first = first + (unsigned)before;
        first <<= 1;
        bits++;
        if (bits > 30) return -1;
        int count = 0, found = -1;
        for (int symbol = 0; symbol < 257; symbol++)
            if (code_bits[symbol] == bits && (unsigned)count++ == code - first) found = symbol;
        before = count;
        if (code < first || code - first >= (unsigned)count) continue;
        if (found == 256 || made + 1 >= most) return -1;
        to[made++] = (char)found;
        code = first = bits = 0;
        before = 0;
    }
    to[made] = 0;
    return made;
}

static long whole(const unsigned char **at, const unsigned char *end, int bits)
{
    long most = (1 << bits) - 1, value;
    if (*at == end) return -1;
    value = *(*at)++ & most;
    if (value < most) return value;
    for (int shift = 0; shift < 21 && *at < end; shift += 7) {
        unsigned char byte = *(*at)++;
        value += (long)(byte & 127) << shift;
        if (byte < 128) return value;
    }
    return -1;
}

static int string(const unsigned char **at, const unsigned char *end, char *to, long most)
{
    int coded = *at < end && **at & 128;
    long length = whole(at, end, 7);
    if (length < 0 || length > end - *at) return -1;
    const unsigned char *from = *at;
    *at += length;
    if (coded) return unhuffman(from, length, to, most) < 0 ? -1 : 0;
    if (length >= most) return -1;
    memcpy(to, from, (size_t)length);
    to[length] = 0;
    return 0;
}

static int read_headers(struct call *call)
{
    const unsigned char *at = call->block, *end = at + call->block_length;
    char name[512], value[4096];
    while (at < end) {
        int first = *at;
        if (first & 128 || (first & 0xe0) == 0x20) {
            if (whole(&at, end, first & 128 ? 7 : 5) < 0) return -1;
            continue;
        }
        long index = whole(&at, end, first & 64 ? 6 : 4);
        *name = 0;
        if (index < 0 || (index == 0 && string(&at, end, name, sizeof name) < 0)) return -1;
        if (string(&at, end, value, sizeof value) < 0) return -1;
        if (strcmp(name, "grpc-status") == 0) call->status = (int)strtol(value, NULL, 10);
        if (strcmp(name, "grpc-message") == 0) snprintf(call->words, sizeof call->words, "%s", value);
    }
    return 0;
}

static int send_frame(const struct call *call, int type, int flags, unsigned stream, const void *bytes, long length)
{
    unsigned char frame[9 + 8192] = {(unsigned char)(length >> 16), (unsigned char)(length >> 8), (unsigned char)length,
                                     (unsigned char)type, (unsigned char)flags, (unsigned char)(stream >> 24),
                                     (unsigned char)(stream >> 16), (unsigned char)(stream >> 8), (unsigned char)stream};
    if (length > 8192) return (int)refuse(E2BIG);
    if (length) memcpy(frame + 9, bytes, (size_t)length);
    return send(call->fd, frame, (size_t)length + 9, MSG_NOSIGNAL) == length + 9 ? 0 : -1;
}

/* A server that has answered may be gone by now; if it has not answered, the next read will say so. */
static int acknowledge(const struct call *call, int type, int flags, unsigned stream, const void *bytes, long length)
{
    send_frame(call, type, flags, stream, bytes, length);
    return 0;
}

static int receive_all(const struct call *call, unsigned char *to, long length)
{
    while (length) {
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        struct pollfd ready = {.fd = call->fd, .events = POLLIN};
        long left = call->until - (now.tv_sec * 1000 + now.tv_nsec / 1000000);
        if (left <= 0 || poll(&ready, 1, (int)left) != 1) return (int)refuse(ETIMEDOUT);
        ssize_t more = recv(call->fd, to, (size_t)length, 0);
        if (more == 0) return (int)refuse(ECONNRESET);
        if (more < 0) return -1;
        to += more;
        length -= more;
    }
    return 0;
}

static int take_headers(struct call *call, int type, int flags, long length)
{
    long from = 0, padding = 0;
    if (type == HEADERS) {
        call->block_length = 0;
        if (flags & PADDED) padding = call->frame[from++];
        if (flags & PRIORITY) from += 5;
        if (flags & END_STREAM) call->ended = 1;
    }
    long part = length - from - padding;
    if (part < 0 || call->block_length + part > MOST_FRAME) return (int)refuse(EPROTO);
    memcpy(call->block + call->block_length, call->frame + from, (size_t)part);
    call->block_length += part;
    if (flags & END_HEADERS) return read_headers(call) < 0 ? (int)refuse(EPROTO) : 0;
    call->ended = 0;
    return 0;
}

static int take_data(struct call *call, int flags, long length)
{
    unsigned char more[4] = {0, 0, (unsigned char)(length >> 8), (unsigned char)length};
    long from = 0, padding = 0;
    if (flags & PADDED) padding = call->frame[from++];
    long part = length - from - padding, room = (long)sizeof call->message - call->length;
    if (part < 0) return (int)refuse(EPROTO);
    if (part > room) part = room;
    memcpy(call->message + call->length, call->frame + from, (size_t)part);
    call->length += part;
    if (flags & END_STREAM) call->ended = 1;
    if (length) {
        acknowledge(call, WINDOW, 0, 0, more, 4);
        acknowledge(call, WINDOW, 0, call->stream, more, 4);
    }
    return 0;
}

static int take_frame(struct call *call)
{
    unsigned char head[9];
    if (receive_all(call, head, 9) < 0) return -1;
    long length = (long)head[0] << 16 | (long)head[1] << 8 | head[2];
    unsigned stream = (unsigned)(head[5] & 127) << 24 | (unsigned)head[6] << 16 | (unsigned)head[7] << 8 | head[8];
    int type = head[3], flags = head[4];
    if (length > MOST_FRAME) return (int)refuse(EPROTO);
    if (receive_all(call, call->frame, length) < 0) return -1;
    if (type == SETTINGS && !(flags & ACK)) return acknowledge(call, SETTINGS, ACK, 0, NULL, 0);
    if (type == PING && !(flags & ACK)) return acknowledge(call, PING, ACK, 0, call->frame, length);
    if (type == GOAWAY) return (int)refuse(ECONNRESET);
    if (stream != call->stream || stream == 0) return 0;
    if (type == RESET) return (int)refuse(ECONNABORTED);
    if (type == DATA) return take_data(call, flags, length);
    return type == HEADERS || type == CONTINUATION ? take_headers(call, type, flags, length) : 0;
}

static unsigned char *put(unsigned char *to, const char *word)
{
    size_t length = strlen(word);
    *to++ = (unsigned char)length;
    memcpy(to, word, length);
    return to + length;
}

static int ask(struct call *call, const char *path, const unsigned char *message, long length, int first)
{
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    static const unsigned char settings[] = {0, 1, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0};
    unsigned char block[512], body[5 + MOST_BYTES], *to = block;
    if (first && (send(call->fd, preface, sizeof preface - 1, MSG_NOSIGNAL) != sizeof preface - 1 ||
                  send_frame(call, SETTINGS, 0, 0, settings, sizeof settings) < 0))
        return -1;
    *to++ = 0x83; /* :method POST */
    *to++ = 0x86; /* :scheme http */
    *to++ = 0x04; /* :path */
    to = put(to, path);
    *to++ = 0x01; /* :authority */
    to = put(to, "localhost");
    *to++ = 0x0f; /* content-type, entry 31 */
    *to++ = 0x10;
    to = put(to, "application/grpc");
    *to++ = 0;
    to = put(put(to, "te"), "trailers");
    if (strncmp(path, "/containerd.", 12) == 0) {
        *to++ = 0;
        to = put(put(to, "containerd-namespace"), "default");
    }
    if (send_frame(call, HEADERS, END_HEADERS, call->stream, block, to - block) < 0) return -1;
    memcpy(body, (unsigned char[]){0, 0, 0, (unsigned char)(length >> 8), (unsigned char)length}, 5);
    memcpy(body + 5, message, (size_t)length);
    return send_frame(call, DATA, END_STREAM, call->stream, body, length + 5);
}

/* A call and its answer: the gRPC status, or -1 where there is none. */
static int called(struct call *call, struct slot *slot, const char *path, const unsigned char *message, long length)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    memset(call, 0, sizeof *call);
    call->fd = slot->fd;
    call->stream = 2 * slot->streams + 1;
    call->until = now.tv_sec * 1000 + now.tv_nsec / 1000000 + 6000;
    call->status = -1;
    if (slot->torn) return (int)refuse(ENOTCONN);
    int result = ask(call, path, message, length, slot->streams++ == 0);
    for (int i = 0; result == 0 && !call->ended; i++) result = i < MOST_FRAMES ? take_frame(call) : (int)refuse(EPROTO);
    if (result < 0) slot->torn = 1;
    if (result == 0 && call->status < 0) return (int)refuse(EPROTO);
    return result < 0 ? -1 : call->status;
}

static const char create[] = "/containerd.services.namespaces.v1.Namespaces/Create";

/* Methods by which a server tells something, and the one whose outcome can be taken back. */
static int is_allowed(const char *path)
{
    static const char *const questions[] = {"List", "Get", "Version", "Status", "Info", "Ping", "DiskUsage"};
    const char *method = strrchr(path, '/');
    if (path[0] != '/' || method == path) return 0;
    for (size_t i = 0; i < sizeof questions / sizeof *questions; i++)
        if (strncmp(method + 1, questions[i], strlen(questions[i])) == 0) return 1;
    return strcmp(path, create) == 0;
}

/* The name inside a CreateNamespaceRequest; only ours may be made, so that only ours is ever removed. */
static int name_of(const unsigned char *message, long length, char *name)
{
    if (length < 4 || message[0] != 0x0a || message[1] > length - 2 || message[2] != 0x0a || message[3] > length - 4)
        return (int)refuse(EINVAL);
    memcpy(name, message + 4, message[3]);
    name[message[3]] = 0;
    return strncmp(name, "holdfast", 8) == 0 ? 0 : (int)refuse(EACCES);
}

long do_grpc(const struct step *s)
{
    static struct call call;
    unsigned char message[MOST_BYTES];
    char name[MOST_NAME];
    struct undo *entry = NULL;
    const char *path = text(s, 1);
    long length = unhex(text(s, 2), message, sizeof message);
    if (length < 0 || strlen(path) > MOST_PATH) return refuse(EINVAL);
    if (!is_allowed(path)) return refuse(EACCES);
    if (strcmp(path, create) == 0) {
        if (name_of(message, length, name) < 0) return -1;
        entry = undo_later(UNDO_NAMESPACE, -1, name);
        if (!entry) return -1;
        entry->slot = (int)number(s, 0);
    }
    int status = called(&call, &attempt->slots[number(s, 0)], path, message, length);
    if (entry && status > 0) undo_never(entry);
    if (status < 0) return -1;
    if (call.length > 5) {
        out_length = call.length - 5;
        memcpy(out, call.message + 5, (size_t)out_length);
    } else {
        said("%s", call.words);
    }
    return status;
}

/* Delete a namespace over a connection of its own: NotFound (5) is as good as done. */
int grpc_delete_namespace(const struct slot *at, const char *name)
{
    static struct call call;
    unsigned char message[2 + MOST_NAME] = {0x0a, (unsigned char)strlen(name)};
    struct slot anew = {.fd = connected_anew(at)};
    if (anew.fd < 0) return -1;
    memcpy(message + 2, name, strlen(name));
    int status = called(&call, &anew, "/containerd.services.namespaces.v1.Namespaces/Delete", message,
                        2 + (long)strlen(name));
    close_quietly(anew.fd);
    return status == 0 || status == 5 ? 0 : -1;
}
