"""Runs what deploy/Dockerfile says that its image runs, as an engine would, where there is no engine.

The same user, environment, folders and commands; a file system of its own that may only be read, but for the volumes
and /tmp; no capabilities, and no way to new privileges. What the image has of the system and of Python is this
machine's, and so is the network.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from tests.e2e.mitmdump import PROJECT

__all__ = ["Container", "Image", "reason_against"]

DOCKERFILE = PROJECT / "deploy" / "Dockerfile"
_SECONDS = 180.0
_NEEDED = ("unshare", "nsenter", "setpriv", "chroot", "mount")

# $1 is where the file system is put together, $2 the copy of /app, $3 Python's own folder, $4 the volumes' folder,
# $5 that of the secrets; the rest is what runs in it.
_ENTER = r"""
set -eu
root=$1 app=$2 python=$3 site=$4 volumes=$5 secrets=$6; shift 6
read_only() { mkdir -p "$root$2"; mount --bind "$1" "$root$2"; mount -o remount,bind,ro,nosuid "$root$2"; }
mount -t tmpfs -o mode=755 tmpfs "$root"
for name in usr etc; do read_only "/$name" "/$name"; done
for name in bin sbin lib lib64; do
    if [ -L "/$name" ]; then cp -P "/$name" "$root/$name"; elif [ -d "/$name" ]; then read_only "/$name" "/$name"; fi
