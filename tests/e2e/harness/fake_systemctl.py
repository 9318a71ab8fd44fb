"""Stands for `systemctl --user` where no systemd runs: notes what it is asked, and starts what the unit says.

Run as a script; $FAKE_SYSTEMD names a folder of its own.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

FOLDER = Path(os.environ["FAKE_SYSTEMD"])
UNITS = Path(os.environ["HOME"]) / ".config" / "systemd" / "user"
PID = FOLDER / "pid"


def settings(unit: Path, name: str) -> list[str]:
    lines = unit.read_text().splitlines()
    return [line.removeprefix(f"{name}=") for line in lines if line.startswith(f"{name}=")]


def pid() -> int:
    return int(PID.read_text()) if PID.exists() else 0


def is_running() -> bool:
    """Whether the process is there, and has not ended without anybody to ask how."""
    stat = Path(f"/proc/{pid()}/stat")
    with contextlib.suppress(OSError):
        return pid() > 0 and stat.read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def stop() -> None:
    if is_running():
        os.kill(pid(), signal.SIGTERM)
        for _ in range(3000):  # as long as a busy machine may take
            if not is_running():
                break
            time.sleep(0.02)
        else:
            os.kill(pid(), signal.SIGKILL)
    PID.unlink(missing_ok=True)


def start(unit: Path) -> None:
    stop()
    environment = {name: os.environ[name] for name in ("HOME", "PATH")}
    environment |= dict(item.split("=", 1) for line in settings(unit, "Environment") for item in shlex.split(line))
    with (FOLDER / "journal").open("ab") as journal:
        process = subprocess.Popen(
            shlex.split(settings(unit, "ExecStart")[0].removeprefix(":")),
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=journal,
            stderr=journal,
            start_new_session=True,
        )
    PID.write_text(str(process.pid))


def main(arguments: list[str]) -> int:
    with (FOLDER / "asked").open("a") as asked:
        asked.write(" ".join(arguments) + "\n")
    assert arguments[0] == "--user"
    verb, name = arguments[1], arguments[-1]
    link = UNITS / "default.target.wants" / name
    if verb == "enable":
        link.parent.mkdir(exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(UNITS / name)
    elif verb == "restart":
        start(UNITS / name)
    elif verb == "disable":
        stop()
        link.unlink(missing_ok=True)
    elif verb == "show" and "--value" in arguments:
        sys.stdout.write("0\n")
    elif verb == "show":
        active, sub = ("active", "running") if is_running() else ("inactive", "dead")
        sys.stdout.write(f"ActiveState={active}\nSubState={sub}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
