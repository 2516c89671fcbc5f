"""A border node on loopback, and key managers of other networks that a test plays by hand.

The node's network is as small as can be: one node that both applications are at, so a key that is handed over
lies there for its target at once. Peers have an authority of their own each.
"""

import asyncio
import base64
import datetime as dt
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from uvicorn._types import ASGIReceiveCallable, ASGISendCallable, Scope

from keyweave_agents.keys.manager import KeyManager
from keyweave_agents.keys.plan import AssociationPlan, KeyPlan
from keyweave_agents.keys.settings import KeySettings
from keyweave_agents.service.client020 import BorderClient, Reply
from keyweave_agents.service.etsi020 import Etsi020Server
from keyweave_agents.service.https import HttpsServer
from keyweave_agents.service.settings import ServiceSettings
from keyweave_agents.service.settings020 import Etsi020Settings, PeerSettings
from keyweave_core.model.ids import AppId, NodeId, SaeId
from keyweave_core.runtime.clock import SystemClock
from keyweave_core.runtime.tls import TlsSettings, client_context
from keyweave_lab.pki import LabPki

NODE = NodeId("0b9e2c1d-5a53-4a04-8a8f-6d2f2b1f9a01")
PEER_NODE = NodeId("0b9e2c1d-5a53-4a04-8a8f-6d2f2b1f9a02")
APP = AppId("22222222-0000-4000-8000-000000000001")
FAR, HERE = SaeId("sae-far"), SaeId("sae-here")
CLOCK = SystemClock()


def uuid(number: int) -> str:
    return f"33333333-0000-4000-8000-{number:012x}"


def value(number: int, length: int = 32) -> str:
    return base64.b64encode(bytes([number % 251 + 1]) * length).decode()


@dataclass
class Callback:
    """What a peer's own server was told, and what it answers next."""

    port: int = 0
    status: int = 200
    heard: list[tuple[str, Any]] = field(default_factory=list)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        assert scope["type"] == "http"
        body = b""
        while True:
            message = await receive()
            assert message["type"] == "http.request"
            body += message["body"]
            if not message["more_body"]:
                break
        self.heard.append((scope["path"], json.loads(body)))
        self.arrived.set()
        await send(
            {"type": "http.response.start", "status": self.status, "headers": [(b"content-length", b"0")]}
        )
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    def told(self) -> dict[str, str]:
        """What was said of each key, the newest last."""
        return {
            each["key_id"]: ack["ack_status"]
            for path, acks in self.heard
            if path == "/kmapi/v1/ext_keys/ack"
            for ack in acks
            for each in ack["key_id_container"]
        }

    async def until(self, **wanted: str) -> None:
        """Wait until this was said of keys, named k1, k2 and so on."""
        names = {uuid(int(name[1:])): status for name, status in wanted.items()}
        async with asyncio.timeout(10):
            while not names.items() <= self.told().items():
                self.arrived.clear()
                await self.arrived.wait()


@dataclass
class Peer:
    """The key manager of another network: a client of the border, with its own server."""

    tls: TlsSettings
    port: int
    callback: Callback

    def client(self, tls: TlsSettings | None = None) -> BorderClient:
        context: ssl.SSLContext = client_context(tls or self.tls, check_hostname=False)
        return BorderClient("127.0.0.1", self.port, context, lambda _names, _der: None, CLOCK, answer_s=10.0)

    async def ask(self, method: str, path: str, body: Any = None, *, tls: TlsSettings | None = None) -> Reply:
        raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        client = self.client(tls)
        try:
            return await client.ask(method, path, raw)
        finally:
            client.close()

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.callback.port}/kmapi/v1/ext_keys/ack"

    def keys(self, *numbers: int, back: bool = True, **more: Any) -> dict[str, Any]:
        said = {
            "keys": [{"key_id": uuid(number), "value": value(number)} for number in numbers],
            "initiator_sae_id": FAR,
            "target_sae_ids": [HERE],
            **({"ack_callback_url": self.url} if back else {}),
        }
        return {name: each for name, each in (said | more).items() if each is not None}

    def void(self, *numbers: int, back: bool = True, **more: Any) -> dict[str, Any]:
        said = {
            "key_ids": [uuid(number) for number in numbers],
            "initiator_sae_id": FAR,
            "target_sae_ids": [HERE],
            **({"ack_callback_url": self.url} if back else {}),
        }
        return said | more

    async def hand_over(self, *numbers: int, **more: Any) -> Reply:
        return await self.ask("POST", "/kmapi/v1/ext_keys", self.keys(*numbers, **more))


