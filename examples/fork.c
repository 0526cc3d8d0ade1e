/* An echo server that forks: one process for each client. */
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static void die(const char *call)
{
    perror(call);
    exit(1);
}

static void serve(int client)
{
    char buffer[1024];
    ssize_t n;

    while ((n = read(client, buffer, sizeof buffer)) > 0)
        write(client, buffer, n);
    close(client);
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

        pid_t child = fork(); /* returns twice: 0 in the child */
        if (child == -1)
            die("fork");
        if (child == 0) {
            close(server); /* the child's copy */
            serve(client);
            exit(0);
        }

        close(client); /* without this the FIN is never sent */

        while (waitpid(-1, NULL, WNOHANG) > 0)
            ; /* children that have ended stay zombies until somebody asks */
    }
}
