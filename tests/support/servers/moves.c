/* Every way one call can move, duplicate or close a socket through a descriptor that is not its first argument; and the
 * same calls on files and pipes alone. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void pass(int socket, int fd) {
    char byte = 'x', space[CMSG_SPACE(sizeof fd)] = {0};
    struct iovec iov = {&byte, 1};
    struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof space};
    struct cmsghdr *control = CMSG_FIRSTHDR(&message);
    *control = (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof fd)};
    memcpy(CMSG_DATA(control), &fd, sizeof fd);
    sendmsg(socket, &message, 0);
}

static int take(int socket) {
    char byte, space[CMSG_SPACE(sizeof(int))];
    struct iovec iov = {&byte, 1};
    struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof space};
    int fd;
    recvmsg(socket, &message, 0);
    memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fd);
    return fd;
}

int main(int argc, char **argv) {
    int pair[2], pipes[2], more[2];
    int file = open("/etc/passwd", O_RDONLY), into = syscall(SYS_memfd_create, "into", 0);
    pipe(pipes), pipe(more);
    socketpair(AF_UNIX, SOCK_STREAM, 0, pair);

    write(pipes[1], "abcdef", 6);
    tee(pipes[0], more[1], 2, 0);                     /* pipes alone */
    splice(pipes[0], 0, more[1], 0, 2, 0);            /* pipes alone */
    splice(pipes[0], 0, pair[0], 0, 2, 0);            /* into a socket, the second descriptor */
    splice(pair[1], 0, more[1], 0, 2, 0);             /* out of one, the first */
    copy_file_range(file, 0, into, 0, 2, 0);          /* files alone */
    copy_file_range(file, 0, pair[0], 0, 2, 0);       /* EINVAL */
    sendfile(into, file, 0, 2);                       /* files alone */
    sendfile(into, pair[1], 0, 2);                    /* EINVAL */
    tee(pipes[0], pair[0], 2, 0);                     /* EINVAL */

    int copy = fcntl(pair[0], F_DUPFD, 40);           /* 40 is a socket */
    fcntl(file, F_DUPFD, 41);
    syscall(SYS_dup3, file, 42, O_CLOEXEC);           /* a number that was free */
    syscall(SYS_dup3, file, copy, O_CLOEXEC);         /* a socket is closed */
#ifdef SYS_dup2
    copy = dup(pair[0]);
    syscall(SYS_dup2, file, 42);                      /* a file is closed */
    syscall(SYS_dup2, file, copy);                    /* a socket is closed */
#endif
    int epoll = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN};
    epoll_ctl(epoll, EPOLL_CTL_ADD, pipes[0], &event);
    epoll_ctl(epoll, EPOLL_CTL_ADD, pair[0], &event);

    pass(pair[0], file), take(pair[1]);
    int sockets[2];
    socketpair(AF_UNIX, SOCK_STREAM, 0, sockets);
    pass(pair[0], sockets[0]);
    int passed = take(pair[1]);

    int child = fork();
    if (child == 0)
        for (;;)
            pause();
    close(sockets[0]), close(sockets[1]), close(passed);
    int process = syscall(SYS_pidfd_open, child, 0);
    int got = syscall(SYS_pidfd_getfd, process, sockets[0], 0);
    syscall(SYS_pidfd_getfd, process, file, 0);    /* a file of the other's */

    fcntl(got, F_DUPFD, 50);
    fcntl(file, F_DUPFD, 60);
    syscall(SYS_close_range, 60, 70, 0);            /* files alone */
    syscall(SYS_close_range, 45, 55, 0);            /* 50 is a socket */
    kill(child, SIGKILL);
    waitpid(child, 0, 0);
    return 0;
}
