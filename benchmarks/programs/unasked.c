/* A million system calls that nobody asked to see: the cheapest there is, or everyday ones. Prints the seconds. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv) {
    const char *kind = argc > 1 ? argv[1] : "getppid";
    long count = argc > 2 ? atol(argv[2]) : 1000000;
    struct timespec from, to;
    struct stat found;
    char bytes[256];
    clock_gettime(CLOCK_MONOTONIC, &from);
    if (!strcmp(kind, "getppid"))
        for (long i = 0; i < count; i++) syscall(SYS_getppid);
    else if (!strcmp(kind, "stat"))
        for (long i = 0; i < count; i++) stat("/etc/hostname", &found);
    else if (!strcmp(kind, "getrandom"))
        for (long i = 0; i < count; i++) { if (getrandom(bytes, sizeof bytes, 0) < 0) return 1; }
    else if (!strcmp(kind, "mmap"))
        for (long i = 0; i < count / 2; i++)
            munmap(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), 4096);
    else
        return 2;
    clock_gettime(CLOCK_MONOTONIC, &to);
    fprintf(stderr, "%.6f\n", (to.tv_sec - from.tv_sec) + (to.tv_nsec - from.tv_nsec) / 1e9);
    return 0;
}
