/* An echo server with a thread for each client: they share one descriptor table. */
#include <arpa/inet.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static void die(const char *call)
{
    perror(call);
    exit(1);
}

static void *serve(void *argument)
{
    int client = (int)(intptr_t)argument;
    char buffer[1024];
    ssize_t n;

    while ((n = read(client, buffer, sizeof buffer)) > 0)
        write(client, buffer, n);
    close(client); /* for every thread: there is no second copy */
    return NULL;
}

int main(int argc, char *argv[])
{
    int port = argc > 1 ? atoi(argv[1]) : 8080;

    int server = socket(AF_INET, SOCK_STREAM, 0);
    if (server == -1)
        die("socket");
    int on = 1;
    setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);

    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_ANY),
    };
    if (bind(server, (struct sockaddr *)&address, sizeof address) == -1)
        die("bind");
    if (listen(server, 10) == -1)
        die("listen");

    for (;;) {
        int client = accept(server, NULL, NULL);
        if (client == -1)
            die("accept");

        pthread_t thread;
        if (pthread_create(&thread, NULL, serve, (void *)(intptr_t)client) != 0)
            die("pthread_create");
        pthread_detach(thread);
    }
}
