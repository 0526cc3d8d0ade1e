"""A server with more to say than its client wants to read."""
import socket
import sys

SIZE = 1000000

data = bytes(SIZE)


def main():
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8080

    server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)

    address = ("0.0.0.0", port)  # INADDR_ANY
    server.bind(address)

    server.listen(5)

    client, peer = server.accept()

    client.sendall(data)

    client.close()
    server.close()


main()
