"""Talking to the peers of a border node: what the border wants sent goes out, and what came of it comes back.

Rule of this file: nothing is decided here. Keys, acknowledgements and voids leave when the ledger has what
they follow from; at most a few at a time go to one peer, so a slow one holds up nobody else.
"""

import asyncio
import ssl
from functools import partial

from keyweave_agents.keys.border.failures import Refusal
from keyweave_agents.keys.border.values import Answer, Post
from keyweave_agents.keys.manager import KeyManager
from keyweave_agents.service import wire020 as wire
from keyweave_agents.service import write020 as write
from keyweave_agents.service.client020 import BorderClient, Reply
from keyweave_agents.service.peers020 import BorderPeers
from keyweave_agents.service.settings020 import ACK_PATH, Etsi020Settings, PeerSettings, place_of
from keyweave_core.errors import KeyweaveError, PeerUnreachable
from keyweave_core.runtime.clock import Clock
from keyweave_core.runtime.log import get_logger
from keyweave_core.runtime.tls import PeerNames

KEYS_PATH = "/kmapi/v1/ext_keys"
VOID_PATH = "/kmapi/v1/ext_keys/void"
_AT_ONCE = 4


class BorderExchange:
    """Sends for one border. `callback` is the URL at which peers acknowledge to us."""

    def __init__(
        self,
        settings: Etsi020Settings,
        peers: BorderPeers,
        keys: KeyManager,
        context: ssl.SSLContext,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._peers = peers
        self._keys = keys
        self._context = context
        self._clock = clock
        self._clients: dict[tuple[str, str, int], BorderClient] = {}
        self._turns = {name: asyncio.Semaphore(_AT_ONCE) for name in peers.by_name}
        self._stirred = asyncio.Event()
        self._silent: set[str] = set()
        self._log = get_logger("border")
        self.callback = ""

    def stir(self) -> None:
        """Something may be to be sent."""
        self._stirred.set()

    async def run(self) -> None:
        """Send what there is to send, until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                while True:
                    await self._stirred.wait()
                    self._stirred.clear()
                    for post in await self._due():
                        tasks.create_task(self._post(post))
        finally:
            for client in self._clients.values():
                client.close()

    async def _due(self) -> list[Post]:
        """What may be sent now."""
        posts = self._keys.border.due()
        try:
            if posts:
                await self._keys.durable()
        except KeyweaveError as error:  # nothing may leave: asked again with a later beat
            for post in posts:
                self._keys.border.posted(post, Answer(status=None, reason=str(error)))
            return []
        return posts

    async def _post(self, post: Post) -> None:
        async with self._turns[post.peer]:
            try:
                answer = await self._send(self._peers.by_name[post.peer], post)
            except Exception as error:  # noqa: BLE001 - one post that fails must not end all others
                self._log.error("post_failed", peer=post.peer, kind=post.kind, exc_info=error)
                answer = Answer(status=None, reason="a fault of ours; the log of the border node says more")
        self._wipe(post)
        self._tell(post, answer)
        self._keys.border.posted(post, answer)
        self._keys.stir()

    async def _send(self, peer: PeerSettings, post: Post) -> Answer:
        try:
            if post.kind == "ack":
                place = peer.answers_at(post.callback or "")
                if place is None:  # the settings changed since it was named
                    return Answer(status=None, reason="its callback is not allowed any more")
                host, port, path = place
                reply = await self._client(peer, host, port).ask("POST", path, write.acks_body(post.acks))
            else:
                host, port, _ = place_of(peer.url)
                if post.offer is not None:
                    path, body = KEYS_PATH, write.keys_body(post.offer, self.callback)
                elif post.order is not None:
                    path, body = VOID_PATH, write.void_body(post.order, self.callback)
                else:
                    raise ValueError("a post of nothing")
                reply = await self._client(peer, host, port).ask("POST", path, body)
        except PeerUnreachable as error:
            return Answer(status=None, reason=f"its key manager does not answer ({error})")
        return _answer(reply)

    def _client(self, peer: PeerSettings, host: str, port: int) -> BorderClient:
        client = self._clients.get((peer.name, host, port))
        if client is None:
            client = self._clients[peer.name, host, port] = BorderClient(
                host,
                port,
                self._context,
                partial(self._check, peer),
                self._clock,
                answer_s=self._settings.answer_s,
            )
        return client

    def _check(self, peer: PeerSettings, names: PeerNames, der: bytes) -> None:
        self._peers.check(peer, names, der)

    def _wipe(self, post: Post) -> None:
        if post.offer is not None:
            for key in post.offer.keys:
                key.value.wipe()

    def _tell(self, post: Post, answer: Answer) -> None:
        """To the log: each failure once until something gets through again, no ids and no keys."""
        if answer.taken:
            if post.peer in self._silent:
                self._silent.discard(post.peer)
                self._log.info("peer_answers_again", peer=post.peer)
        elif post.peer not in self._silent:
            self._silent.add(post.peer)
            self._log.warning(
                "post_failed", peer=post.peer, kind=post.kind, status=answer.status, reason=answer.reason
            )


def own_callback(settings: Etsi020Settings, port: int) -> str:
    """The URL that we name to peers."""
    host, path = settings.listen_host, ""
    if settings.callback_url is not None:
        host, port, path = place_of(settings.callback_url)
    shown = f"[{host}]" if ":" in host else host
    return f"https://{shown}:{port}{path or ACK_PATH}"


def _answer(reply: Reply) -> Answer:
    if reply.status == 200 and reply.body.strip():
        try:
            return Answer(status=200, acks=wire.read_acks(reply.body))
        except Refusal as error:
            return Answer(status=None, reason=f"its answer cannot be read ({error})")
    if reply.status in (200, 202):
        return Answer(status=reply.status)
    return Answer(status=reply.status, reason=f"{reply.status} {wire.read_problem(reply.body)}")
