/* The measured server with many processes: they share a listener and serve until killed. argv: port, processes. */
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

static const char answer[] = "HTTP/1.0 200 OK\r\nContent-Length: 13\r\n\r\nHello, World!";

int main(int argc, char **argv) {
    int port = atoi(argv[1]), processes = atoi(argv[2]), on = 1;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    (void)argc;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 128)) {
        perror("prefork");
        return 1;
    }
    for (int i = 1; i < processes; i++)
        if (fork() == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            break;
        }
    for (;;) {
        char buffer[1024];
        int connection = accept(listener, NULL, NULL);
        if (read(connection, buffer, sizeof buffer) < 0) perror("read");
        if (write(connection, answer, sizeof answer - 1) < 0) perror("write");
        close(connection);
    }
}
