/* An echo server and its client in one program: the parent serves, the forked child is the client. Plain read and
 * write, options, names, half-close, an unconnected socket's errors. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static void client(struct sockaddr_in address)
{
    char answer[64];
    int fd = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP);
    connect(fd, (struct sockaddr *)&address, sizeof address);
    write(fd, "hello \"echo\"\tback\\slash\n\001\0012\377", 28);
    read(fd, answer, sizeof answer);
    shutdown(fd, SHUT_WR);
    read(fd, answer, sizeof answer);
    close(fd);
    _exit(0);
}

int main(void)
{
    char buffer[1024], long_line[600];
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}}, peer;
    struct sockaddr_storage name;
    socklen_t size = sizeof address;
    struct linger linger = {1, 5};
    struct timeval patience = {5, 250000};
    int on = 1, status, pending = 0;

    signal(SIGPIPE, SIG_IGN);
    int plain = socket(AF_INET, SOCK_STREAM, 0);
    read(plain, buffer, 10);
    write(plain, "lost", 4);
    accept(plain, NULL, NULL);
    getpeername(plain, (struct sockaddr *)&name, &size);
    close(plain);
    close(plain);
    socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_UDP);

    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(listener, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    setsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(listener, SOL_SOCKET, 9999, &on, sizeof on);
    setsockopt(listener, SOL_SOCKET, SO_KEEPALIVE, (void *)8, sizeof on);
    bind(listener, (struct sockaddr *)&address, sizeof address);
    bind(listener, (struct sockaddr *)&address, 4);
    listen(listener, 5);
    size = sizeof address;
    getsockname(listener, (struct sockaddr *)&address, &size);
    size = sizeof on;
    getsockopt(listener, SOL_SOCKET, SO_ACCEPTCONN, &on, &size);
    getsockopt(listener, SOL_SOCKET, SO_ERROR, &on, &size);
    getsockopt(listener, SOL_SOCKET, SO_TYPE, &on, &size);

    if (fork() == 0)
        client(address);
    size = sizeof name;
    int fd = accept(listener, (struct sockaddr *)&name, &size);
    size = sizeof peer;
    getpeername(fd, (struct sockaddr *)&peer, &size);
    for (int flags = fcntl(fd, F_GETFL), got = 1; got > 0;) {
        got = read(fd, buffer, sizeof buffer);
        ioctl(fd, FIONREAD, &pending);
        if (got > 0)
            write(fd, buffer, got);
        fcntl(fd, F_SETFL, flags | O_NONBLOCK);
        fcntl(fd, F_SETFL, flags);
    }
    fcntl(fd, F_GETFL);
    fcntl(fd, F_GETFD);
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    ioctl(fd, FIONBIO, &on);
    memset(long_line, 'x', sizeof long_line);
    struct iovec parts[2] = {{"first ", 6}, {long_line, sizeof long_line}};
    writev(fd, parts, 2);
    int copy = dup(fd);
    dup2(fd, 20);
    dup3(fd, 21, O_CLOEXEC);
    fcntl(fd, F_DUPFD_CLOEXEC, 30);
    close(copy);
    close(fd);
    wait4(-1, &status, 0, NULL);
    close(listener);
    return 7;
}
