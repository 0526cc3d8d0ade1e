/* A server with more to say than its client wants to read. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SIZE = 1000000 };

static char data[SIZE];

static void die(const char *call)
{
    perror(call);
    exit(1);
}

int main(int argc, char *argv[])
{
    int port = argc > 1 ? atoi(argv[1]) : 8080;

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

    int client = accept(server, NULL, NULL);
    if (client == -1)
        die("accept");

    if (write(client, data, SIZE) == -1)
        die("write");

    close(client);
    close(server);
}
