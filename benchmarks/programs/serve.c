/* The small server that is measured: accept, read, write, close for each request, nothing else. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char answer[] = "HTTP/1.0 200 OK\r\nContent-Length: 13\r\n\r\nHello, World!";

int main(int argc, char **argv) {
    int port = argc > 1 ? atoi(argv[1]) : 8080, requests = argc > 2 ? atoi(argv[2]) : 1000, on = 1;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 128)) {
        perror("serve");
        return 1;
    }
    for (int i = 0; i < requests; i++) {
        char buffer[1024];
        int connection = accept(listener, NULL, NULL);
        if (read(connection, buffer, sizeof buffer) < 0) perror("read");
        if (write(connection, answer, sizeof answer - 1) < 0) perror("write");
        close(connection);
    }
    return 0;
}
