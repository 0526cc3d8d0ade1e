/* The smallest web server: seven calls, one client at a time. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char response[] =
    "HTTP/1.1 200 OK\r\n"
    "Content-Type: text/plain\r\n"
    "Content-Length: 13\r\n"
    "\r\n"
    "Hello, World!";

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

    int on = 1;
    if (setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == -1)
        die("setsockopt");

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
        struct sockaddr_in peer;
        socklen_t length = sizeof peer;
        int client = accept(server, (struct sockaddr *)&peer, &length);
        if (client == -1)
            die("accept");

        if (read(client, request, sizeof request) == -1)
            die("read");

        if (write(client, response, strlen(response)) == -1)
            die("write");

        close(client);
    }
}
