/* Descriptors that are no files: signalfd, timerfd, pidfd, inotify, memfd, pipes, io_uring; and what fcntl says. */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static void signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_BLOCK, &set, 0);
    int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    sigaddset(&set, SIGTERM);
    signalfd(fd, &set, 0);
    signalfd(999, &set, 0);
    syscall(SYS_signalfd4, -1, 8L, 8L, 0);
    syscall(SYS_signalfd4, -1, &set, 4L, 0x1000);
#ifdef SYS_signalfd
    close(syscall(SYS_signalfd, -1, &set, 8L));
#endif
    kill(getpid(), SIGUSR1);
    struct signalfd_siginfo info;
    if (read(fd, &info, sizeof info) != sizeof info || info.ssi_signo != SIGUSR1)
        exit(2);
    close(fd);
}

static void timers(void)
{
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    struct itimerspec wanted = {{60, 500}, {3600, 0}}, before;
    timerfd_settime(fd, 0, &wanted, 0);
    wanted.it_value.tv_sec = wanted.it_interval.tv_sec = wanted.it_interval.tv_nsec = 0;
    timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &wanted, 0);
    timerfd_gettime(fd, &before);
    timerfd_settime(fd, 4, &wanted, &before);
    timerfd_settime(fd, 0, (void *)8, &before);
    timerfd_settime(0, 0, &wanted, &before);
    timerfd_gettime(fd, (void *)8);
    wanted.it_value.tv_nsec = 1;
    timerfd_settime(fd, 0, &wanted, &before);
    unsigned long long ticks;
    if (read(fd, &ticks, 8) != 8)
        exit(3);
    close(fd);
}

static void processes(void)
{
    int held[2];
    if (pipe2(held, O_CLOEXEC))
        exit(4);
    pid_t child = fork();
    if (!child) {
        char byte;
        close(held[1]);
        _exit(read(held[0], &byte, 1) == 1 ? 7 : 8);
    }
    int fd = syscall(SYS_pidfd_open, child, 0);
    close(syscall(SYS_pidfd_getfd, fd, held[0], 0));
    syscall(SYS_pidfd_getfd, fd, 0, 1);
    syscall(SYS_pidfd_open, -1, 0x800);
    syscall(SYS_pidfd_send_signal, fd, 0, 0, 0);
    if (write(held[1], "x", 1) != 1)
        exit(5);
    siginfo_t info;
    syscall(SYS_waitid, P_PIDFD, fd, &info, WEXITED | WNOWAIT, 0);
    waitid(P_PID, child, &info, WEXITED);
    waitid(P_PID, child, &info, WEXITED | WNOHANG);
    close(fd);
}

static void files(void)
{
    int pipefd[2], watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
#ifdef SYS_inotify_init
    close(syscall(SYS_inotify_init));
#endif
    int at = inotify_add_watch(watch, "/", IN_CREATE | IN_DELETE_SELF | IN_ONLYDIR);
    inotify_rm_watch(watch, at);
    inotify_rm_watch(watch, 99);
    inotify_add_watch(watch, "/nowhere", IN_ALL_EVENTS);
    close(watch);
    if (pipe(pipefd))
        exit(6);
    struct iovec parts[2] = {{"hello", 5}, {" there", 6}};
    vmsplice(pipefd[1], parts, 2, SPLICE_F_GIFT | SPLICE_F_NONBLOCK);
    vmsplice(pipefd[1], (void *)8, 1, 0);
    vmsplice(pipefd[0], parts, 0, 0);

    int fd = memfd_create("a memory file", MFD_ALLOW_SEALING);
    ftruncate(fd, 4096);
    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW);
    fcntl(fd, F_GET_SEALS);
    struct flock lock = {F_RDLCK, SEEK_SET, 10, 20, 0};
    fcntl(fd, F_SETLK, &lock);
    lock.l_type = F_WRLCK;
    fcntl(fd, F_GETLK, &lock);
    lock.l_type = F_WRLCK;
    lock.l_pid = 0;
    fcntl(fd, F_OFD_GETLK, &lock);
    lock.l_pid = 0;
    lock.l_type = F_UNLCK;
    fcntl(fd, F_OFD_SETLK, &lock);
    fcntl(fd, F_GETLK, 8L);
    fcntl(pipefd[0], F_SETSIG, SIGUSR2);
    fcntl(pipefd[0], F_GETSIG);
    fcntl(pipefd[0], F_SETSIG, 0);
    fcntl(pipefd[0], F_GETSIG);
    fcntl(pipefd[0], F_SETOWN, getpid());
    fcntl(pipefd[0], F_GETOWN);
    struct f_owner_ex owner = {F_OWNER_PID, getpid()};
    fcntl(pipefd[0], F_SETOWN_EX, &owner);
    fcntl(pipefd[0], F_GETOWN_EX, &owner);
    fcntl(pipefd[0], F_SETLEASE, F_RDLCK);
    fcntl(fd, F_GETLEASE);
    fcntl(pipefd[0], F_SETPIPE_SZ, 8192);
    fcntl(pipefd[0], F_GETPIPE_SZ);
    fcntl(pipefd[0], F_NOTIFY, DN_MODIFY | DN_MULTISHOT);
    flock(fd, LOCK_EX | LOCK_NB);
    flock(fd, LOCK_UN);
    fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 4096);
    posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    close(fd);
    close(pipefd[0]);
    close(pipefd[1]);

    char names[4096];
    fd = open("/proc/self/task", O_RDONLY | O_DIRECTORY);
