"""The HTTPS door of a bridge: events, what became of them, and the other bridge's questions.

    POST /rotations/{event id}   {"secret": name}     callers; master: 202, 200 when it is done already
    GET  /rotations/{event id}   GET /rotations       callers: one, or the newest hundred
    GET  /health                                      callers and peer: open rotations and why they wait
    /peer/...                                         the other bridge (`peer`); slave

    400 malformed   401 no name that may do this   404 405 413   409 refused   503 not now

Rule of this file: who calls is what the verified certificate says, exactly. Answers and log lines hold ids,
never a key.
"""

import re
from collections.abc import Collection
from dataclasses import asdict
from typing import Any
from urllib.parse import unquote

import msgspec
from uvicorn._types import ASGIReceiveCallable, ASGISendCallable, HTTPScope, Scope

from keyweave_agents.bridge.journal import ENDED, Journal, Rotation, Stage
from keyweave_agents.bridge.master import Master
from keyweave_agents.bridge.peer import Activate, Prepare
from keyweave_agents.bridge.slave import Slave
from keyweave_agents.service.bodies import BodyTooLarge, read_body
from keyweave_agents.service.connections import ClientGone, Connection
from keyweave_core.errors import Refused, Unavailable
from keyweave_core.runtime.log import get_logger

MOST_BODY_BYTES = 16 * 1024
_EVENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}\Z")
_NEWEST = 100


class Wish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a rotation event."""

    secret: str


class _Answer(Exception):
    """Leave with this status and JSON."""

    def __init__(self, status: int, said: Any, **headers: str) -> None:
        super().__init__(status)
        self.status = status
        self.said = said
        self.headers = headers


class BridgeDoor:
    """The ASGI application; stands on `service.https`. One of `master` and `slave` is there."""

    def __init__(
        self,
        journal: Journal,
        *,
        callers: Collection[str],
        peer: str,
        master: Master | None,
        slave: Slave | None,
    ) -> None:
        self._journal = journal
        self._callers = frozenset(callers)
        self._peer = peer
        self._master = master
        self._slave = slave
        self._log = get_logger("bridge")

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        headers: dict[str, str] = {}
        try:
            status, said = await self._do(scope, receive)
        except ClientGone:
            return
        except _Answer as answer:
            status, said, headers = answer.status, answer.said, answer.headers
        except Refused as refusal:
            status, said = 409, {"message": str(refusal)}
        except Unavailable as trouble:
            status, said = 503, {"message": str(trouble)}
        except Exception as error:  # noqa: BLE001 - the seam: a fault of ours is told to the log alone
            self._log.error("request_failed", exc_info=error)
            status, said = 500, {"message": "a fault of this bridge"}
        body = b"" if said is None else msgspec.json.encode(said)
        start = [(b"content-length", b"%d" % len(body)), (b"content-type", b"application/json")]
        start += [(name.encode(), text.encode()) for name, text in headers.items()]
        await send({"type": "http.response.start", "status": status, "headers": start})
        await send({"type": "http.response.body", "body": body, "more_body": False})

    async def _do(self, scope: HTTPScope, receive: ASGIReceiveCallable) -> tuple[int, Any]:
        connection: Connection = scope["state"]["connection"]
        names = connection.names
        said = {*names.uris, *names.dns, *names.common_names}
        is_caller, is_peer = bool(said & self._callers), self._peer in said
        if not is_caller and not is_peer:
            self._log.warning("caller_refused", names=sorted(said)[:4])
            raise _Answer(401, None)
        parts = scope["raw_path"].decode("latin-1").split("/")[1:]
        match parts:
            case ["health"]:
                self._verb(scope, "GET")
                return 200, self._health()
            case ["rotations"] if is_caller:
                self._verb(scope, "GET")
                return 200, {"rotations": [_shown(one) for one in self._journal.newest(_NEWEST)]}
            case ["rotations", event] if is_caller:
                return await self._rotation(_event(event), scope, receive)
            case ["peer", "rotations", event, *rest] if is_peer:
                return 200, await self._asked(_event(event), rest, scope, receive)
            case ["rotations", *_] | ["peer", *_]:
                raise _Answer(401, None)
            case _:
                raise _Answer(404, {"message": "no such path; see docs/vault-bridge.md"})

    async def _rotation(
        self, event_id: str, scope: HTTPScope, receive: ASGIReceiveCallable
    ) -> tuple[int, Any]:
        if self._verb(scope, "GET", "POST") == "GET":
            found = self._journal.get(event_id)
            if found is None:
                raise _Answer(404, {"message": f"no rotation {event_id}"})
            return 200, _shown(found)
        wish: Wish = _decoded(await self._body(scope, receive), Wish)
        if self._master is None:
            raise Refused("rotations begin at the master bridge")
        rotation = self._master.accept(event_id, wish.secret)
        return 200 if rotation.stage is Stage.DONE else 202, _shown(rotation)

    async def _asked(
        self, event_id: str, rest: list[str], scope: HTTPScope, receive: ASGIReceiveCallable
    ) -> Any:
        if self._slave is None:
            raise Refused("this is the master bridge")
        if rest == []:
            self._verb(scope, "PUT")
            return await self._slave.prepare(event_id, _decoded(await self._body(scope, receive), Prepare))
        if rest == ["activate"]:
            self._verb(scope, "POST")
            return await self._slave.activate(event_id, _decoded(await self._body(scope, receive), Activate))
        raise _Answer(404, {"message": "no such path"})

    def _health(self) -> dict[str, Any]:
        open_ones = [one for one in self._journal.newest(10_000) if one.stage not in ENDED]
        return {
            "role": "slave" if self._master is None else "master",
            "open": len(open_ones),
            "waiting": [_shown(one) for one in open_ones if one.reason][:_NEWEST],
        }

    def _verb(self, scope: HTTPScope, *verbs: str) -> str:
        if scope["method"] not in verbs:
            raise _Answer(405, {"message": f"this path takes {' and '.join(verbs)}"}, allow=", ".join(verbs))
        return scope["method"]

    async def _body(self, scope: HTTPScope, receive: ASGIReceiveCallable) -> bytes:
        if scope["query_string"]:
            raise _Answer(400, {"message": "no method here takes a query"})
        try:
            return await read_body(scope, receive, MOST_BODY_BYTES)
        except BodyTooLarge as error:
            raise _Answer(413, {"message": str(error)}) from error


def _event(text: str) -> str:
    event_id = unquote(text)
    if not _EVENT.match(event_id):
        raise _Answer(400, {"message": "an event id is 1..128 letters, digits and ._:@-"})
    return event_id


def _decoded(body: bytes, shape: Any) -> Any:
    try:
        return msgspec.json.decode(body, type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _Answer(400, {"message": f"the body is not what this method takes: {error}"[:300]}) from error


def _shown(rotation: Rotation) -> dict[str, Any]:
    return asdict(rotation) | {"stage": rotation.stage.value}
