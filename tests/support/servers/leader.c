/* A server whose first thread ends by pthread_exit while a worker goes on: argv[1] is its port. With a second
 * argument the leader ends when a line comes in. The worker makes the listener only when the leader is a zombie, whose
 * own /proc entries are empty. */
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static int port;

/* The file stays open: a test says that nothing was closed. */
static int leader_has_ended(void) {
    static int file = -1;
    char text[256] = "", state = 0;
    if (file == -1) {
        snprintf(text, sizeof text, "/proc/self/task/%d/stat", getpid());
        file = open(text, O_RDONLY);
    }
    ssize_t got = pread(file, text, sizeof text - 1, 0);
    text[got > 0 ? got : 0] = 0;
    sscanf(text, "%*d (%*[^)]) %c", &state);
    return state == 'Z';
}

static void *work(void *unused) {
    (void)unused;
    while (!leader_has_ended()) usleep(1000);
    int listener = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons(port)};
    if (bind(listener, (struct sockaddr *)&here, sizeof here)) abort();
    listen(listener, 7);
    for (;;) {
        char buffer[512];
        int connection = accept(listener, NULL, NULL);
        ssize_t got = read(connection, buffer, sizeof buffer);
        (void)got;
        got = write(connection, "HTTP/1.0 200 OK\r\n\r\nhello\n", 25);
        close(connection);
    }
    return NULL;
}

int main(int argc, char **argv) {
    pthread_t worker;
    port = argc > 1 ? atoi(argv[1]) : 8080;
    pthread_create(&worker, NULL, work, NULL);
    if (argc > 2) getchar();
    pthread_exit(NULL);
}
