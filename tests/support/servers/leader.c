/* A server whose first thread ends by pthread_exit while a worker goes on: argv[1] is its port. With a second
 * argument the leader ends when a line comes in. The worker makes the listener only when the leader is a zombie, whose
 * own /proc entries are empty. */
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static int port;

static int leader_has_ended(void) {
    char path[64], state = 0;
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", getpid());
    FILE *file = fopen(path, "r");
    fscanf(file, "%*d (%*[^)]) %c", &state);
    fclose(file);
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