#ifdef SYS_getdents
    syscall(SYS_getdents, fd, names, sizeof names);
    lseek(fd, 0, SEEK_SET);
#endif
    while (syscall(SYS_getdents64, fd, names, sizeof names) > 0)
        ;
    syscall(SYS_getdents64, 999, names, sizeof names);
    close(fd);
}

static void kinds_of_file(void)
{
    struct stat about;
    struct statx more;
    int fd = open("/dev/null", O_RDWR);
    syscall(SYS_fstat, fd, &about);
    syscall(SYS_fstat, 999, &about);
    syscall(SYS_newfstatat, fd, "", &about, AT_EMPTY_PATH);
    syscall(SYS_newfstatat, AT_FDCWD, "/etc/passwd", &about, AT_SYMLINK_NOFOLLOW);
    syscall(SYS_newfstatat, AT_FDCWD, "/nowhere", &about, 0);
    statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &more);
    statx(AT_FDCWD, "/etc/passwd", AT_STATX_SYNC_AS_STAT, STATX_ALL, &more);
    statx(AT_FDCWD, "/etc", AT_STATX_DONT_SYNC, STATX_TYPE | STATX_BTIME, &more);
    statx(AT_FDCWD, "/nowhere", 0, STATX_SIZE, &more);
    close(fd);
}

static int eventfd_of_nothing(void)
{
    return syscall(SYS_eventfd2, 0, 0);
}

static void ring(void)
{
    struct io_uring_params params;
    memset(&params, 0, sizeof params);
    params.flags = IORING_SETUP_CQSIZE;
    params.cq_entries = 64;
    int fd = syscall(SYS_io_uring_setup, 8, &params);
    memset(&params, 0, sizeof params);
    params.flags = 0x80000000;
    syscall(SYS_io_uring_setup, 4, &params);
    syscall(SYS_io_uring_setup, 4, (void *)8);
    if (fd < 0)
        return;
    int event = eventfd_of_nothing();
    syscall(SYS_io_uring_register, fd, IORING_REGISTER_EVENTFD, &event, 1);
    syscall(SYS_io_uring_register, fd, IORING_UNREGISTER_EVENTFD, 0, 0);
    int fds[2] = {event, -1};
    syscall(SYS_io_uring_register, fd, IORING_REGISTER_FILES, fds, 2);
    syscall(SYS_io_uring_register, fd, IORING_UNREGISTER_FILES, 0, 0);
    syscall(SYS_io_uring_register, fd, 999, 0, 0);
    syscall(SYS_io_uring_enter, fd, 0, 0, IORING_ENTER_GETEVENTS, 0, 0);
    close(event);
    close(fd);
}

int main(void)
{
    signals();
    timers();
    processes();
    files();
    kinds_of_file();
    ring();
    return 0;
}
