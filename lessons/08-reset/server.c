/* Three ways to close a connection; two of them are rude. */
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

    int unheard = accept(server, NULL, NULL);
    if (unheard == -1)
        die("accept");

    close(unheard);

    int aborted = accept(server, NULL, NULL);
    if (aborted == -1)
        die("accept");

    struct linger at_once = { .l_onoff = 1, .l_linger = 0 };
    if (setsockopt(aborted, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once) == -1)
        die("setsockopt");

    close(aborted);

    int heard = accept(server, NULL, NULL);
    if (heard == -1)
        die("accept");

    if (read(heard, request, sizeof request) == -1)
        die("read");

    close(heard);

    close(server);
}
