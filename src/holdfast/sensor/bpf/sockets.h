/* Sockets: the family, both ends, and for unix sockets the file that the other end was bound to. */
#ifndef HOLDFAST_SOCKETS_H
#define HOLDFAST_SOCKETS_H

#include "path.h"

#define AF_UNIX 1
#define AF_INET 2
#define AF_INET6 10
#define AF_NETLINK 16
#define S_IFMT 0170000
#define S_IFSOCK 0140000
#define TCP_LISTEN 10

inline_ u16 swapped(u16 port)
{
    return (u16)(port << 8 | port >> 8);
}

inline_ struct sock *sock_of(struct file *file)
{
    struct inode *inode = NULL;
    struct socket *socket = NULL;
    struct sock *sk = NULL;
    u16 mode = 0;
    fetch(inode, file->f_inode);
    if (!inode)
        return NULL;
    fetch(mode, inode->i_mode);
    if ((mode & S_IFMT) != S_IFSOCK)
        return NULL;
    fetch(socket, file->private_data);
    if (socket)
        fetch(sk, socket->sk);
    return sk;
}

/* Describe a socket. With `peer`, the path of the object is that of the file the other end was bound to. */
inline_ u32 describe_socket(struct scratch *s, struct task_struct *task, struct sock *sk, struct object *to, u32 at,
                            u32 peer)
{
    u32 address = 0;
    u16 port = 0;
    unsigned char state = 0;
    to->flags |= OBJECT_SOCKET;
    fetch(to->family, sk->__sk_common.skc_family);
    fetch(to->type, sk->sk_type);
    fetch(to->protocol, sk->sk_protocol);
    fetch(state, sk->__sk_common.skc_state);
    if (state == TCP_LISTEN)
        to->flags |= OBJECT_LISTENS;
    if (to->family == AF_INET || to->family == AF_INET6) {
        fetch(to->local_port, sk->__sk_common.skc_num);
        fetch(port, sk->__sk_common.skc_dport);
        to->remote_port = swapped(port);
    }
    if (to->family == AF_INET) {
        fetch(address, sk->__sk_common.skc_rcv_saddr);
        *(u32 *)to->local = address;
        fetch(address, sk->__sk_common.skc_daddr);
        *(u32 *)to->remote = address;
    } else if (to->family == AF_INET6) {
        read_kernel(to->local, 16, &sk->__sk_common.skc_v6_rcv_saddr);
        read_kernel(to->remote, 16, &sk->__sk_common.skc_v6_daddr);
    } else if (to->family == AF_UNIX && peer) {
        struct unix_sock *own = (void *)sk, *other = NULL;
        struct dentry *dentry = NULL;
        struct vfsmount *mnt = NULL;
        struct inode *inode = NULL;
        struct pid *who = NULL;
        s32 number = 0;
        fetch(other, own->peer);
        if (!other)
            return at;
        to->flags |= OBJECT_PEER;
        fetch(who, sk->sk_peer_pid);
        if (who) {
            fetch(number, who->numbers[0].nr);
            to->peer_pid = number;
        }
        fetch(dentry, other->path.dentry);
        fetch(mnt, other->path.mnt);
        if (!dentry || !mnt)
            return at;
        fetch(inode, dentry->d_inode);
        at = describe_path(s, SCRATCH_CALL, task, mnt, dentry, inode, to, at, 1);
    }
    return at;
}

#endif
