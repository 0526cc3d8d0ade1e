/* Ten clients and a short waiting line. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKLOG = 4, CLIENTS = 10 };

static void die(const char *call)
{
    perror(call);
    exit(1);
}

int main(int argc, char *argv[])
{
    int port = argc > 1 ? atoi(argv[1]) : 8080;
    int clients[CLIENTS];

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

    if (listen(server, BACKLOG) == -1)
        die("listen");

    for (int n = 0; n < CLIENTS; n++) {
        struct sockaddr_in peer;
        socklen_t length = sizeof peer;
        clients[n] = accept(server, (struct sockaddr *)&peer, &length);
        if (clients[n] == -1)
            die("accept");
    }

    for (int n = 0; n < CLIENTS; n++)
        close(clients[n]);
    close(server);
}
