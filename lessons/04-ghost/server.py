"""A waiting line that is cut short while clients are on their way."""
import socket
import sys

CLIENTS = 5


def main():
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8080
    clients = []

    server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)

    address = ("0.0.0.0", port)  # INADDR_ANY
    server.bind(address)

    server.listen(8)

    server.listen(1)

    for n in range(CLIENTS):
        client, peer = server.accept()
        clients.append(client)

    for client in clients:
        client.close()
    server.close()


main()
