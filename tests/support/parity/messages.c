/* Messages, control data, Unix and IPv6 sockets, scattered buffers, pipes. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>
#include <linux/netlink.h>

int main(void)
{
    int pair[2], ends[2];
    char byte[8] = "", text[32];
    socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
    pipe(ends);
    pipe2(ends, O_CLOEXEC | O_NONBLOCK);
    read(ends[0], byte, 1);

    union { char room[CMSG_SPACE(2 * sizeof(int))]; struct cmsghdr align; } control;
    struct iovec part = {"fd", 2};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control.room, .msg_controllen = sizeof control.room};
    memset(&control, 0, sizeof control);
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(2 * sizeof(int));
    memcpy(CMSG_DATA(head), ends, 2 * sizeof(int));
    sendmsg(pair[0], &message, MSG_NOSIGNAL);

    struct iovec into = {byte, sizeof byte};
    struct msghdr received = {.msg_iov = &into, .msg_iovlen = 1, .msg_control = control.room, .msg_controllen = sizeof control.room};
    recvmsg(pair[1], &received, MSG_CMSG_CLOEXEC);
    recvmsg(pair[1], &received, MSG_DONTWAIT);

    struct sockaddr_un name = {.sun_family = AF_UNIX};
    strcpy(name.sun_path, "/nonexistent/socket");
    int local = socket(AF_UNIX, SOCK_STREAM, 0);
    connect(local, (struct sockaddr *)&name, sizeof name);
    memcpy(name.sun_path, "\0hidden", 7);
    connect(local, (struct sockaddr *)&name, offsetof(struct sockaddr_un, sun_path) + 7);
    bind(local, (struct sockaddr *)&name, sizeof(sa_family_t));

    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    socklen_t size = sizeof six;
    int udp = socket(AF_INET6, SOCK_DGRAM, 0);
    bind(udp, (struct sockaddr *)&six, sizeof six);
    getsockname(udp, (struct sockaddr *)&six, &size);
    int on = 0;
    setsockopt(udp, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    sendto(udp, "datagram", 8, 0, (struct sockaddr *)&six, size);
    sendto(udp, "second", 6, MSG_DONTWAIT, (struct sockaddr *)&six, size);
    size = sizeof six;
    recvfrom(udp, text, sizeof text, 0, (struct sockaddr *)&six, &size);
    recvfrom(udp, text, sizeof text, MSG_PEEK | MSG_DONTWAIT, NULL, NULL);
    recvfrom(udp, text, 3, MSG_TRUNC | MSG_DONTWAIT, NULL, NULL);
    recvfrom(udp, text, 3, MSG_DONTWAIT, (struct sockaddr *)&six, &size);
    struct msghdr addressed = {.msg_name = &six, .msg_namelen = sizeof six, .msg_iov = &part, .msg_iovlen = 1};
    sendmsg(udp, &addressed, 0);

    struct mmsghdr many[2] = {{.msg_hdr = addressed}, {.msg_hdr = addressed}};
    sendmmsg(udp, many, 2, 0);

    int net = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    bind(net, (struct sockaddr *)&kernel, sizeof kernel);

    char left[4], right[8];
    struct iovec parts[2] = {{left, sizeof left}, {right, sizeof right}};
    write(pair[0], "scattered!", 10);
    readv(pair[1], parts, 2);
    int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    open("/nonexistent/file", O_RDWR | O_CREAT, 0640);
    lseek(file, 0, SEEK_SET);
    sendfile(pair[0], file, NULL, 3);
    off_t at = 1;
    sendfile(pair[0], file, &at, 3);
    pread64(file, text, 4, 2);
    shutdown(pair[0], SHUT_RDWR);
    close_range(3, ~0U, 0);
    return 0;
}
