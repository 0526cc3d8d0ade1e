"""The smallest web server: seven calls, one client at a time."""
import socket
import sys

RESPONSE = (
    b"HTTP/1.1 200 OK\r\n"
    b"Content-Type: text/plain\r\n"
    b"Content-Length: 13\r\n"
    b"\r\n"
    b"Hello, World!"
)


def main():
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8080

    server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)

    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)

    address = ("0.0.0.0", port)  # INADDR_ANY
    server.bind(address)

    server.listen(10)

    while True:
        client, peer = server.accept()

        request = client.recv(1024)

        client.sendall(RESPONSE)

        client.close()


main()