done
read_only "$app" /app
case $python in /usr|/usr/*) ;; *) read_only "$python" "$python" ;; esac
mount --bind "$site" "$root/app/.venv/lib"
mount -o remount,bind,ro,nosuid "$root/app/.venv/lib"
for name in state ca; do mkdir "$root/$name"; mount --bind "$volumes/$name" "$root/$name"; done
read_only "$secrets" /run/secrets
mkdir "$root/tmp" "$root/proc" "$root/dev"
mount -t tmpfs -o mode=1777,size=16m,noexec,nosuid,nodev tmpfs "$root/tmp"
mount --rbind /proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -o remount,ro "$root"
exec chroot "$root" /bin/sh -c 'cd /app; exec "$@"' sh "$@"
"""


@cache
def reason_against() -> str:
    """Why this cannot be done here; empty if it can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "a file system of its own takes root on Linux"
    if missing := [name for name in _NEEDED if not shutil.which(name)]:
        return f"{', '.join(missing)} is not installed"
    probe = ["unshare", "--mount", "--propagation", "private", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    tried = subprocess.run(probe, capture_output=True, check=False, text=True)
    return f"no file system can be put together here: {tried.stderr.strip()}" if tried.returncode else ""


@dataclass(frozen=True)
class Image:
    """What the Dockerfile says of the image."""

    copied: Mapping[str, str]
    """From the project's folder to /app."""
    environment: Mapping[str, str]
    user: str
    entrypoint: Sequence[str]
    healthcheck: Sequence[str]
    volumes: Sequence[str]

    @classmethod
    def of_the_dockerfile(cls) -> Image:
        lines = re.sub(r"\\\n", " ", DOCKERFILE.read_text(encoding="utf-8")).splitlines()
        instructions = [line.partition(" ")[::2] for line in lines if line and not line.startswith("#")]
        copied = {}
        for name, rest in instructions:
            if name == "COPY" and not rest.startswith("--from"):
                *sources, target = rest.split()
                for source in sources:
                    copied[source] = f"{target.rstrip('/')}/{Path(source).name}" if target.endswith("/") else target
        said = dict(instructions)
        environment = dict(part.split("=", 1) for part in shlex.split(said["ENV"]))
        return cls(
            copied,
            environment,
            said["USER"],
            json.loads(said["ENTRYPOINT"]),
            json.loads(said["HEALTHCHECK"].partition("CMD ")[2]),
            json.loads(said["VOLUME"]),
        )

    def put(self, folder: Path) -> Path:
        """Make /app in `folder`, with a Python environment of which only the packages are missing."""
        app = folder / "app"
        app.mkdir(parents=True)
        for source, target in self.copied.items():
            copy = app / target
            copy.parent.mkdir(parents=True, exist_ok=True)
            if (PROJECT / source).is_dir():
                ignored = shutil.ignore_patterns("__pycache__")
                shutil.copytree(PROJECT / source, copy, symlinks=True, ignore=ignored, dirs_exist_ok=True)
            else:
                shutil.copy(PROJECT / source, copy)
        venv = app / ".venv"
        (venv / "bin").mkdir(parents=True)
        (venv / "lib").mkdir()
        (venv / "bin" / "python").symlink_to(Path(sys.executable).resolve())
        shutil.copy(Path(sys.prefix) / "pyvenv.cfg", venv)
        stamp = "cat pyproject.toml constraints.txt | cksum >.venv/foundry-image"
        subprocess.run(["sh", "-c", stamp], cwd=app, check=True)
        subprocess.run(["chmod", "-R", "a+rX,go-w", str(app)], check=True)
        return app


@dataclass
class Container:
    """A container of the image in `folder`, with its volumes in `volumes`, which several may share."""

    image: Image
    folder: Path
    volumes: Path
    secrets: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)

    @contextmanager
    def started(self, *arguments: str) -> Iterator[Container]:
        """Run the entry point with `arguments`; it is ended with the `with` block."""
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                self.command(*arguments),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            yield self
        finally:
            if self.process.poll() is None:
                self.process.kill()
            self.process.wait(_SECONDS)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the entry point with `arguments` until it ends."""
        return subprocess.run(self.command(*arguments), capture_output=True, text=True, timeout=_SECONDS, check=False)

    def execute(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a `command` in the container that runs."""
        assert self.process
        return subprocess.run(
            [*self.entering(), *command], capture_output=True, text=True, timeout=_SECONDS, check=False
        )

    def is_healthy(self) -> bool:
        """Whether the image's own check says so. An engine asks nothing of a container that has ended."""
        return self.execute(*self.image.healthcheck).returncode == 0

    @property
    def log_file(self) -> Path:
        """All that it wrote."""
        return self.folder / "log"

    def entering(self) -> list[str]:
        """What stands before a command that is to run in the container that runs."""
        assert self.process
        enter = ["nsenter", "--target", str(self.process.pid), "--mount", "--root", "--wd"]
        return [*enter, *self._unprivileged()]

    def command(self, *arguments: str) -> list[str]:
        """The command that runs the entry point with `arguments` in a container; its folders are there by then."""
        root = self.folder / "root"
        for folder in (root, *(self.volumes / name.strip("/") for name in self.image.volumes)):
            folder.mkdir(parents=True, exist_ok=True)
        uid, gid = map(int, self.image.user.split(":"))
        for name in self.image.volumes:
            folder = self.volumes / name.strip("/")
            os.chown(folder, uid, gid)
            folder.chmod(0o700)
        app = self.folder / "app"
        if not app.exists():
            self.image.put(self.folder)
        given = (root, app, Path(sys.base_prefix).resolve(), Path(sys.prefix) / "lib", self.volumes, self.secrets)
        enter = ["unshare", "--mount", "--propagation", "private", "sh", "-c", _ENTER, "sh", *map(str, given)]
        return [*enter, *self._unprivileged(), *self.image.entrypoint, *arguments]

    def _unprivileged(self) -> list[str]:
        uid, gid = self.image.user.split(":")
        dropped = ["--no-new-privs", "--bounding-set=-all", "--inh-caps=-all", "--clear-groups"]
        variables = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", **self.image.environment, **self.environment}
        named = [f"{name}={value}" for name, value in variables.items()]
        return ["setpriv", "--reuid", uid, "--regid", gid, *dropped, "env", "-i", *named]
