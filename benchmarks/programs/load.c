/* One client after the other; prints the requests per second of those after the warm-up. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

int main(int argc, char **argv) {
    int port = atoi(argv[1]), requests = atoi(argv[2]), warm_up = atoi(argv[3]);
    static const char request[] = "GET / HTTP/1.0\r\nHost: localhost\r\nUser-Agent: load\r\n\r\n";
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    double start = 0, deadline = now() + 20;
    (void)argc;
    for (int i = 0; i < requests; i++) {
        char buffer[1024];
        if (i == warm_up) start = now();
        int s = socket(AF_INET, SOCK_STREAM, 0);
        while (connect(s, (struct sockaddr *)&address, sizeof address)) {
            if (i > 0 || errno != ECONNREFUSED || now() > deadline) { perror("connect"); return 1; }
            close(s); /* the server is not listening yet; a refused socket is not used again */
            usleep(2000);
            s = socket(AF_INET, SOCK_STREAM, 0);
        }
        if (write(s, request, sizeof request - 1) < 0) { perror("write"); return 1; }
        while (read(s, buffer, sizeof buffer) > 0) { }
        close(s);
    }
    printf("%.1f\n", (requests - warm_up) / (now() - start));
    return 0;
}
