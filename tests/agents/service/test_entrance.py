"""Where connections come in when the system has no room for more."""

import asyncio
import errno
import resource
import socket
import ssl
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from keyweave_agents.service.entrance import Entrance, room_for
from keyweave_agents.service.settings import ServiceSettings
from keyweave_core.runtime.log import get_logger
from keyweave_core.runtime.tls import TlsSettings

SETTINGS = ServiceSettings(
    listen_port=0, tls=TlsSettings(certificate=Path("c"), private_key=Path("k"), ca=Path("a"))
)


class Listener:
    """A listening socket whose accept fails as often as told."""

    def __init__(self, failures: list[int]) -> None:
        self._real = socket.create_server(("127.0.0.1", 0))
        self.failures = failures
        self.asked = 0

    def accept(self) -> Any:
        self.asked += 1
        if self.failures:
            number = self.failures.pop(0)
            raise OSError(number, "told to fail")
        return self._real.accept()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


@pytest.mark.parametrize("failure", [errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ECONNABORTED])
async def test_a_failing_accept_is_tried_again_without_spinning(failure: int) -> None:
    listener: Any = Listener([failure] * 2)
    entrance = Entrance(
        listener, ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), asyncio.Protocol, SETTINGS, get_logger("test")
    )
    with capture_logs() as lines:
        entrance.open()
        client = socket.create_connection(listener.getsockname())
        async with asyncio.timeout(5):
            while not entrance.handshakes:
                await asyncio.sleep(0.01)
        assert listener.asked <= 6, "paused between"
        client.close()
        await entrance.close()
        await entrance.close()
    told = [line["reason"] for line in lines if line["event"] == "cannot_accept"]
    assert len(told) == (0 if failure == errno.ECONNABORTED else 2)


@pytest.mark.parametrize(
    ("limits", "room", "asked"),
    [
        ((1024, 100_000), 4096, 4096 + 512 + 256),
        ((1024, 2048), (2048 - 256) * 3 // 4, 2048),
        ((100_000, 100_000), 4096, None),
        ((resource.RLIM_INFINITY, resource.RLIM_INFINITY), 4096, None),
        ((64, 64), 1, None),
    ],
)
def test_the_bound_on_open_files_is_raised_or_kept_to(
    monkeypatch: pytest.MonkeyPatch, limits: tuple[int, int], room: int, asked: int | None
) -> None:
    raised: list[tuple[int, int]] = []
    monkeypatch.setattr("resource.getrlimit", lambda _: limits)
    monkeypatch.setattr("resource.setrlimit", lambda _, wanted: raised.append(wanted))
    assert room_for(SETTINGS, get_logger("test")) == room
    if asked is not None:
        assert raised == [(asked, limits[1])]
    elif limits[0] > 64:
        assert raised == []
