/* Two goodbyes: the first client closes first, then the server does. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static void die(const char *call)
{
    perror(call);
    exit(1);
}

int main(int argc, char *argv[])
{
    int port = argc > 1 ? atoi(argv[1]) : 8080;
    char request[1024];

    int server = socket(AF_INET, SOCK_STREAM, 0);
    if (server == -1)
        die("socket");

    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_ANY),
    };
    if (bind(server, (struct sockaddr *)&address, sizeof address) == -1)
        die("bind");

    if (listen(server, 5) == -1)
        die("listen");

    int first = accept(server, NULL, NULL);
    if (first == -1)
        die("accept");

    if (read(first, request, sizeof request) == -1)
        die("read");

    close(first);

    int second = accept(server, NULL, NULL);
    if (second == -1)
        die("accept");

    close(second);

    close(server);
}
