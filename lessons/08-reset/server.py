"""Three ways to close a connection; two of them are rude."""
import socket
import struct
import sys


def main():
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8080

    server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)

    address = ("0.0.0.0", port)  # INADDR_ANY
    server.bind(address)

    server.listen(5)

    unheard, peer = server.accept()

    unheard.close()

    aborted, peer = server.accept()

    at_once = struct.pack("ii", 1, 0)  # l_onoff, l_linger
    aborted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)

    aborted.close()

    heard, peer = server.accept()

    request = heard.recv(1024)

    heard.close()

    server.close()


main()
