"""An echo server that forks: one process for each client."""

import os
import socket
import sys


def serve(client):
    while data := client.recv(1024):
        client.sendall(data)
    client.close()


def main():
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8080
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind(("0.0.0.0", port))
    server.listen(10)

    while True:
        client, peer = server.accept()

        if os.fork() == 0:  # returns twice: 0 in the child
            server.close()  # the child's copy
            serve(client)
            os._exit(0)

        client.close()  # without this the FIN is never sent
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass  # children that have ended stay zombies until somebody asks
        except ChildProcessError:
            pass  # there is no child at all


main()
