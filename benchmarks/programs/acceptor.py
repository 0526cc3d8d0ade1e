"""A server that only accepts: for looking at many real sockets at once."""

import socket

server = socket.socket()
server.bind(("0.0.0.0", 8080))
server.listen(20_000)
kept = []
while True:
    kept.append(server.accept())
