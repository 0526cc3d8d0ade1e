/* The same small server twice: for this host alone, then for everybody. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char response[] = "HTTP/1.0 200 OK\r\n\r\nHello, neighbour!";

static void die(const char *call)
{
    perror(call);
    exit(1);
}

/* Serve one client at this address. */
static void serve(in_addr_t host, int port)
{
    char request[1024];

    int server = socket(AF_INET, SOCK_STREAM, 0);
    if (server == -1)
        die("socket");

    int on = 1;
    if (setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == -1)
        die("setsockopt");

    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(host),
    };
    if (bind(server, (struct sockaddr *)&address, sizeof address) == -1)
        die("bind");

    if (listen(server, 5) == -1)
        die("listen");

    int client = accept(server, NULL, NULL);
    if (client == -1)
        die("accept");

    if (read(client, request, sizeof request) == -1)
        die("read");
    if (write(client, response, strlen(response)) == -1)
        die("write");

    close(client);
    close(server);
}

int main(int argc, char *argv[])
{
    int port = argc > 1 ? atoi(argv[1]) : 8080;

    serve(INADDR_LOOPBACK, port);   /* 127.0.0.1 */
    serve(INADDR_ANY, port);        /* 0.0.0.0 */
}
