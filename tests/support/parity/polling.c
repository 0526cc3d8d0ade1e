/* One thread, three ways to wait: select, poll, epoll, on a socket pair. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

int main(void)
{
    int pair[2];
    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair);

    fd_set in, out;
    struct timeval second = {1, 0}, none = {0, 0};
    FD_ZERO(&in);
    FD_SET(pair[0], &in);
    select(pair[1] + 1, &in, NULL, NULL, &none);
    FD_ZERO(&in);
    FD_ZERO(&out);
    FD_SET(pair[0], &in);
    FD_SET(pair[1], &in);
    FD_SET(pair[1], &out);
    write(pair[1], "ready", 5);
    select(pair[1] + 1, &in, &out, NULL, &second);
    struct timespec moment = {0, 1000000};
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGUSR1);
    FD_ZERO(&out);
    FD_SET(pair[0], &in);
    FD_SET(pair[1], &out);
    pselect(pair[1] + 1, &in, &out, NULL, &moment, &mask);

    struct pollfd waits[2] = {{pair[0], POLLIN | POLLPRI, 0}, {pair[1], POLLIN | POLLOUT, 0}};
    poll(waits, 2, 1000);
    poll(waits, 0, 0);
    waits[1].events = POLLIN;
    ppoll(waits + 1, 1, &moment, NULL);
    poll(waits + 1, 1, 1);

    struct epoll_event event = {EPOLLIN | EPOLLET, {.fd = pair[0]}}, got[8];
    int set = epoll_create1(EPOLL_CLOEXEC);
    epoll_ctl(set, EPOLL_CTL_ADD, pair[0], &event);
    epoll_ctl(set, EPOLL_CTL_ADD, pair[0], &event);
    event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP;
    event.data.u64 = 0x1122334455667788;
    epoll_ctl(set, EPOLL_CTL_ADD, pair[1], &event);
    epoll_wait(set, got, 8, -1);
    epoll_ctl(set, EPOLL_CTL_DEL, pair[1], NULL);
    epoll_wait(set, got, 8, 0);
    epoll_pwait(set, got, 8, 10, &mask);
    int counter = eventfd(3, EFD_NONBLOCK);
    uint64_t value;
    read(counter, &value, sizeof value);
    read(counter, &value, sizeof value);
    epoll_wait(pair[0], got, 8, 0);
    close(set);
    return 0;
}
