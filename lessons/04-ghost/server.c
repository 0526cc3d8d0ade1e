/* A waiting line that is cut short while clients are on their way. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CLIENTS = 5 };

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

    if (listen(server, 8) == -1)
        die("listen");

    if (listen(server, 1) == -1)
        die("listen");

    for (int n = 0; n < CLIENTS; n++) {
        clients[n] = accept(server, NULL, NULL);
        if (clients[n] == -1)
            die("accept");
    }

    for (int n = 0; n < CLIENTS; n++)
        close(clients[n]);
    close(server);
}
