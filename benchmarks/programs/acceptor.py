"""Accepts N connections and keeps them, then goes round them: fcntl (dup), close. For looking at many sockets."""

import os
import socket
import sys

server = socket.socket()
server.bind(("0.0.0.0", 8080))
server.listen(20_000)
kept = [server.accept()[0] for _ in range(int(sys.argv[1]))]
while True:
    for connection in kept:
        os.close(os.dup(connection.fileno()))
