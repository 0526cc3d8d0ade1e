/* An echo server in one thread: the kernel keeps the list of descriptors and hands over those that are ready. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static void die(const char *call)
{
    perror(call);
    exit(1);
}

static void watch(int epoll, int descriptor)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = descriptor};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event) == -1)
        die("epoll_ctl");
}

static void serve(int client)
{
    char buffer[1024];
    ssize_t n = read(client, buffer, sizeof buffer);

    if (n > 0)
        write(client, buffer, n);
    else
        close(client); /* which takes it off the list, too */
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

    int epoll = epoll_create1(0);
    if (epoll == -1)
        die("epoll_create1");
    watch(epoll, server);

    for (;;) {
        struct epoll_event ready[16];
        int n = epoll_wait(epoll, ready, 16, -1);

        for (int i = 0; i < n; i++) {
            if (ready[i].data.fd != server) {
                serve(ready[i].data.fd);
                continue;
            }
            int client = accept(server, NULL, NULL);
            if (client == -1)
                die("accept");
            watch(epoll, client);
        }
    }
}
