"""Where TCP connections come in: accepted, secured, and few at a time before they have proved who they are.

A handshake costs the server work and a descriptor before anybody is known, so at most `max_handshakes` run at
once. One more ends the oldest of them: an honest client is done in milliseconds, one that sits there is not.
Each has `_GRACE_S` at least: in a flood newcomers wait in the queue of the system for that long. Its bound
on open files is raised as far as it goes, and told when that is not enough.
"""

import asyncio
import contextlib
import errno
import resource
import socket
import ssl
from collections.abc import Callable

from keyweave_agents.service.settings import ServiceSettings
from keyweave_core.runtime.log import Logger

_OTHER_FILES = 256
"""Descriptors that the rest of the process may want."""

_PAUSE_S = 0.2
_GRACE_S = 0.25
_NO_ROOM = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


def room_for(settings: ServiceSettings, log: Logger) -> int:
    """How many connections fit: `max_connections`, or fewer where the system does not let us open so many."""
    wanted = settings.max_connections + settings.max_handshakes + _OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        raised = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, raised), hard))
            soft = max(soft, raised)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return settings.max_connections
    room = max(1, min(settings.max_connections, (soft - _OTHER_FILES) * 3 // 4))
    log.warning("few_open_files", limit=soft, wanted=wanted, max_connections=room)
    return room


class Entrance:
    """A listening socket; every connection that proved itself gets a protocol from `factory`."""

    def __init__(
        self,
        listener: socket.socket,
        context: ssl.SSLContext,
        factory: Callable[[], asyncio.Protocol],
        settings: ServiceSettings,
        log: Logger,
    ) -> None:
        self._listener = listener
        self._context = context
        self._factory = factory
        self._settings = settings
        self._log = log
        self._loop = asyncio.get_running_loop()
        self._handshakes: dict[asyncio.Task[None], float] = {}  # since when, oldest first
        self._failed = 0
        self._told_s = float("-inf")
        self._open = False

    @property
    def handshakes(self) -> int:
        """How many clients are proving themselves now."""
        return len(self._handshakes)

    def open(self) -> None:
        """Let clients in."""
        self._listener.setblocking(False)
        self._open = True
        self._loop.add_reader(self._listener.fileno(), self._accept)

    async def close(self) -> None:
        """Let nobody in any more, and end unfinished handshakes."""
        if not self._open:
            return
        self._open = False
        self._loop.remove_reader(self._listener.fileno())
        self._listener.close()
        tasks = list(self._handshakes)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _accept(self) -> None:
        for _ in range(64):
            if not self._open:
                return
            if len(self._handshakes) >= self._settings.max_handshakes and not self._make_room():
                return
            try:
                sock, _ = self._listener.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                if error.errno in _NO_ROOM:  # no descriptor or memory left
                    self._log.error("cannot_accept", reason=error.strerror)
                    self._pause(_PAUSE_S)
                    return
                continue  # the client went away again
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            task = self._loop.create_task(self._secure(sock))
            self._handshakes[task] = self._loop.time()
            task.add_done_callback(self._done)

    def _make_room(self) -> bool:
        """End the oldest handshake; False when it is too young for that, and accepting pauses."""
        oldest, since_s = next(iter(self._handshakes.items()))
        left_s = since_s + _GRACE_S - self._loop.time()
        if left_s > 0:
            self._pause(left_s)
            return False
        del self._handshakes[oldest]
        oldest.cancel()
        return True

    def _pause(self, for_s: float) -> None:
        """Those who come stay in the system's queue for a moment."""
        self._loop.remove_reader(self._listener.fileno())
        self._loop.call_later(for_s, self._resume)

    def _resume(self) -> None:
        if self._open:
            self._loop.add_reader(self._listener.fileno(), self._accept)

    async def _secure(self, sock: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(
                self._factory,
                sock,
                ssl=self._context,
                ssl_handshake_timeout=self._settings.handshake_s,
                ssl_shutdown_timeout=1.0,
            )
        except asyncio.CancelledError:
            sock.close()
            if not self._open:
                raise
        except (OSError, TimeoutError) as error:  # ssl.SSLError is an OSError
            sock.close()
            self._tell(error)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._handshakes.pop(task, None)
        if not task.cancelled() and task.exception() is not None:
            self._log.error("connection_failed", exc_info=task.exception())

    def _tell(self, error: Exception) -> None:
        """One line a second at most: strangers must not fill the log."""
        self._failed += 1
        now_s = self._loop.time()
        if now_s - self._told_s >= 1:
            reason = getattr(error, "reason", None) or str(error) or type(error).__name__
            self._log.info("handshake_failed", count=self._failed, reason=str(reason)[:100])
            self._told_s, self._failed = now_s, 0
