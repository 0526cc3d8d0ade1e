/* What a process can see of its surroundings, one fact a line: "name value". */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <termios.h>
#include <unistd.h>

extern char **environ;

static void file(const char *name, const char *path) {
    char line[4096];
    FILE *in = fopen(path, "r");
    while (in != NULL && fgets(line, sizeof line, in) != NULL) {
        line[strcspn(line, "\n")] = 0;
        printf("%s %s\n", name, line);
    }
    if (in != NULL) fclose(in);
}

static void status(void) {
    static const char *const wanted[] = {"Umask", "TracerPid", "Uid", "Gid", "Groups", "SigPnd", "ShdPnd", "SigBlk",
        "SigIgn", "SigCgt", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp",
        "Seccomp_filters", "Speculation_Store_Bypass", "SpeculationIndirectBranch", "Cpus_allowed_list",
        "Mems_allowed_list", "Threads", "THP_enabled", "untag_mask"};
    char line[4096];
    FILE *in = fopen("/proc/self/status", "r");
    while (in != NULL && fgets(line, sizeof line, in) != NULL) {
        char *value = strchr(line, ':');
        if (value == NULL) continue;
        *value++ = 0;
        value[strcspn(value, "\n")] = 0;
        for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
            if (strcmp(line, wanted[i]) == 0) printf("%s %s\n", line, value + strspn(value, "\t "));
    }
    if (in != NULL) fclose(in);
}

static void descriptors(void) {
    for (int fd = 0; fd < 1024; fd++) {
        struct stat found;
        if (fstat(fd, &found) == 0)
            printf("descriptor %d type %o flags %x\n", fd, found.st_mode & S_IFMT, fcntl(fd, F_GETFL) & ~O_LARGEFILE);
    }
}

static void limits(void) {
    for (int which = 0; which < 16; which++) {
        struct rlimit limit;
        if (getrlimit(which, &limit) == 0) printf("rlimit %d %llx %llx\n", which, (long long)limit.rlim_cur, (long long)limit.rlim_max);
    }
}

static void links(void) {
    static const char *const kinds[] = {"net", "mnt", "user", "pid", "uts", "ipc", "cgroup", "time"};
    char path[64], target[4096];
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        snprintf(path, sizeof path, "/proc/self/ns/%s", kinds[i]);
        ssize_t length = readlink(path, target, sizeof target - 1);
        printf("namespace_%s %.*s\n", kinds[i], (int)(length < 0 ? 0 : length), target);
    }
}

static void file_of_parent(void) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/comm", getppid());
    file("parent", path);
}

int main(int argc, char **argv) {
    char here[4096];
    struct sigaction action;
    struct winsize size = {0};
    struct termios modes;
    int signo = 0;
    for (int i = 0; i < argc; i++) printf("argv %d %s\n", i, argv[i]);
    for (char **each = environ; *each != NULL; each++) printf("environment %s\n", *each);
    printf("cwd %s\n", getcwd(here, sizeof here));
    for (int number = 1; number < NSIG; number++)
        if (sigaction(number, NULL, &action) == 0 && action.sa_handler != SIG_DFL) printf("ignored %d\n", number);
    printf("nice %d\n", getpriority(PRIO_PROCESS, 0));
    printf("scheduler %d\n", sched_getscheduler(0));
    printf("personality %x\n", personality(0xffffffff));
    printf("dumpable %d\n", prctl(PR_GET_DUMPABLE));
    printf("subreaper %d\n", (prctl(PR_GET_CHILD_SUBREAPER, &signo), signo));
    printf("pdeathsig %d\n", (prctl(PR_GET_PDEATHSIG, &signo), signo));
    printf("keepcaps %d\n", prctl(PR_GET_KEEPCAPS));
    printf("securebits %d\n", prctl(PR_GET_SECUREBITS));
    printf("timerslack %d\n", prctl(PR_GET_TIMERSLACK));
    printf("thp %d\n", prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0));
    printf("group_leader %d\n", getpgrp() == getpid());
    printf("session_leader %d\n", getsid(0) == getpid());
    file_of_parent();
    printf("terminal %d\n", isatty(0) && isatty(1) && isatty(2));
    printf("dev_tty %d\n", open("/dev/tty", O_RDWR) >= 0);
    printf("foreground %d\n", tcgetpgrp(0) == getpgrp());
    if (ioctl(0, TIOCGWINSZ, &size) == 0) printf("window %dx%d\n", size.ws_col, size.ws_row);
    if (tcgetattr(1, &modes) == 0) printf("termios %x %x %x %x\n", modes.c_iflag, modes.c_oflag, modes.c_cflag, modes.c_lflag);
    status();
    links();
    limits();
    file("oom_score_adj", "/proc/self/oom_score_adj");
    file("coredump_filter", "/proc/self/coredump_filter");
    file("cgroup", "/proc/self/cgroup");
    file("loginuid", "/proc/self/loginuid");
    fflush(stdout);
    descriptors();
    return 0;
}
