/* Children that stop, go on, end and are killed, and signals of every origin; at the end a signal kills the program. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void on_signal(int number) { (void)number; }

static void child_that_stops(void)
{
    int status, line[2];
    char byte;
    siginfo_t info;
    pipe(line);
    pid_t child = fork();
    if (!child) {
        raise(SIGSTOP);
        read(line[0], &byte, 1);
        raise(SIGSTOP);
        read(line[0], &byte, 1);
        raise(SIGTERM);
    }
    wait4(child, &status, WUNTRACED, 0);
    kill(child, SIGCONT);
    wait4(child, &status, WCONTINUED, 0);
    write(line[1], "x", 1);
    waitid(P_PID, child, &info, WSTOPPED);
    kill(child, SIGCONT);
    waitid(P_PID, child, &info, WCONTINUED);
    memset(&info, 0, sizeof info);
    waitid(P_PID, child, &info, WEXITED | WNOHANG);
    syscall(SYS_waitid, P_PID, child, 0, WEXITED | WNOHANG, 0);
    write(line[1], "x", 1);
    waitid(P_PID, child, &info, WEXITED | WNOWAIT);
    wait4(child, &status, 0, 0);
    wait4(child, &status, 0, 0);
    wait4(-1, (void *)8, WNOHANG, 0);
    close(line[0]);
    close(line[1]);
}

static void child_that_dies(void)
{
    int status;
    siginfo_t info;
    struct rusage used;
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    pid_t child = fork();
    if (!child)
        *(volatile int *)8 = 1;
    waitid(P_PGID, 0, &info, WEXITED);
    child = fork();
    if (!child) {
        syscall(SYS_exit, 3);
    }
    wait4(child, &status, __WALL, 0);
}

static void own_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal}, before;
    struct timespec now = {0, 0}, soon = {0, 1000};
    sigset_t set, old;
    siginfo_t info;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGRTMIN + 1);
    sigaction(SIGALRM, &action, &before);
    action.sa_flags = SA_RESTART | SA_SIGINFO;
    sigaction(SIGUSR2, &action, 0);
    action.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &action, 0);
    sigaction(SIGKILL, &action, 0);
    sigaction(SIGUSR2, 0, &before);
    sigprocmask(SIG_BLOCK, &set, &old);
    sigqueue(getpid(), SIGRTMIN + 1, (union sigval){.sival_int = 5});
    kill(getpid(), SIGUSR1);
    sigpending(&set);
    sigtimedwait(&set, &info, &now);
    sigtimedwait(&set, &info, 0);
    sigtimedwait(&set, &info, &soon);
    syscall(SYS_rt_sigtimedwait, (void *)8, &info, &now, 8L);
    syscall(SYS_rt_sigqueueinfo, getpid(), SIGUSR2, (void *)8);
    memset(&info, 0, sizeof info);
    info.si_code = SI_QUEUE;
    info.si_pid = 4711;
    info.si_value.sival_int = 7;
    syscall(SYS_rt_tgsigqueueinfo, getpid(), syscall(SYS_gettid), SIGUSR2, &info);
    sigprocmask(SIG_SETMASK, &old, 0);
    sigset_t alarm_alone, none;
    sigemptyset(&none);
    sigemptyset(&alarm_alone);
    sigaddset(&alarm_alone, SIGALRM);
    sigprocmask(SIG_BLOCK, &alarm_alone, 0);
    struct itimerval once = {{0, 0}, {0, 1000}};
    setitimer(ITIMER_REAL, &once, 0);
    sigsuspend(&none);
    raise(SIGALRM);
    ppoll(0, 0, 0, &none);
    timer_t unused, timer; /* the second: its number, 1, stands where another signal has its sender */
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM};
    timer_create(CLOCK_MONOTONIC, &event, &unused);
    timer_create(CLOCK_MONOTONIC, &event, &timer);
    timer_settime(timer, 0, &(struct itimerspec){{0, 0}, {0, 1}}, 0);
    sigsuspend(&none);
    raise(SIGUSR2);
    int ends[2];
    socketpair(AF_UNIX, SOCK_STREAM, 0, ends);
    close(ends[1]);
    write(ends[0], "x", 1);
    action.sa_handler = on_signal;
    sigaction(SIGPIPE, &action, 0);
    write(ends[0], "x", 1);
    close(ends[0]);
}

static char thread_path[64];

static void *thread_that_ends(void *unused)
{
    snprintf(thread_path, sizeof thread_path, "/proc/self/task/%ld", syscall(SYS_gettid));
    syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), SIGUSR2);
    return unused;
}

int main(void)
{
    pthread_t thread;
    child_that_stops();
    child_that_dies();
    own_signals();
    pthread_create(&thread, 0, thread_that_ends, 0);
    pthread_join(thread, 0);
    while (!access(thread_path, F_OK)) /* until it is gone: or the signal below would kill it in its exit */
        sched_yield();
    raise(SIGTERM);
    return 0;
}
