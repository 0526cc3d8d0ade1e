"""Two goodbyes: the first client closes first, then the server does."""
import socket
import sys


def main():
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8080

    server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)

    address = ("0.0.0.0", port)  # INADDR_ANY
    server.bind(address)

    server.listen(5)

    first, peer = server.accept()

    request = first.recv(1024)

    first.close()

    second, peer = server.accept()

    second.close()

    server.close()


main()
