"""An echo server in one thread: poll is told every descriptor, each time, and has no limit on their numbers."""

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
    poll = select.poll()
    poll.register(server, select.POLLIN)

    while True:
        for fd, events in poll.poll():
            if fd == server.fileno():
                client, peer = server.accept()
                clients[client.fileno()] = client
                poll.register(client, select.POLLIN)
                continue
            data = clients[fd].recv(1024)
            if data:
                clients[fd].sendall(data)
            else:
                poll.unregister(fd)
                clients.pop(fd).close()


main()
