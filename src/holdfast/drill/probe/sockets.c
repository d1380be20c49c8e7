/* Connections. Only a path, an abstract name, or the literal address of this machine or its neighbours is ever called. */
#include "probe.h"

#include <arpa/inet.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/ethernet.h>
#include <netinet/in.h>
#include <netpacket/packet.h>
#include <poll.h>
#include <sys/un.h>

static void limit(int fd, int seconds)
{
    struct timeval wait = {.tv_sec = seconds};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
}

/* A stream to an address, waiting two seconds at most; -1 with the errno of the connection. */
static int connected(const struct sockaddr_storage *to, socklen_t length)
{
    int fd = socket(to->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return -1;
    int result = connect(fd, (const struct sockaddr *)to, length), failed = errno;
    if (result < 0 && failed == EINPROGRESS) {
        struct pollfd ready = {.fd = fd, .events = POLLOUT};
        socklen_t size = sizeof failed;
        failed = ETIMEDOUT;
        if (poll(&ready, 1, 2000) == 1) getsockopt(fd, SOL_SOCKET, SO_ERROR, &failed, &size);
        result = failed ? -1 : 0;
    }
    if (result < 0) {
        close(fd);
        return (int)refuse(failed);
    }
    fcntl(fd, F_SETFL, 0);
    limit(fd, 2);
    return fd;
}

int connected_anew(const struct slot *to) { return to->to_length ? connected(&to->to, to->to_length) : -1; }

static long called(const struct step *s, const struct sockaddr_storage *to, socklen_t length)
{
    int fd = connected(to, length);
    struct slot *slot = &attempt->slots[s->index];
    slot->streams = 0;
    slot->torn = 0;
    if (fd >= 0) {
        slot->to = *to;
        slot->to_length = length;
    }
    return keep(s, fd);
}

long do_connect(const struct step *s)
{
    struct sockaddr_storage to;
    struct sockaddr_un *local = (struct sockaddr_un *)&to;
    const char *path = text(s, 0);
    size_t length = strlen(path);
    memset(&to, 0, sizeof to);
    local->sun_family = AF_UNIX;
    if (length == 0) return refuse(ENOENT);
    if (length >= sizeof local->sun_path) return refuse(ENAMETOOLONG);
    memcpy(local->sun_path, path, length);
    if (path[0] == '@') local->sun_path[0] = 0;
    return called(s, &to, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + (path[0] != '@')));
}

/* This machine, private networks (RFC 1918), and the metadata address of clouds; nothing that is out in the world. */
static int is_near(uint32_t address)
{
    return address >> 24 == 127 || address >> 24 == 10 || address >> 20 == (172 << 4 | 1) ||
           address >> 16 == (192 << 8 | 168) || address == 0xa9fea9fe;
}

long do_connect_tcp(const struct step *s)
{
    static const unsigned char metadata[16] = {0xfd, 0x00, 0x0e, 0xc2, [14] = 0x02, [15] = 0x54};
    struct sockaddr_storage to;
    struct sockaddr_in *four = (struct sockaddr_in *)&to;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)&to;
    long port = number(s, 1);
    memset(&to, 0, sizeof to);
    if (port < 1 || port > 65535) return refuse(EINVAL);
    if (inet_pton(AF_INET, text(s, 0), &four->sin_addr) == 1) {
        if (!is_near(ntohl(four->sin_addr.s_addr))) return refuse(EACCES);
        four->sin_family = AF_INET;
        four->sin_port = htons((uint16_t)port);
        return called(s, &to, sizeof *four);
    }
    if (inet_pton(AF_INET6, text(s, 0), &six->sin6_addr) != 1) return refuse(EACCES);
    const unsigned char *bytes = six->sin6_addr.s6_addr;
    uint32_t mapped = (uint32_t)bytes[12] << 24 | (uint32_t)bytes[13] << 16 | (uint32_t)bytes[14] << 8 | bytes[15];
    if (!IN6_IS_ADDR_LOOPBACK(&six->sin6_addr) && memcmp(bytes, metadata, 16) != 0 &&
        !(IN6_IS_ADDR_V4MAPPED(&six->sin6_addr) && is_near(mapped)))
        return refuse(EACCES);
    six->sin6_family = AF_INET6;
    six->sin6_port = htons((uint16_t)port);
    return called(s, &to, sizeof *six);
}

long do_socket(const struct step *s)
{
    return keep(s, socket((int)number(s, 0), (int)number(s, 1) | SOCK_CLOEXEC, (int)number(s, 2)));
}

long do_listen_packet(const struct step *s)
{
    struct sockaddr_ll at = {
        .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = (int)number(s, 0)};
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    if (fd < 0) return -1;
    if (bind(fd, (struct sockaddr *)&at, sizeof at) < 0) {
        close_quietly(fd);
        return -1;
    }
    return keep(s, fd);
}

long do_send(const struct step *s) { return send(slot(s, 0), text(s, 1), (size_t)text_length(s, 1), MSG_NOSIGNAL); }

long do_receive(const struct step *s)
{
    struct pollfd ready = {.fd = slot(s, 0), .events = POLLIN};
    int count = poll(&ready, 1, 2000);
    if (count == 0) return refuse(ETIMEDOUT);
    if (count < 0) return -1;
    out_length = recv(slot(s, 0), out, (size_t)capped(number(s, 1)), MSG_DONTWAIT);
    return out_length;
}

/* Who listens at the other end of a unix socket: PID UID GID as they look from here. */
long do_peer(const struct step *s)
{
    struct ucred peer;
    socklen_t length = sizeof peer;
    if (getsockopt(slot(s, 0), SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0) return -1;
    return said("%d %u %u", peer.pid, peer.uid, peer.gid);
}

/* Delete a route that is not there (192.0.2.0/24 is for examples): ESRCH says that one that is there would go. */
long do_delete_absent_route(const struct step *s)
{
    struct {
        struct nlmsghdr head;
        struct rtmsg route;
        struct rtattr attribute;
        unsigned char address[4];
    } ask = {
        .head = {.nlmsg_len = sizeof ask, .nlmsg_type = RTM_DELROUTE, .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK},
        .route = {.rtm_family = AF_INET, .rtm_dst_len = 24, .rtm_table = 253, .rtm_scope = RT_SCOPE_NOWHERE},
        .attribute = {.rta_len = RTA_LENGTH(4), .rta_type = RTA_DST},
        .address = {192, 0, 2, 0},
    };
    union {
        struct {
            struct nlmsghdr head;
            struct nlmsgerr error;
        } message;
        char room[1024];
    } reply;
    (void)s;
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (fd < 0) return -1;
    limit(fd, 2);
    ssize_t length = send(fd, &ask, sizeof ask, 0);
    if (length > 0) length = recv(fd, &reply, sizeof reply, 0);
    close_quietly(fd);
    if (length < 0) return -1;
    if (length < (ssize_t)sizeof reply.message || reply.message.head.nlmsg_type != NLMSG_ERROR) return refuse(EPROTO);
    return reply.message.error.error ? refuse(-reply.message.error.error) : 0;
}
