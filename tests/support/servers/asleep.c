/* A thread for each call that a stopped task may be thrown out of (signal(7), "interruption by stop signals") and for
 * those that the kernel restarts. Each says its name, result and errno when its call has returned. A line on standard
 * input wakes all but the last three, which never end. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/aio_abi.h>
#include <linux/futex.h>
#include <linux/io_uring.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct timespec long_time = {600, 0};
static struct timeval limit = {600, 0};

struct wait {
    const char *name;
    long (*sleep)(struct wait *);
    void (*wake)(struct wait *);
    int fd, other, word, id;
    pthread_t thread;
};

static void by_byte(struct wait *w) { write(w->other, "x", 1); }
static void by_reading(struct wait *w) {
    char buffer[65536];
    while (recv(w->other, buffer, sizeof buffer, MSG_DONTWAIT) > 0) {}
}
static void by_futex(struct wait *w) { w->word = 1, syscall(SYS_futex, &w->word, FUTEX_WAKE, 1, 0, 0, 0); }
static void by_semaphore(struct wait *w) { semctl(w->id, 0, SETVAL, 1); }
static void by_message(struct wait *w) { long type = 1; msgsnd(w->id, &type, 0, 0); }
static void by_signal(struct wait *w) { pthread_kill(w->thread, SIGUSR1); }
static void by_death(struct wait *w) { kill(w->id, SIGKILL); }
static void by_connect(struct wait *w) {
    struct sockaddr_un name;
    socklen_t size = sizeof name;
    getsockname(w->fd, (struct sockaddr *)&name, &size);
    connect(w->other, (struct sockaddr *)&name, size);
}
static void by_accept(struct wait *w) {
    close(accept(w->other, 0, 0));
    close(accept(w->other, 0, 0));
}

static char buffer[16];
static struct iovec iov = {buffer, sizeof buffer};
static long do_read(struct wait *w) { return read(w->fd, buffer, 16); }
static long do_readv(struct wait *w) { return readv(w->fd, &iov, 1); }
static long do_recvfrom(struct wait *w) { return recv(w->fd, buffer, 16, 0); }
static long do_recvmsg(struct wait *w) { return recvmsg(w->fd, &(struct msghdr){.msg_iov = &iov, .msg_iovlen = 1}, 0); }
static long do_recvmmsg(struct wait *w) {
    struct mmsghdr many = {.msg_hdr = {.msg_iov = &iov, .msg_iovlen = 1}};
    return recvmmsg(w->fd, &many, 1, 0, NULL);
}
static void fill(struct wait *w) { while (send(w->fd, buffer, 16, MSG_DONTWAIT) > 0) {} }
static long do_write(struct wait *w) { fill(w); return write(w->fd, buffer, 16); }
static long do_writev(struct wait *w) { fill(w); return writev(w->fd, &iov, 1); }
static long do_sendto(struct wait *w) { fill(w); return send(w->fd, buffer, 16, 0); }
static long do_sendmsg(struct wait *w) {
    fill(w);
    return sendmsg(w->fd, &(struct msghdr){.msg_iov = &iov, .msg_iovlen = 1}, 0);
}
static long do_sendmmsg(struct wait *w) {
    fill(w);
    struct mmsghdr many = {.msg_hdr = {.msg_iov = &iov, .msg_iovlen = 1}};
    return sendmmsg(w->fd, &many, 1, 0);
}
static void listening(struct wait *w, int backlog) {
    struct sockaddr_un any = {AF_UNIX};
    w->fd = socket(AF_UNIX, SOCK_STREAM, 0), w->other = socket(AF_UNIX, SOCK_STREAM, 0);
    bind(w->fd, (struct sockaddr *)&any, sizeof(sa_family_t));
    listen(w->fd, backlog);
    setsockopt(w->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
}
static long do_accept(struct wait *w) { listening(w, 5); return accept(w->fd, 0, 0); }
static long do_accept4(struct wait *w) { listening(w, 5); return accept4(w->fd, 0, 0, 0); }
static long do_connect(struct wait *w) {
    listening(w, 0);
    int full = socket(AF_UNIX, SOCK_STREAM, 0), listener = w->fd;
    struct sockaddr_un name;
    socklen_t size = sizeof name;
    getsockname(listener, (struct sockaddr *)&name, &size);
    connect(full, (struct sockaddr *)&name, size);
    w->fd = w->other, w->other = listener;
    setsockopt(w->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    return connect(w->fd, (struct sockaddr *)&name, size);
}
static long do_poll(struct wait *w) { return poll(&(struct pollfd){w->fd, POLLIN, 0}, 1, 600000); }
static long do_ppoll(struct wait *w) { return ppoll(&(struct pollfd){w->fd, POLLIN, 0}, 1, &long_time, 0); }
static long do_select(struct wait *w) {
    fd_set set;
    struct timeval time = limit;
    FD_ZERO(&set);
    FD_SET(w->fd, &set);
    return select(w->fd + 1, &set, 0, 0, &time);
}
static long do_pselect(struct wait *w) {
    fd_set set;
    FD_ZERO(&set);
    FD_SET(w->fd, &set);
    return pselect(w->fd + 1, &set, 0, 0, &long_time, 0);
}
static int epoll_of(struct wait *w) {
    int epoll = epoll_create1(0);
    epoll_ctl(epoll, EPOLL_CTL_ADD, w->fd, &(struct epoll_event){.events = EPOLLIN});
    return epoll;
}
static struct epoll_event event;
static long do_epoll_wait(struct wait *w) { return epoll_wait(epoll_of(w), &event, 1, 600000); }
static long do_epoll_pwait(struct wait *w) { return syscall(SYS_epoll_pwait, epoll_of(w), &event, 1, -1, 0, 8); }
static long do_epoll_pwait2(struct wait *w) { return syscall(441, epoll_of(w), &event, 1, &long_time, 0, 8); }
static long do_io_uring_enter(struct wait *w) {
    struct io_uring_params params = {0};
    int ring = syscall(SYS_io_uring_setup, 4, &params);
    if (ring < 0) return pause();
    char *sq = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQ_RING);
    struct io_uring_sqe *sqe = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQES);
    *sqe = (struct io_uring_sqe){.opcode = IORING_OP_POLL_ADD, .fd = w->fd, .poll_events = POLLIN};
    *(unsigned *)(sq + params.sq_off.array) = 0, *(unsigned *)(sq + params.sq_off.tail) = 1;
    syscall(SYS_io_uring_enter, ring, 1, 0, 0, 0, 0);
    return syscall(SYS_io_uring_enter, ring, 0, 1, IORING_ENTER_GETEVENTS, 0, 0);
}
static aio_context_t aio_of(struct wait *w) {
    aio_context_t context = 0;
    static __thread struct iocb block;
    block.aio_lio_opcode = IOCB_CMD_POLL, block.aio_fildes = w->fd, block.aio_buf = POLLIN;
    syscall(SYS_io_setup, 4, &context);
    syscall(SYS_io_submit, context, 1, (struct iocb *[]){&block});
    return context;
}
static struct io_event io_event;
static long do_io_getevents(struct wait *w) { return syscall(SYS_io_getevents, aio_of(w), 1L, 1L, &io_event, 0); }
static long do_io_pgetevents(struct wait *w) {
    return syscall(SYS_io_pgetevents, aio_of(w), 1L, 1L, &io_event, &long_time, 0);
}
static long do_futex(struct wait *w) { return syscall(SYS_futex, &w->word, FUTEX_WAIT, 0, 0, 0, 0); }
static long do_futex_timed(struct wait *w) { return syscall(SYS_futex, &w->word, FUTEX_WAIT, 0, &long_time, 0, 0); }
static long do_semop(struct wait *w) {
    w->id = semget(IPC_PRIVATE, 1, 0600);
    long result = semop(w->id, &(struct sembuf){0, -1, 0}, 1);
    semctl(w->id, 0, IPC_RMID);
    return result;
}
static long do_semtimedop(struct wait *w) {
    w->id = semget(IPC_PRIVATE, 1, 0600);
    long result = semtimedop(w->id, &(struct sembuf){0, -1, 0}, 1, &long_time);
    semctl(w->id, 0, IPC_RMID);
    return result;
}
static long do_msgrcv(struct wait *w) {
    long type;
    w->id = msgget(IPC_PRIVATE, 0600);
    long result = msgrcv(w->id, &type, 0, 0, 0);
    msgctl(w->id, IPC_RMID, 0);
    return result;
}
static long do_sigtimedwait(struct wait *w) {
    sigset_t set;
    (void)w, sigemptyset(&set), sigaddset(&set, SIGUSR1);
    return sigtimedwait(&set, 0, &long_time);
}
static long do_wait4(struct wait *w) {
    w->id = fork();
    if (w->id == 0)
        for (;;) pause();
    return wait4(w->id, 0, 0, 0);
}
static long do_nanosleep(struct wait *w) { (void)w; return nanosleep(&long_time, 0); }
static long do_pause(struct wait *w) { (void)w; return pause(); }
static long do_sigsuspend(struct wait *w) { sigset_t set; (void)w, sigfillset(&set); return sigsuspend(&set); }

static struct wait waits[] = {
    {"read", do_read, by_byte}, {"readv", do_readv, by_byte}, {"recvfrom", do_recvfrom, by_byte},
    {"recvmsg", do_recvmsg, by_byte}, {"recvmmsg", do_recvmmsg, by_byte}, {"write", do_write, by_reading},
    {"writev", do_writev, by_reading}, {"sendto", do_sendto, by_reading}, {"sendmsg", do_sendmsg, by_reading},
    {"sendmmsg", do_sendmmsg, by_reading}, {"accept", do_accept, by_connect}, {"accept4", do_accept4, by_connect},
    {"connect", do_connect, by_accept}, {"poll", do_poll, by_byte}, {"ppoll", do_ppoll, by_byte},
    {"select", do_select, by_byte}, {"pselect", do_pselect, by_byte}, {"epoll_wait", do_epoll_wait, by_byte},
    {"epoll_pwait", do_epoll_pwait, by_byte}, {"epoll_pwait2", do_epoll_pwait2, by_byte},
    {"io_uring_enter", do_io_uring_enter, by_byte}, {"io_getevents", do_io_getevents, by_byte},
    {"io_pgetevents", do_io_pgetevents, by_byte}, {"futex", do_futex, by_futex},
    {"futex timed", do_futex_timed, by_futex}, {"semop", do_semop, by_semaphore},
    {"semtimedop", do_semtimedop, by_semaphore}, {"msgrcv", do_msgrcv, by_message},
    {"sigtimedwait", do_sigtimedwait, by_signal}, {"wait4", do_wait4, by_death},
    {"nanosleep", do_nanosleep, 0}, {"pause", do_pause, 0}, {"sigsuspend", do_sigsuspend, 0},
};
enum { WAITS = sizeof waits / sizeof *waits };

static void *run(void *which) {
    struct wait *w = which;
    long result = w->sleep(w);
    dprintf(1, "%s %ld %s\n", w->name, result, result < 0 ? strerrorname_np(errno) : "ok");
    for (;;) pause();
}

int main(void) {
    sigset_t set;
    sigemptyset(&set), sigaddset(&set, SIGUSR1), sigprocmask(SIG_BLOCK, &set, 0);
    for (struct wait *w = waits; w < waits + WAITS; w++) {
        int ends[2];
        socketpair(AF_UNIX, SOCK_STREAM, 0, ends);
        w->fd = ends[0], w->other = ends[1];
        setsockopt(w->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        setsockopt(w->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
        pthread_create(&w->thread, 0, run, w);
        pthread_setname_np(w->thread, w->name);
    }
    dprintf(1, "%d started\n", WAITS);
    getchar();
    for (struct wait *w = waits; w < waits + WAITS; w++)
        if (w->wake) w->wake(w);
    for (;;) pause();
}
