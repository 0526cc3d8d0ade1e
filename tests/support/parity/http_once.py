"""Python's own HTTP server answers one request; the client is a thread that reads only when the answer is complete."""

import http.server
import socket
import threading


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *words):
        return


server = http.server.HTTPServer(("127.0.0.1", 0), Quiet)
answered = threading.Event()


def ask():
    connection = socket.create_connection(server.server_address)
    connection.sendall(b"GET /there/is/none HTTP/1.0\r\nHost: lab\r\n\r\n")
    answered.wait()
    while connection.recv(4096):
        continue
    connection.close()


client = threading.Thread(target=ask)
client.start()
server.handle_request()
answered.set()
client.join()
server.server_close()
