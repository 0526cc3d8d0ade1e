/* A server of the kind named by argv[1] on 127.0.0.1:argv[2]: one, fork, prefork, thread or epoll. It reads a request
 * and answers "kind pid". It forgives nothing: a call that fails, or is interrupted without need, ends it with status 3.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *kind;

static void die(const char *what) {
    perror(what);
    _exit(3);
}

static void serve(int connection) {
    char request[4096], answer[256], body[64];
    ssize_t got = read(connection, request, sizeof request);
    if (got < 0) die("read");
    if (got > 0) {
        int length = snprintf(body, sizeof body, "%s %7d\n", kind, (int)getpid());
        int size = snprintf(answer, sizeof answer,
                            "HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s", length, body);
        if (write(connection, answer, size) != size) die("write");
    }
    if (close(connection)) die("close");
}

static void *thread_main(void *argument) {
    serve((int)(long)argument);
    return NULL;
}

static int take(int listener) {
    int connection = accept(listener, NULL, NULL);
    if (connection < 0) die("accept");
    return connection;
}

static void by_epoll(int listener) {
    int instance = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event wanted = {.events = EPOLLIN, .data.fd = listener}, ready[8];
    if (epoll_ctl(instance, EPOLL_CTL_ADD, listener, &wanted)) die("epoll_ctl");
    for (;;) {
        int count = epoll_wait(instance, ready, 8, -1);
        if (count < 0) die("epoll_wait");
        for (int i = 0; i < count; i++) {
            if (ready[i].data.fd == listener) {
                wanted.data.fd = take(listener);
                if (epoll_ctl(instance, EPOLL_CTL_ADD, wanted.data.fd, &wanted)) die("epoll_ctl");
            } else {
                serve(ready[i].data.fd);
            }
        }
    }
}

int main(int argc, char **argv) {
    int on = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (argc < 3) return 2;
    kind = argv[1];
    address.sin_port = htons(atoi(argv[2]));
    signal(SIGPIPE, SIG_IGN);
    if (setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on)) die("setsockopt");
    if (bind(listener, (struct sockaddr *)&address, sizeof address)) die("bind");
    if (listen(listener, 128)) die("listen");
    if (!strcmp(kind, "epoll")) by_epoll(listener);
    if (!strcmp(kind, "prefork"))
        for (int i = 1; i < (argc > 3 ? atoi(argv[3]) : 4); i++)
            if (fork() == 0) break;
    if (!strcmp(kind, "fork")) signal(SIGCHLD, SIG_IGN);
    for (;;) {
        int connection = take(listener);
        if (!strcmp(kind, "thread")) {
            pthread_t thread;
            if (pthread_create(&thread, NULL, thread_main, (void *)(long)connection)) die("pthread_create");
            pthread_detach(thread);
        } else if (!strcmp(kind, "fork")) {
            pid_t child = fork();
            if (child < 0) die("fork");
            if (child == 0) {
                close(listener);
                serve(connection);
                _exit(0);
            }
            close(connection);
        } else {
            serve(connection);
        }
    }
}
