"""The same small server twice: for this host alone, then for everybody."""
import socket
import sys

RESPONSE = b"HTTP/1.0 200 OK\r\n\r\nHello, neighbour!"


def serve(host, port):
    """Serve one client at this address."""
    server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)

    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)

    server.bind((host, port))

    server.listen(5)

    client, peer = server.accept()

    client.recv(1024)
    client.sendall(RESPONSE)

    client.close()
    server.close()


def main():
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8080

    serve("127.0.0.1", port)  # INADDR_LOOPBACK
    serve("0.0.0.0", port)  # INADDR_ANY


main()
