"""What socklab decodes of real servers equals what strace prints of them: names, symbolic arguments, results.

Servers from Debian's packages and PyPI, each answering real requests; a server that is not installed is a visible
skip. The rules of the comparison are those of tests/support/parity_run.py.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from tests.support import parity_run, servers, strace
from tests.support.shared import open_folder

pytestmark = pytest.mark.kernel

REDIS = b"PING\r\nQUIT\r\n"


@pytest.fixture(scope="module", autouse=True)
def _strace() -> None:
    reason = strace.available()
    if reason:
        pytest.skip(reason)


def tool(name: str) -> str:
    """Path of a server's program, else a visible skip."""
    found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def same(
    *argv: str,
    must_appear: str,
    count: int = 3,
    one_line: bool = False,
    any_fd: bool = False,
    cwd: Path | None = None,
) -> None:
    """Both tracers saw the same of `argv` ({port} is replaced), and all of `must_appear` is in it."""
    redis = "redis" in argv[0]
    drive = partial(parity_run.requests, count=count, **({"say": REDIS, "hear": b"PONG"} if redis else {}))
    difference, calls = parity_run.compare(
        lambda port: [word.replace("{port}", str(port)) for word in argv],
        drive,
        cwd=str(cwd or "/"),
        one_line=one_line,
        any_fd=any_fd,
    )
    assert not difference, difference
    names = {strace.name_of(line) for lines in calls for line in lines}
    assert set(must_appear.split()) <= names, f"strace saw only {sorted(names)}"


@pytest.mark.parametrize("kind", ["one", "fork", "prefork", "thread", "epoll"])
def test_c_servers_of_every_kind(kind: str) -> None:
    must_appear = "socket bind listen accept read write close"
    same(servers.built("answer"), kind, "{port}", must_appear=must_appear, count=4, any_fd=kind == "thread")


