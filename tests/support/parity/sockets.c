/* Socket options of every width, addresses of every family, control messages of IP, and what ioctl asks of interfaces. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/errqueue.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <linux/sockios.h>
#include <linux/vm_sockets.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static struct sockaddr_in loopback(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    return at;
}

static void options(void)
{
    unsigned char small = 3, got[256];
    int on = 1, number;
    socklen_t size = sizeof got;
    int udp = socket(AF_INET, SOCK_DGRAM, 0), udp6 = socket(AF_INET6, SOCK_DGRAM, 0), tcp = socket(AF_INET, SOCK_STREAM, 0);

    setsockopt(udp, SOL_SOCKET, SO_BINDTODEVICE, "lo", 2);
    setsockopt(udp, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3);
    setsockopt(udp, SOL_SOCKET, SO_BINDTODEVICE, "eth99", 6);
    setsockopt(udp, SOL_SOCKET, SO_BINDTODEVICE, "", 0);
    getsockopt(udp, SOL_SOCKET, SO_BINDTODEVICE, got, &size);
    setsockopt(udp, IPPROTO_IP, IP_MULTICAST_TTL, &small, 1);
    setsockopt(udp, IPPROTO_IP, IP_MULTICAST_LOOP, &small, 1);
    setsockopt(udp, IPPROTO_IP, IP_TTL, &small, 1);
    size = 1;
    getsockopt(udp, IPPROTO_IP, IP_MULTICAST_TTL, got, &size);
    size = 4;
    getsockopt(udp, IPPROTO_IP, IP_MULTICAST_TTL, got, &size);
    setsockopt(udp, SOL_SOCKET, SO_REUSEADDR, &small, 1);
    setsockopt(udp, SOL_SOCKET, SO_REUSEADDR, &on, 3);
    setsockopt(udp, SOL_SOCKET, SO_LINGER, &on, 4);
    setsockopt(udp, SOL_SOCKET, SO_REUSEADDR, &on, 0);
    setsockopt(udp, SOL_SOCKET, 999, &on, 2);
    setsockopt(udp, SOL_SOCKET, SO_REUSEADDR, 0, 4);
    struct timeval soon = {1, 500000};
    setsockopt(udp, SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof soon);
    struct linger linger = {1, 5};
    setsockopt(tcp, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    size = sizeof linger;
    getsockopt(tcp, SOL_SOCKET, SO_LINGER, &linger, &size);
    size = sizeof got;
    getsockopt(tcp, SOL_SOCKET, SO_PEERCRED, got, &size);
    size = sizeof got;
    getsockopt(tcp, IPPROTO_TCP, TCP_CONGESTION, got, &size);
    setsockopt(tcp, IPPROTO_TCP, TCP_CONGESTION, "reno", 4);
    setsockopt(tcp, IPPROTO_TCP, TCP_CONGESTION, "cubic", 5);
    size = 4;
    getsockopt(tcp, SOL_SOCKET, SO_ERROR, &number, &size);

    struct ip_mreq group = {{inet_addr("224.0.0.7")}, {htonl(INADDR_LOOPBACK)}};
    setsockopt(udp, IPPROTO_IP, IP_ADD_MEMBERSHIP, &group, sizeof group);
    setsockopt(udp, IPPROTO_IP, IP_DROP_MEMBERSHIP, &group, sizeof group);
    struct ip_mreqn by_index = {{inet_addr("224.0.0.8")}, {INADDR_ANY}, 1};
    setsockopt(udp, IPPROTO_IP, IP_ADD_MEMBERSHIP, &by_index, sizeof by_index);
    setsockopt(udp, IPPROTO_IP, IP_MULTICAST_IF, &group.imr_interface, 4);
    struct ip_mreq_source source = {{inet_addr("224.0.0.9")}, {htonl(INADDR_LOOPBACK)}, {inet_addr("10.1.2.3")}};
    setsockopt(udp, IPPROTO_IP, IP_ADD_SOURCE_MEMBERSHIP, &source, sizeof source);
    struct ipv6_mreq group6 = {.ipv6mr_interface = 1};
    inet_pton(AF_INET6, "ff02::7", &group6.ipv6mr_multiaddr);
    setsockopt(udp6, IPPROTO_IPV6, IPV6_ADD_MEMBERSHIP, &group6, sizeof group6);
    setsockopt(udp6, IPPROTO_IPV6, IPV6_DROP_MEMBERSHIP, &group6, sizeof group6);
    setsockopt(udp6, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);

    number = 1400;
    setsockopt(udp, SOL_UDP, UDP_SEGMENT, &number, sizeof number);
    setsockopt(udp, SOL_UDP, UDP_CORK, &on, sizeof on);
    setsockopt(udp, SOL_UDP, UDP_GRO, &on, sizeof on);
    setsockopt(udp, SOL_UDP, 99, &on, sizeof on);
    number = 0;
    setsockopt(udp, SOL_UDP, UDP_CORK, &number, sizeof number);
    close(udp);
    close(udp6);
    close(tcp);
}

static void control(void)
{
    int on = 1, here = socket(AF_INET, SOCK_DGRAM, 0), peer = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in at = loopback(), from, nobody = loopback();
    socklen_t size = sizeof at;
    char data[64], room[256];

    bind(here, (void *)&at, sizeof at);
    getsockname(here, (void *)&at, &size);
    setsockopt(here, IPPROTO_IP, IP_PKTINFO, &on, sizeof on);
    setsockopt(here, IPPROTO_IP, IP_RECVTTL, &on, sizeof on);
    setsockopt(here, IPPROTO_IP, IP_RECVTOS, &on, sizeof on);
    setsockopt(here, SOL_SOCKET, SO_TIMESTAMP, &on, sizeof on);
    connect(peer, (void *)&at, sizeof at);
    send(peer, "hello", 5, 0);
    struct iovec part = {data, sizeof data};
    struct msghdr message = {&from, sizeof from, &part, 1, room, sizeof room, 0};
    recvmsg(here, &message, 0);

    char cbuf[CMSG_SPACE(sizeof(struct in_pktinfo)) + CMSG_SPACE(4)];
    memset(cbuf, 0, sizeof cbuf);
    part.iov_len = 3;
    struct msghdr out = {&from, sizeof from, &part, 1, cbuf, sizeof cbuf, 0};
    struct cmsghdr *c = CMSG_FIRSTHDR(&out);
    *c = (struct cmsghdr){CMSG_LEN(sizeof(struct in_pktinfo)), IPPROTO_IP, IP_PKTINFO};
    ((struct in_pktinfo *)CMSG_DATA(c))->ipi_ifindex = 1;
    c = CMSG_NXTHDR(&out, c);
    *c = (struct cmsghdr){CMSG_LEN(4), IPPROTO_IP, IP_TTL};
    *(int *)CMSG_DATA(c) = 9;
    sendmsg(here, &out, 0);

    /* nobody listens there: the error comes back through the error queue */
    int lost = socket(AF_INET, SOCK_DGRAM, 0);
    setsockopt(lost, IPPROTO_IP, IP_RECVERR, &on, sizeof on);
    nobody.sin_port = htons(1);
    connect(lost, (void *)&nobody, sizeof nobody);
    send(lost, "anyone", 6, 0);
    message = (struct msghdr){&from, sizeof from, &part, 1, room, sizeof room, 0};
    part.iov_len = sizeof data;
    recvmsg(lost, &message, MSG_ERRQUEUE);
    close(lost);

    int six = socket(AF_INET6, SOCK_DGRAM, 0), seven = socket(AF_INET6, SOCK_DGRAM, 0);
    struct sockaddr_in6 at6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT}, from6;
    size = sizeof at6;
    bind(six, (void *)&at6, sizeof at6);
    getsockname(six, (void *)&at6, &size);
    setsockopt(six, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof on);
    setsockopt(six, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, &on, sizeof on);
    sendto(seven, "six", 3, 0, (void *)&at6, sizeof at6);
    message = (struct msghdr){&from6, sizeof from6, &part, 1, room, sizeof room, 0};
    recvmsg(six, &message, 0);
    close(six);
    close(seven);
    close(here);
    close(peer);
}

