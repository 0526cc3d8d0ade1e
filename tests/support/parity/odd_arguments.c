/* Arguments that make no sense, or nearly none: unknown constants, pointers into nothing, lengths that lie. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static char room[256];

static void constants(void)
{
    syscall(SYS_socket, 0x1234, 15, 99);
    syscall(SYS_socket, AF_UNIX, SOCK_SEQPACKET, 7);
    syscall(SYS_socket, AF_INET, SOCK_RAW, IPPROTO_ICMP);
    syscall(SYS_socket, AF_INET, SOCK_STREAM | 0x40000, IPPROTO_TCP);
    syscall(SYS_socketpair, AF_INET, SOCK_STREAM, 0, room);
    syscall(SYS_ioctl, 100, 0x80045430, room);
    syscall(SYS_ioctl, 100, 0x5450, 0);
    syscall(SYS_ioctl, 100, 0x12345678, room);
    syscall(SYS_dup3, 100, 101, 1);
    syscall(SYS_close_range, 100, 200, 0x17);
    syscall(SYS_epoll_ctl, 100, 9, 3, 0);
    syscall(SYS_epoll_create1, 5);
    syscall(SYS_openat, AT_FDCWD, "/nonexistent/x", O_RDWR | O_CREAT | O_EXCL | 0x40000000, 0644);
    syscall(SYS_lseek, 100, 5, 9);
    syscall(SYS_eventfd2, 1, 9);
    syscall(SYS_pipe2, room, 5);
    syscall(SYS_splice, 100, 0, 101, 0, 5, 3);
    syscall(SYS_tee, 100, 101, 5, 0);
    syscall(SYS_shutdown, 100, 7);
    syscall(SYS_io_uring_enter, 100, 1, 1, 1, 0, 8);
    syscall(SYS_kill, getpid(), 0);
}

static void descriptors(void)
{
    int ends[2];
    struct timeval soon = {0, 1000}, later = {1, 0}, wrong = {1, 1};
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    struct iovec parts[2] = {{room, 0}, {room, 10}};
    fd_set set;
    pipe2(ends, 0);
    syscall(SYS_pselect6, ends[1] + 1, 0, 0, 0, (struct timespec[]){{0, 1000}}, 0);
#ifdef SYS_select
    FD_ZERO(&set);
    FD_SET(ends[0], &set);
    syscall(SYS_select, ends[1] + 1, &set, 0, 0, &soon);
    write(ends[1], "x", 1);
    FD_SET(ends[0], &set);
    syscall(SYS_select, ends[1] + 1, &set, 0, 0, &later);
    syscall(SYS_select, -1, &set, 0, 0, 0);
    syscall(SYS_select, 2000, 8, 0, 0, &wrong);
    syscall(SYS_poll, 8, 2, 5);
    syscall(SYS_poll, 0, 0, 1);
#else
    write(ends[1], "x", 1);
#endif
    fcntl(ends[0], F_SETPIPE_SZ, 65536);
    fcntl(ends[0], F_GETPIPE_SZ);
    fcntl(ends[0], F_SETOWN, 0);
    syscall(SYS_fcntl, ends[0], 777, 5);
    fcntl(ends[0], F_DUPFD, 40);
    fcntl(ends[0], F_SETLK, &lock);
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    read(ends[0], room, 1);
    readv(ends[0], parts, 2);
    syscall(SYS_readv, ends[0], 8, 2);
    syscall(SYS_writev, ends[1], 8, 2);
    writev(ends[1], parts, 0);
    syscall(SYS_preadv, ends[0], parts, 1, 3, 0);
    syscall(SYS_pwritev2, ends[0], parts, 1, 3, 0, 2);
    close(ends[1]);
    readv(ends[0], parts, 2);
}

static void sockets(void)
{
    socklen_t size = sizeof room;
    struct ucred peer;
    struct linger linger;
    struct { uint16_t family; char rest[14]; } unknown = {77};
    struct sockaddr nothing = {.sa_family = AF_UNSPEC};
    struct msghdr message = {.msg_name = (void *)8, .msg_namelen = 16, .msg_control = room, .msg_controllen = 10};
    int local = socket(AF_UNIX, SOCK_STREAM, 0), seven = 7, tcp;
    getsockname(local, (struct sockaddr *)room, &size);
    size = sizeof peer;
    getsockopt(local, SOL_SOCKET, SO_PEERCRED, &peer, &size);
    memset(room, 0, sizeof room);
    size = 2;
    getsockopt(local, SOL_SOCKET, SO_TYPE, room, &size);
    size = 100;
    getsockopt(local, SOL_SOCKET, SO_RCVTIMEO, room, &size);
    size = sizeof linger;
    getsockopt(local, SOL_SOCKET, SO_LINGER, &linger, &size);
    setsockopt(local, SOL_SOCKET, SO_RCVBUF, room, 2);
    setsockopt(local, SOL_SOCKET, SO_RCVBUF, 0, 4);
    setsockopt(local, SOL_SOCKET, SO_LINGER, room, 4);
    setsockopt(local, 77, 5, room, 4);
    getsockopt(local, SOL_SOCKET, SO_REUSEADDR, 0, 0);

    tcp = socket(AF_INET, SOCK_STREAM, 0);
    size = 16;
    getsockopt(tcp, IPPROTO_TCP, TCP_CONGESTION, room, &size);
    setsockopt(tcp, IPPROTO_TCP, TCP_CONGESTION, "reno", 4);
    setsockopt(tcp, IPPROTO_TCP, TCP_USER_TIMEOUT, &seven, sizeof seven);
    connect(tcp, &nothing, 16);
    connect(tcp, (struct sockaddr *)&unknown, 16);
    connect(tcp, NULL, 16);
    connect(tcp, (struct sockaddr *)8, 16);
    connect(tcp, &nothing, 1);
    connect(tcp, &nothing, -1);
    bind(tcp, (struct sockaddr *)room, 200);
    size = -1;
    accept(tcp, (struct sockaddr *)room, &size);
    syscall(SYS_accept, tcp, 8, 0);
    accept4(tcp, NULL, NULL, 0x12345);
    syscall(SYS_sendto, tcp, room, 0, 0x8000000, 0, 0);
    syscall(SYS_sendto, tcp, 0, 4, MSG_NOSIGNAL, 0, 0);
    syscall(SYS_recvfrom, tcp, room, 10, MSG_DONTWAIT, room, 0);
    syscall(SYS_sendmsg, tcp, 8, 0);
    syscall(SYS_sendmsg, tcp, &message, MSG_OOB | MSG_MORE | MSG_NOSIGNAL);
    syscall(SYS_recvmsg, tcp, 0, 0);
    syscall(SYS_sendmmsg, tcp, 0, 0, 0);
    syscall(SYS_recvmmsg, tcp, 0, 1, MSG_DONTWAIT, 0);
}

static void children(void)
{
    int status;
    if (fork() == 0)
        raise(SIGKILL);
    wait4(-1, &status, 0, NULL);
    wait4(-1, &status, WNOHANG, NULL);
    syscall(SYS_execve, "/nonexistent", (char *[]){"a", "b\n", NULL}, (char *[]){NULL});
    syscall(SYS_clone3, 0, 88);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    constants();
    descriptors();
    sockets();
    children();
    return 0;
}
