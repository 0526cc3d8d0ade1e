"""Ten clients and a short waiting line."""
import socket
import sys

BACKLOG = 4
CLIENTS = 10


def main():
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8080
    clients = []

    server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)

    address = ("0.0.0.0", port)  # INADDR_ANY
    server.bind(address)

    server.listen(BACKLOG)

    for n in range(CLIENTS):
        client, peer = server.accept()
        clients.append(client)

    for client in clients:
        client.close()
    server.close()


main()
