"""Running somebody's interactive program to its end, with a terminal that it insists on having."""

import os
import pty
import select
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path


def run_in_terminal(
    command: Sequence[str], *, cwd: Path, env: Mapping[str, str] | None = None, limit_s: float = 30.0
) -> tuple[int, str]:
    """Exit status and everything said, with plain line ends.

    After `limit_s` seconds the program is killed: the status is then -9.
    """
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        list(command),
        cwd=cwd,
        env={**os.environ, "TERM": "dumb", "HOME": str(cwd), **(env or {})},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    said = bytearray()
    deadline = time.monotonic() + limit_s
    try:
        while time.monotonic() < deadline:
            ready, _, _ = select.select([ours], [], [], 0.1)
            if not ready:
                if process.poll() is not None:
                    break
                continue
            try:
                data = os.read(ours, 65536)
            except OSError:  # how Linux says that nobody holds the other end any more
                break
            if not data:
                break
            said += data
        try:
            process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
    finally:
        os.close(ours)
        if process.poll() is None:
            process.kill()
        process.wait()
    return process.returncode, said.decode(errors="replace").replace("\r\n", "\n")
