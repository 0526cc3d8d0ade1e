"""The same page twice: from http.server, and from a Flask app."""
import socketserver
import sys
from http.server import BaseHTTPRequestHandler

PAGE = b"Hello, World!"


class Hello(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(PAGE)))
        self.end_headers()
        self.wfile.write(PAGE)


class Server(socketserver.TCPServer):
    allow_reuse_address = True


def serve_once(port):
    with Server(("", port), Hello) as server:
        server.handle_request()


def serve_with_flask(port):
    from flask import Flask

    app = Flask(__name__)

    @app.route("/")
    def page():
        return PAGE

    app.run("0.0.0.0", port, threaded=False)


def serve_without_flask(port):
    from wsgiref.simple_server import make_server

    def page(environ, start_response):
        start_response("200 OK", [("Content-Length", str(len(PAGE)))])
        return [PAGE]

    make_server("", port, page).serve_forever()


def main():
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8080

    serve_once(port)

    try:
        import flask
    except ImportError:
        print("Flask is not installed here: wsgiref, which comes with Python, serves the page.", flush=True)
        serve_without_flask(port)
    else:
        print("Flask serves the page.", flush=True)
        serve_with_flask(port)


main()
