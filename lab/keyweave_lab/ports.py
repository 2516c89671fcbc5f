"""Free ports on loopback for the programs of a laboratory.

Rule of this file: ports come from outside the range that the kernel gives to outgoing connections. A port
from inside it could be taken by anybody's client between our choice and the moment its program listens.
"""

import contextlib
import secrets
import socket
from collections.abc import Callable
from pathlib import Path

from keyweave_core.errors import Exhausted

LOWEST, HIGHEST = 10_000, 65_535
_RANGE_FILE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_USUAL_RANGE = (32_768, 60_999)


def free_ports(
    count: int, *, host: str = "127.0.0.1", below: Callable[[int], int] = secrets.randbelow
) -> list[int]:
    """`count` different TCP ports that nobody listens on now, in ascending order from a random start.

    `below(n)` returns a number of 0..n-1. Raises Exhausted when the machine has not so many.
    """
    first, last = outgoing_range()
    candidates = [port for port in range(LOWEST, HIGHEST + 1) if not first <= port <= last]
    start = below(len(candidates))
    found: list[int] = []
    with contextlib.ExitStack() as held:
        for port in candidates[start:] + candidates[:start]:
            if len(found) == count:
                break
            with contextlib.suppress(OSError):
                # Held until all are found: also no file descriptor left means no port left.
                probe = held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
                probe.bind((host, port))
                found.append(port)
    if len(found) < count:
        raise Exhausted(f"only {len(found)} of {count} free ports on {host}")
    return found


def outgoing_range() -> tuple[int, int]:
    """First and last port that the kernel gives to outgoing connections."""
    try:
        first, last = _RANGE_FILE.read_text().split()
        return int(first), int(last)
    except (OSError, ValueError):
        return _USUAL_RANGE