def test_the_http_server_of_python(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("hello\n")
    words = [sys.executable, "-m", "http.server", "{port}", "--bind", "127.0.0.1", "--directory", str(tmp_path)]
    must_appear = "socket setsockopt bind listen poll accept4 recvfrom sendto shutdown close"
    same(*words, must_appear=must_appear, any_fd=True, cwd=tmp_path)


def test_gunicorn_with_flask(tmp_path: Path) -> None:
    for package in ("flask", "gunicorn"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed (pip install socklab[servers])")
    (tmp_path / "app.py").write_text(
        'from flask import Flask\n\napp = Flask(__name__)\n\n\n@app.get("/")\ndef hello():\n    return "hello\\n"\n'
    )
    words = [sys.executable, "-m", "gunicorn", "-w", "1", "-b", "127.0.0.1:{port}", "--chdir", str(tmp_path)]
    extra = ["--no-control-socket"] if _gunicorn_has_control_socket() else []
    same(*words, *extra, "app:app", must_appear="bind listen accept4 recvfrom sendto close", cwd=tmp_path)


def _gunicorn_has_control_socket() -> bool:
    said = subprocess.run([sys.executable, "-m", "gunicorn", "--help"], capture_output=True, text=True, check=True)
    return "--no-control-socket" in said.stdout


def test_nginx_whose_workers_wait_with_epoll() -> None:
    folder = open_folder()  # its workers are another user's
    temporary = " ".join(f"{each}_temp_path {folder};" for each in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    (folder / "nginx.conf").write_text(
        f"daemon off; worker_processes 1; error_log stderr; pid {folder}/pid; events {{ worker_connections 64; }}\n"
        f"http {{ access_log off; {temporary}\n"
        '  server { listen 127.0.0.1:PORT; location / { return 200 "hello\\n"; } } }\n'
    )
    run = f"sed s/PORT/{{port}}/ nginx.conf > used.conf; exec {tool('nginx')} -c {folder}/used.conf"
    same("sh", "-c", run, must_appear="epoll_ctl epoll_wait accept4 recvfrom writev close", cwd=folder)


def test_apache_that_forks_its_workers_before() -> None:
    folder = open_folder()
    modules = Path("/usr/lib/apache2/modules")
    apache = tool("apache2")
    if not (modules / "mod_mpm_prefork.so").exists():
        pytest.skip("apache2's prefork module is not installed")
    (folder / "index.html").write_text("hello\n")
    os.utime(folder / "index.html", (0, 0))  # of a file that is a second old the ETag would be a weak one
    lines = [
        f"ServerRoot {folder}",
        "ServerName localhost",
        "Listen 127.0.0.1:PORT",
        f"PidFile {folder}/pid-PORT",
        "ErrorLog /dev/stderr",
        *(f"LoadModule {each}_module {modules}/mod_{each}.so" for each in ("mpm_prefork", "authz_core", "dir")),
        "StartServers 3",
        "MinSpareServers 1",  # with less idle than that, looked at once a second, it complains of its limit
        "MaxSpareServers 3",
        "ServerLimit 3",
        "MaxRequestWorkers 3",
        f"DocumentRoot {folder}",
        f"<Directory {folder}>\nRequire all granted\n</Directory>",
        "DirectoryIndex index.html",
    ]
    if os.geteuid() == 0:
        lines += ["User nobody", "Group nogroup"]
    (folder / "apache.conf").write_text("\n".join(lines) + "\n")
    run = f"sed s/PORT/{{port}}/ apache.conf > used.conf; exec {apache} -DFOREGROUND -f {folder}/used.conf"
    same("sh", "-c", run, must_appear="clone socket bind listen accept4 read writev close", cwd=folder)


def test_redis_with_its_own_event_loop(tmp_path: Path) -> None:
    words = [
        tool("redis-server"),
        "--port",
        "{port}",
        "--bind",
        "127.0.0.1",
        "--dir",
        str(tmp_path),
        "--daemonize",
        "no",
        *("--save", ""),  # or it leaves a file that the second run reads
        "--logfile",  # on a terminal it draws a logo with its process id inside
        "/dev/null",
    ]
    same(*words, must_appear="epoll_ctl epoll_wait accept4 read write close")


def test_node(tmp_path: Path) -> None:
    script = tmp_path / "server.js"
    script.write_text(
        "require('http').createServer((_, r) => { r.end('hello\\n') }).listen(+process.argv[2], '127.0.0.1')\n"
    )
    # V8 opens its own file to map its code anew, unless the addresses drawn for this run happen to lie near it.
    words = tool("node"), "--no-short-builtin-calls", str(script), "{port}"
    same(*words, must_appear="epoll_ctl epoll_pwait accept4 read write close", cwd=tmp_path)


def test_go(tmp_path: Path) -> None:
    (tmp_path / "server.go").write_text(
        'package main\n\nimport (\n\t"fmt"\n\t"net/http"\n\t"os"\n)\n\nfunc main() {\n'
        '\thttp.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, "hello") })\n'
        '\thttp.ListenAndServe("127.0.0.1:"+os.Args[1], nil)\n}\n'
    )
    environment = {**os.environ, "GOCACHE": str(tmp_path / "cache"), "GO111MODULE": "off"}
    subprocess.run(
        [tool("go"), "build", "-o", "server", "server.go"], cwd=tmp_path, env=environment, check=True, timeout=240
    )
    same(str(tmp_path / "server"), "{port}", must_appear="socket bind listen accept4", one_line=True)


def test_a_difference_is_reported_where_it_begins() -> None:
    ours = [["socket() = 3", "bind(3) = 0"], ["read(4) = 1", "close(4) = 0"]]
    theirs = [["read(4) = 1", "close(4) = 0"], ["socket() = 3", "bind(3) = -1 EADDRINUSE"]]
    said = parity_run.first_difference(ours, theirs)
    assert said.startswith("1 of 2 threads")
    assert "-bind(3) = -1 EADDRINUSE\n+bind(3) = 0" in said
    assert parity_run.first_difference(ours, ours[::-1]) == ""
