/* An epoll server for one client, and that client in a forked child. What each does next depends on the other's last
 * move alone, so every run makes the same calls. */
#include <arpa/inet.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof address;
    char buffer[128];
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    bind(listener, (struct sockaddr *)&address, sizeof address);
    listen(listener, 16);
    getsockname(listener, (struct sockaddr *)&address, &size);
    if (fork() == 0) {
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        connect(fd, (struct sockaddr *)&address, sizeof address);
        send(fd, "ping", 4, MSG_NOSIGNAL);
        recv(fd, buffer, sizeof buffer, 0);
        close(fd);
        _exit(3);
    }
    int set = epoll_create1(0), open_clients = 1;
    struct epoll_event event = {EPOLLIN, {.fd = listener}}, ready[4];
    epoll_ctl(set, EPOLL_CTL_ADD, listener, &event);
    while (open_clients > 0) {
        int count = epoll_wait(set, ready, 4, -1);
        for (int at = 0; at < count; at++) {
            int fd = ready[at].data.fd;
            if (fd == listener) {
                size = sizeof address;
                int client = accept4(listener, (struct sockaddr *)&address, &size, SOCK_NONBLOCK);
                accept4(listener, NULL, NULL, SOCK_NONBLOCK);
                event.events = EPOLLIN | EPOLLET;
                event.data.fd = client;
                epoll_ctl(set, EPOLL_CTL_ADD, client, &event);
                continue;
            }
            ssize_t got = recv(fd, buffer, sizeof buffer, 0);
            if (got > 0) {
                send(fd, "pong", 4, 0);
            } else {
                epoll_ctl(set, EPOLL_CTL_DEL, fd, NULL);
                close(fd);
                open_clients--;
            }
        }
    }
    wait(NULL);
    close(set);
    close(listener);
    return 0;
}