@dataclass
class Border:
    """The node, and its peers by name."""

    keys: KeyManager
    peers: dict[str, Peer]

    def associate(self) -> None:
        """What the controller does when it is asked for the two applications."""
        association = AssociationPlan(
            app_id=APP, server=FAR, clients=(HERE,), source=True, links=(), remote_node=NODE
        )
        self.keys.configure(KeyPlan(associations=(association,)))

    async def fetched(self, number: int) -> bytes:
        """What the target gets by id."""
        (key,) = await self.keys.get_keys_by_id(HERE, FAR, (uuid(number),))
        return bytes(key.key.reveal())


def problem(reply: Reply) -> tuple[int, str, dict[str, str]]:
    """Status, the end of the type, and the details of a problem."""
    said = json.loads(reply.body)
    assert said["status"] == reply.status
    prefix, _, ending = said["type"].rpartition("/")
    assert prefix == "https://qkd.etsi.org/gs020-interop-kms"
    return reply.status, ending, said.get("details", {})


@asynccontextmanager
async def border(directory: Path, *, joined: bool = True, **settings: Any) -> AsyncIterator[Border]:
    """A border node with the peers `x` and `z`; `joined`: the association stands."""
    now = dt.datetime.now(dt.UTC)
    own = LabPki(directory / "own", now=now)
    authorities = {name: LabPki(directory / name, now=now) for name in ("x", "z")}
    bundle = directory / "peers.pem"
    bundle.write_bytes(b"".join(each.ca_path.read_bytes() for each in authorities.values()))
    callbacks = {name: Callback() for name in authorities}
    servers, tls = [], {}
    for name, authority in authorities.items():
        tls[name] = TlsSettings(
            **{
                **{
                    part: getattr(authority.node(name, NodeId(f"{PEER_NODE[:-1]}{len(servers) + 2}")), part)
                    for part in ("certificate", "private_key")
                },
                "ca": own.ca_path,
            }
        )
        server = HttpsServer(
            callbacks[name], ServiceSettings(listen_port=0, tls=tls[name], access_log=False), CLOCK
        )
        callbacks[name].port = await server.start()
        servers.append(server)
    mine = own.node("border", NODE)
    table = Etsi020Settings(
        listen_port=0,
        tls=TlsSettings(certificate=mine.certificate, private_key=mine.private_key, ca=bundle),
        peers=tuple(
            PeerSettings(
                name=name,
                url=f"https://127.0.0.1:{callbacks[name].port}",
                certificate_name=f"urn:uuid:{PEER_NODE[:-1]}{number + 2}",
                ca=authority.ca_path,
                sae_ids=(FAR,) if name == "x" else (SaeId("sae-third"),),
                may_reach=("sae-here", "sae-third"),
            )
            for number, (name, authority) in enumerate(authorities.items())
        ),
        **settings,
    )
    keys = KeyManager(
        KeySettings(listen_port=0),
        node_id=NODE,
        clock=CLOCK,
        random_bytes=lambda length: bytes(range(length % 256)) if length < 256 else bytes(length),
        tls_server=None,
        tls_client=None,
        beyond=table.beyond,
    )
    door = Etsi020Server(table, keys, CLOCK)
    living = asyncio.create_task(keys.run())
    try:
        port = await door.start()
        node = Border(keys, {name: Peer(tls[name], port, callbacks[name]) for name in authorities})
        if joined:
            node.associate()
        yield node
    finally:
        await door.close()
        for server in servers:
            await server.close()
        living.cancel()
        await asyncio.gather(living, return_exceptions=True)
