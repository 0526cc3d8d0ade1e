/* What programs do with threads and signals that a tracer can spoil; prints what it saw. argv[1] chooses. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile sig_atomic_t caught;
static pthread_barrier_t barrier;
static char **arguments;

static void on_signal(int number) { caught = number; }

static void *end_at_once(void *unused) {
    int ends[2];
    (void)unused;
    pthread_barrier_wait(&barrier);
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends)) abort();
    close(ends[0]);
    close(ends[1]);
    return NULL;
}

static void *exec_here(void *unused) {
    (void)unused;
    char *words[] = {arguments[0], "done", NULL};
    execv("/proc/self/exe", words);
    return NULL;
}

static void *sleep_on(void *unused) {
    for (;;) pause();
    return unused;
}

static void *send_later(void *of) {
    usleep(200000);
    pthread_kill((pthread_t)of, SIGUSR1);
    usleep(200000);
    write(*(int *)arguments[1], "x", 1);
    return NULL;
}

int main(int argc, char **argv) {
    pthread_t threads[100];
    const char *what = argc > 1 ? argv[1] : "";
    arguments = argv;
    if (!strcmp(what, "hundred")) {
        for (int round = 0; round < 3; round++) {
            pthread_barrier_init(&barrier, NULL, 100);
            for (int i = 0; i < 100; i++)
                if (pthread_create(&threads[i], NULL, end_at_once, NULL)) return 4;
            for (int i = 0; i < 100; i++) pthread_join(threads[i], NULL);
        }
        puts("300 threads came and went");
        return 7;
    }
    if (!strcmp(what, "exec")) {
        for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, sleep_on, NULL);
        pthread_create(&threads[4], NULL, exec_here, NULL);
        for (;;) pause();
    }
    if (!strcmp(what, "done")) {
        printf("executed by a thread, now the only one: %d\n", getpid() == (int)syscall(SYS_gettid));
        return 8;
    }
    if (!strcmp(what, "vfork")) {
        int status;
        pid_t child = vfork();
        if (child == 0) {
            execl("/bin/sh", "sh", "-c", "exit 5", NULL);
            _exit(9);
        }
        waitpid(child, &status, 0);
        printf("the child ended with %d\n", WEXITSTATUS(status));
        return 0;
    }
    if (!strcmp(what, "restart") || !strcmp(what, "eintr")) {
        int ends[2];
        char byte;
        struct sigaction action = {.sa_handler = on_signal, .sa_flags = what[0] == 'r' ? SA_RESTART : 0};
        sigaction(SIGUSR1, &action, NULL);
        if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends)) return 4;
        arguments[1] = (char *)&ends[1];
        pthread_create(&threads[0], NULL, send_later, (void *)pthread_self());
        ssize_t got = recv(ends[0], &byte, 1, 0);
        printf("recv gave %zd, errno %s, signal %d\n", got, got < 0 ? strerrorname_np(errno) : "0", caught);
        return 0;
    }
    if (!strcmp(what, "child")) {
        int count = 0;
        sigset_t set;
        struct timespec second = {.tv_sec = 20};
        siginfo_t info;
        sigemptyset(&set);
        sigaddset(&set, SIGCHLD);
        sigprocmask(SIG_BLOCK, &set, NULL);
        int go[2];
        char byte = 'x';
        if (pipe(go)) return 4;
        pid_t child = fork();
        if (child == 0) {
            raise(SIGSTOP);
            /* Not before the parent knows that it goes on: a second SIGCHLD that waits is none. */
            _exit(read(go[0], &byte, 1) == 1 ? 6 : 5);
        }
        while (count < 3 && sigtimedwait(&set, &info, &second) == SIGCHLD) {
            const char *names[] = {"?", "exited", "killed", "dumped", "trapped", "stopped", "continued"};
            printf("SIGCHLD: %s %d\n", names[info.si_code], info.si_status);
            count++;
            if (info.si_code == CLD_STOPPED) kill(child, SIGCONT);
            if (info.si_code == CLD_CONTINUED && write(go[1], &byte, 1) != 1) return 4;
        }
        return 0;
    }
    if (!strcmp(what, "affinity")) {
        cpu_set_t before, after;
        char byte = 'x';
        int ends[2];
        sched_getaffinity(0, sizeof before, &before);
        if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends)) return 4;
        for (int i = 0; i < 3000; i++)
            if (write(ends[0], &byte, 1) != 1 || read(ends[1], &byte, 1) != 1) return 4;
        sched_getaffinity(0, sizeof after, &after);
        printf("processors: %d, the same: %d\n", CPU_COUNT(&after), CPU_EQUAL(&before, &after));
        return 0;
    }
    if (!strcmp(what, "segv")) raise(SIGSEGV);
    if (!strcmp(what, "term")) raise(SIGTERM);
    return 2;
}