static void families(void)
{
    struct sockaddr_ll link = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_IP), .sll_ifindex = 1, .sll_halen = 6, .sll_addr = {2, 0, 0, 0, 0, 7}};
    struct sockaddr_vm vm = {.svm_family = AF_VSOCK, .svm_port = 1234, .svm_cid = VMADDR_CID_LOCAL};
    struct sockaddr_nl nl = {.nl_family = AF_NETLINK, .nl_groups = 0x11};
    struct sockaddr_un un = {AF_UNIX, "\0abstract"};
    unsigned char bare[4] = {0xff, 0, 1, 2};
    int packet = socket(AF_PACKET, SOCK_DGRAM, htons(ETH_P_IP));
    bind(packet, (void *)&link, sizeof link);
    socklen_t size = sizeof link;
    getsockname(packet, (void *)&link, &size);
    close(packet);
    close(socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL)));
    int vsock = socket(AF_VSOCK, SOCK_STREAM | SOCK_NONBLOCK, 0);
    bind(vsock, (void *)&vm, sizeof vm);
    vm.svm_cid = VMADDR_CID_ANY;
    vm.svm_port = VMADDR_PORT_ANY;
    connect(vsock, (void *)&vm, sizeof vm);
    close(vsock);
    int route = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    bind(route, (void *)&nl, sizeof nl);
    size = sizeof nl;
    getsockname(route, (void *)&nl, &size);
    close(route);
    int local = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    connect(local, (void *)&un, offsetof(struct sockaddr_un, sun_path) + 9);
    connect(local, (void *)bare, sizeof bare);
    close(local);
}

static void interfaces(void)
{
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    struct ifreq one = {.ifr_name = "lo"};
    struct ifreq many[4];
    struct ifconf list = {sizeof many, {(void *)many}};
    ioctl(fd, SIOCGIFINDEX, &one);
    ioctl(fd, SIOCGIFFLAGS, &one);
    ioctl(fd, SIOCGIFADDR, &one);
    ioctl(fd, SIOCGIFNETMASK, &one);
    ioctl(fd, SIOCGIFMTU, &one);
    ioctl(fd, SIOCGIFHWADDR, &one);
    one.ifr_ifindex = 1;
    ioctl(fd, SIOCGIFNAME, &one);
    strcpy(one.ifr_name, "eth99");
    ioctl(fd, SIOCGIFINDEX, &one);
    ioctl(fd, SIOCGIFCONF, &list);
    list.ifc_len = 0;
    list.ifc_req = 0;
    ioctl(fd, SIOCGIFCONF, &list);
    ioctl(fd, SIOCGIFINDEX, 8L);
    int number = 7;
    ioctl(fd, FIONREAD, &number);
    ioctl(fd, SIOCOUTQ, &number);
    number = 1;
    ioctl(fd, FIONBIO, &number);
    close(fd);
}

int main(void)
{
    options();
    control();
    families();
    interfaces();
    return 0;
}
