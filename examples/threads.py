"""An echo server with a thread for each client: they share one descriptor table."""

import socket
import sys
import threading


def serve(client):
    while data := client.recv(1024):
        client.sendall(data)
    client.close()  # for every thread: there is no second copy


def main():
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8080
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind(("0.0.0.0", port))
    server.listen(10)

    while True:
        client, peer = server.accept()

        threading.Thread(target=serve, args=(client,), daemon=True).start()


main()
