/* An event loop that counts its edges: each epoll_wait takes what is there at once, and says how many events it got.
   Whoever looks at it must neither take an edge nor add one. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static int watcher;

static void watch(int fd, unsigned events) {
    struct epoll_event event = {.events = events, .data.fd = fd};
    epoll_ctl(watcher, EPOLL_CTL_ADD, fd, &event);
}

static void count(const char *when) {
    struct epoll_event events[16];
    printf("%s: %d\n", when, epoll_wait(watcher, events, 16, 0));
    fflush(stdout);
}

int main(void) {
    int pipes[5][2];
    watcher = epoll_create1(0);
    for (int i = 0; i < 5; i++) {
        pipe(pipes[i]);
        watch(pipes[i][0], EPOLLIN | EPOLLET);
    }
    for (int i = 1; i < 4; i++)
        write(pipes[i][1], "x", 1);
    count("three pipes");
    count("no new byte");

    int udp = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(5300)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    bind(udp, (struct sockaddr *)&address, sizeof address);
    watch(udp, EPOLLIN | EPOLLET | EPOLLONESHOT);
    sendto(udp, "twelve bytes", 12, 0, (struct sockaddr *)&address, sizeof address);
    count("a datagram");
    sendto(udp, "more", 4, 0, (struct sockaddr *)&address, sizeof address);
    count("disarmed");

    int listener = socket(AF_INET, SOCK_STREAM, 0);
    address.sin_port = htons(8080);
    bind(listener, (struct sockaddr *)&address, sizeof address);
    listen(listener, 4);
    int near = socket(AF_INET, SOCK_STREAM, 0);
    connect(near, (struct sockaddr *)&address, sizeof address);
    int far = accept(listener, NULL, NULL);
    watch(near, EPOLLIN | EPOLLOUT | EPOLLET);
    count("room to write");
    write(far, "answer", 6);
    count("an answer");
    count("nothing new");
    close(far);
    return 0;
}
