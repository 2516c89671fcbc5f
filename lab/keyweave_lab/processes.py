"""Programs of a laboratory as processes: start, look at, stop; never the wrong one.

Rule of this file: a process is known by its pid AND the moment it started AND the boot of the machine. A pid
alone may belong to somebody else by the time we act. Signals go through a pidfd, so that the check and the
signal mean the same process. Processes have a session of their own (a Ctrl-C on the terminal reaches only
us, and we stop them in order) and, unless they shall outlive us, end when we end.
"""

import contextlib
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from keyweave_core.errors import Unavailable
from keyweave_core.runtime.clock import Clock

ProcessState = Literal["running", "stopped"]

_POLL_S = 0.02
_KILL_TAKES_S = 5.0  # at most, on a busy machine
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

# Run before the program, in the new process: go to its directory, and be told when the parent dies
# (PR_SET_PDEATHSIG is 1). If the parent is gone already, nothing is started.
_LAUNCHER = """
import ctypes, os, signal, sys
directory, parent, program = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
os.chdir(directory)
os.umask(0o077)
if parent:
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)
    if os.getppid() != parent:
        sys.exit(1)
os.execv(program[0], program)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessIdentity:
    """One process, for ever: `started` is in clock ticks since the boot `boot_id`."""

    pid: int
    started: int
    boot_id: str


def start_process(
    command: Sequence[str],
    *,
    directory: Path,
    log: Path,
    outlives_us: bool,
    environment: Mapping[str, str] | None = None,
) -> ProcessIdentity:
    """Start `command` (the program's absolute path first) in `directory`; its output is added to `log`.

    Call it from the main thread: the kernel ties `outlives_us` false to the thread that starts it. Raises
    Unavailable when the machine cannot start it.
    """
    arguments = [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(directory)]
    arguments += ["0" if outlives_us else str(os.getpid()), *command]
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    try:
        pid = os.posix_spawn(
            sys.executable,
            arguments,
            dict(os.environ if environment is None else environment),
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, str(log), flags, 0o600),
                (os.POSIX_SPAWN_DUP2, 1, 2),
            ],
            setsid=True,
            setsigmask=(),
            setsigdef=(signal.SIGINT, signal.SIGTERM, signal.SIGPIPE, signal.SIGHUP),
        )
    except OSError as error:
        raise Unavailable(f"cannot start {command[0]}: {error}") from error
    started = _started(pid)
    if started is None:
        raise Unavailable(f"{command[0]} ended at once; see {log}")
    return ProcessIdentity(pid=pid, started=started, boot_id=boot_id())


def state_of(process: ProcessIdentity) -> ProcessState:
    """Whether exactly this process runs. A child of ours that has ended is reaped."""
    with contextlib.suppress(ChildProcessError):
        if os.waitpid(process.pid, os.WNOHANG)[0]:
            return "stopped"
    if process.boot_id != boot_id() or _started(process.pid) != process.started:
        return "stopped"
    return "running"


def resident_kb(process: ProcessIdentity) -> int | None:
    """Memory of a running process that lies in RAM, in kB; None when it has stopped."""
    if state_of(process) == "stopped":
        return None
    try:
        for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
    except OSError:
        pass
    return None


def send_signal(process: ProcessIdentity, number: signal.Signals) -> bool:
    """Send a signal to exactly this process; False when it has stopped."""
    try:
        descriptor = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return False
    try:
        # The descriptor is fixed to whoever has the pid now: only if that is ours, it gets the signal.
        if state_of(process) == "stopped":
            return False
        signal.pidfd_send_signal(descriptor, number)
    except ProcessLookupError:
        return False
    finally:
        os.close(descriptor)
    return True


async def stop_all(processes: Sequence[ProcessIdentity], clock: Clock, *, grace_s: float = 5.0) -> None:
    """TERM to all, KILL to those that still run after `grace_s`; returns when none runs. Idempotent."""
    running = [process for process in processes if send_signal(process, signal.SIGTERM)]
    if await _until_stopped(running, clock, grace_s):
        return
    for process in running:
        send_signal(process, signal.SIGKILL)
    if not await _until_stopped(running, clock, _KILL_TAKES_S):
        left = ", ".join(str(each.pid) for each in running if state_of(each) == "running")
        raise Unavailable(f"processes that not even KILL ends: {left}")


async def _until_stopped(processes: Sequence[ProcessIdentity], clock: Clock, within_s: float) -> bool:
    end = clock.monotonic() + within_s
    while any(state_of(process) == "running" for process in processes):
        if clock.monotonic() >= end:
            return False
        await clock.sleep(_POLL_S)
    return True


def boot_id() -> str:
    """The name of this run of the machine."""
    return _BOOT_ID.read_text().strip()


def _started(pid: int) -> int | None:
    """Start of a process in clock ticks since boot; None when there is none, or only its remains."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = text[text.rindex(")") + 2 :].split()  # a program's name may contain anything, even ')'
    return None if fields[0] in "ZX" else int(fields[19])
