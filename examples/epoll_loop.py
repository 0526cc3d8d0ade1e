"""An echo server in one thread: the kernel keeps the list of descriptors and hands over those that are ready."""

import select
import socket
import sys


def main():
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8080
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind(("0.0.0.0", port))
    server.listen(10)

    clients = {}
    epoll = select.epoll()
    epoll.register(server, select.EPOLLIN)

    while True:
        for fd, events in epoll.poll():
            if fd == server.fileno():
                client, peer = server.accept()
                clients[client.fileno()] = client
                epoll.register(client, select.EPOLLIN)
                continue
            data = clients[fd].recv(1024)
            if data:
                clients[fd].sendall(data)
            else:
                clients.pop(fd).close()  # which takes it off the list, too


main()
