"""The control socket of the fibre plant: JSON lines over a unix socket, both ends of it.

Rule of this file: one request line, one answer line, both bounded; a wrong request is answered with what is
wrong and changes nothing.

    {"verb": "list"}
    {"verb": "cut", "fibre": "<link id or name>"}         and "repair"
    {"verb": "degrade", "fibre": "...", "extra_loss_db": 3.0, "excess_noise": 0.01}
    answer: {"ok": true, "fibres": [...]} with the fibres concerned, or {"ok": false, "error": "..."}
"""

import asyncio
import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, Protocol, assert_never

import msgspec

from keyweave_core.errors import InvalidInput, KeyweaveError, PeerUnreachable

_MAX_REQUEST_BYTES = 4096
_MAX_ANSWER_BYTES = 4 * 1024 * 1024
_IDLE_S = 300.0
_MAX_SOCKET_PATH = 107  # sun_path of unix(7), without its closing zero


class FibreView(msgspec.Struct, frozen=True, kw_only=True):
    """A fibre as the control socket shows it; `ends` are the roles that are connected now."""

    link_id: str
    name: str
    cut: bool
    extra_loss_db: float
    excess_noise: float
    ends: tuple[str, ...]


class ControlledFibre(Protocol):
    """What the control socket may do with a fibre."""

    def view(self) -> FibreView:
        """The fibre as it is."""
        ...

    def cut(self) -> None:
        """Break it."""
        ...

    def repair(self) -> None:
        """Make it whole and clean."""
        ...

    def degrade(self, extra_loss_db: float, excess_noise: float) -> None:
        """Disturb it; InvalidInput for a value out of bounds."""
        ...


class _Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    verb: Literal["list", "cut", "repair", "degrade"]
    fibre: str = ""
    extra_loss_db: float = 0.0
    excess_noise: float = 0.0


class _Answer(msgspec.Struct, frozen=True, kw_only=True):
    ok: bool
    error: str = ""
    fibres: tuple[FibreView, ...] = ()


class ControlSocket:
    """An open control socket."""

    def __init__(self, path: Path, server: asyncio.Server) -> None:
        self._path = path
        self._server = server

    def close(self) -> None:
        """Stop listening and remove the socket's file."""
        self._server.close()
        self._path.unlink(missing_ok=True)


async def open_control(path: Path, fibres: Sequence[ControlledFibre]) -> ControlSocket:
    """Answer requests on the unix socket `path`, for its owner only, until it is closed.

    PeerUnreachable when the socket cannot be made (a directory that is not there).
    """

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await _converse(reader, writer, fibres)
        except (OSError, TimeoutError, asyncio.CancelledError):
            pass  # the client left or the plant stops: nobody is there to tell
        finally:
            writer.close()

    try:
        with _reachable(path) as name:
            server = await asyncio.start_unix_server(answer, name, limit=_MAX_REQUEST_BYTES)
        _close_to_others(path)
    except OSError as error:
        raise PeerUnreachable(f"cannot listen on {path}: {error}") from error
    return ControlSocket(path, server)


@contextlib.contextmanager
def _reachable(path: Path) -> Iterator[str]:
    """The path in a form that unix(7) takes: one above 107 bytes goes by way of its opened directory."""
    if len(os.fsencode(path)) <= _MAX_SOCKET_PATH:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def _close_to_others(path: Path) -> None:
    path.chmod(0o600)


async def _converse(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, fibres: Sequence[ControlledFibre]
) -> None:
    while True:
        try:
            async with asyncio.timeout(_IDLE_S):
                line = await reader.readline()
        except ValueError:  # longer than the limit; the rest of it cannot be told from a new request
            writer.write(
                _encode(_Answer(ok=False, error=f"a request has at most {_MAX_REQUEST_BYTES} bytes"))
            )
            await writer.drain()
            return
        if not line:
            return
        try:
            result = _Answer(ok=True, fibres=_perform(line, fibres))
        except KeyweaveError as error:
            result = _Answer(ok=False, error=str(error))
        writer.write(_encode(result))
        await writer.drain()


def _encode(answer: _Answer) -> bytes:
    return msgspec.json.encode(answer) + b"\n"


def _perform(line: bytes, fibres: Sequence[ControlledFibre]) -> tuple[FibreView, ...]:
    """Do what a request asks; the fibres concerned. InvalidInput says what is wrong with it."""
    try:
        request = msgspec.json.decode(line, type=_Request)
    except msgspec.MsgspecError as error:
        raise InvalidInput(f"request: {error}") from error
    if request.verb == "list":
        return tuple(fibre.view() for fibre in fibres)
    fibre = _find(request.fibre, fibres)
    match request.verb:
        case "cut":
            fibre.cut()
        case "repair":
            fibre.repair()
        case "degrade":
            fibre.degrade(request.extra_loss_db, request.excess_noise)
        case _:
            assert_never(request.verb)
    return (fibre.view(),)


def _find(wanted: str, fibres: Sequence[ControlledFibre]) -> ControlledFibre:
    for fibre in fibres:
        view = fibre.view()
        if wanted in (view.link_id, view.name):
            return fibre
    raise InvalidInput(f"there is no fibre {wanted[:100]!r}")


class PlantClient:
    """Talks to a running plant. Every call opens its own connection, so none is left behind.

    Each raises PeerUnreachable when no plant answers within `timeout_s`, InvalidInput with the plant's words
    when it refuses.
    """

    def __init__(self, control_socket: Path, *, timeout_s: float = 5.0) -> None:
        self._path = control_socket
        self._timeout_s = timeout_s

    async def fibres(self) -> tuple[FibreView, ...]:
        """Every fibre of the plant."""
        return await self._ask(_Request("list"))

    async def cut(self, fibre: str) -> FibreView:
        """Cut a fibre, named by link id or name."""
        return (await self._ask(_Request("cut", fibre)))[0]

    async def repair(self, fibre: str) -> FibreView:
        """Repair a fibre and take away every disturbance."""
        return (await self._ask(_Request("repair", fibre)))[0]

    async def degrade(self, fibre: str, *, extra_loss_db: float, excess_noise: float = 0.0) -> FibreView:
        """Set what is added to a fibre: dB of loss (0..200) and excess noise (0..10)."""
        return (await self._ask(_Request("degrade", fibre, extra_loss_db, excess_noise)))[0]

    async def _ask(self, request: _Request) -> tuple[FibreView, ...]:
        try:
            async with asyncio.timeout(self._timeout_s):
                with _reachable(self._path) as name:
                    reader, writer = await asyncio.open_unix_connection(name, limit=_MAX_ANSWER_BYTES)
                try:
                    writer.write(msgspec.json.encode(request) + b"\n")
                    line = await reader.readline()
                finally:
                    writer.close()
                    with contextlib.suppress(OSError):
                        await writer.wait_closed()
            answer = msgspec.json.decode(line, type=_Answer)
        except (OSError, TimeoutError, ValueError, msgspec.MsgspecError) as error:
            raise PeerUnreachable(f"no fibre plant answers at {self._path}: {error}") from error
        if not answer.ok:
            raise InvalidInput(answer.error)
        return answer.fibres
