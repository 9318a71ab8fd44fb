"""Some other server on loopback, https://localhost:PORT, as the commands meet it that a client runs in Bash."""

from __future__ import annotations

import ssl
import subprocess
import threading
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

from demo.certificate import write_certificate

__all__ = ["FileOrigin"]


class FileOrigin:
    """Files over TLS. Only who trusts `ca_path`, and nothing else, can tell that no proxy looks into the connection."""

    def __init__(self, directory: Path) -> None:
        files = directory / "files"
        files.mkdir(parents=True)
        _write_text(files)
        _write_repository(files / "repository.git")
        _write_package_index(files / "simple/made-up-package")
        self.ca_path, key_path = write_certificate(directory, ("localhost",))
        self.paths: list[str] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, self.paths, directory=str(files)))
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(self.ca_path, key_path)
        # Hands are shaken on the thread of each connection, and nobody waits for a client that has gone again.
        self._server.socket = tls.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self._server.socket.settimeout(1.0)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})

    @property
    def authority(self) -> str:
        return f"localhost:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Handler(SimpleHTTPRequestHandler):
    def __init__(self, paths: list[str], *arguments: Any, **named: Any) -> None:
        self._paths = paths
        super().__init__(*arguments, **named)

    def log_message(self, *_: object) -> None:
        self._paths.append(self.path)


def _write_text(files: Path) -> None:
    (files / "hello.txt").write_text("hello from the origin\n")
    (files / "-").mkdir()
    (files / "-/ping").write_text("{}")  # what `npm ping` asks for


def _write_repository(path: Path) -> None:
    """A repository that git reads as plain files."""

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", *arguments], check=True, capture_output=True, text=True)
        return done.stdout.strip()

    git("init", "--quiet", "--bare", str(path))
    tree = git("--git-dir", str(path), "hash-object", "-t", "tree", "-w", "/dev/null")
    identity = ("-c", "user.name=nobody", "-c", "user.email=nobody@localhost", "-c", "commit.gpgsign=false")
    commit = git("--git-dir", str(path), *identity, "commit-tree", "-m", "Nothing yet", tree)
    git("--git-dir", str(path), "update-ref", "refs/heads/main", commit)
    git("--git-dir", str(path), "update-server-info")


def _write_package_index(directory: Path) -> None:
    directory.mkdir(parents=True)
    name = "made_up_package-1.0-py3-none-any.whl"
    with zipfile.ZipFile(directory / name, "w") as wheel:
        wheel.writestr(
            "made_up_package-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: made-up-package\nVersion: 1.0\n"
        )
        wheel.writestr(
            "made_up_package-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr("made_up_package-1.0.dist-info/RECORD", "")
    (directory / "index.html").write_text(f'<a href="{name}">{name}</a>')
