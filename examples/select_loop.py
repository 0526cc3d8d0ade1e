"""An echo server in one thread: select is told every descriptor, each time. None may be 1024 or more."""

import select
import socket
import sys


def main():
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8080
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind(("0.0.0.0", port))
    server.listen(10)
    watched = [server]

    while True:
        ready, _, _ = select.select(watched, [], [])

        for each in ready:
            if each is server:
                client, peer = server.accept()
                watched.append(client)
                continue
            data = each.recv(1024)
            if data:
                each.sendall(data)
            else:
                watched.remove(each)
                each.close()


main()
