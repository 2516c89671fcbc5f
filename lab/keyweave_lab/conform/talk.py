"""A NETCONF session for checks: hellos, numbered rpcs, replies in order, notifications put aside.

Rule of this file: what every reply must satisfy (well-formed, the message-id echoed) is required here, so
that each check that talks checks it as well.
"""

from collections import deque
from collections.abc import Callable

from keyweave_core.netconf.protocol.elements import Element
from keyweave_lab.conform.check import Failed, require
from keyweave_lab.conform.wire import END, Wire
from keyweave_lab.conform.xml import (
    BASE,
    BASE_1_1,
    HELLO,
    NOTIFICATION,
    PROBE,
    Answer,
    Fault,
    chunks,
    parse,
    rpc,
    text_of,
)


class Talk:
    """One session; `limit_s` is how long a message may take."""

    def __init__(self, wire: Wire, limit_s: float, noted: Callable[[Fault], None]) -> None:
        self.wire = wire
        self.limit_s = limit_s
        self._noted = noted
        self._number = 0
        self._aside: deque[Element] = deque()
        self.capabilities: tuple[str, ...] = ()
        self.session_id = ""
        self.chunked = False
        self.greeting = b""

    async def greet(self) -> None:
        """Read the server's hello, which must come without ours."""
        message = await self.wire.message(self.limit_s)
        if message is None:
            raise Failed("closed before its hello")
        self.greeting = message
        root = parse(message)
        require(root.tag == f"{{{BASE}}}hello", f"first message is {root.tag}")
        uris = root.iterfind(f"{{{BASE}}}capabilities/{{{BASE}}}capability")
        self.capabilities = tuple(text_of(uri) for uri in uris)
        self.session_id = text_of(root.find(f"{{{BASE}}}session-id"))

    def send_hello(self, data: bytes = HELLO) -> None:
        """Send our hello (framed by end-of-message) and take the framing that follows from it."""
        self.wire.send(data)
        self.agree(data)

    def agree(self, data: bytes) -> None:
        """Choose the framing as the hello inside `data` and the server's demand."""
        if BASE_1_1.encode() in data and BASE_1_1 in self.capabilities:
            self.chunked = True
            self.wire.use_chunks()

    def framed(self, message: bytes) -> bytes:
        """A message in the framing of this session."""
        return chunks(message) if self.chunked else message + END

    async def next(self, limit_s: float | None = None) -> Answer | None:
        """The next message that is no notification; None when the server closed."""
        while True:
            message = await self.wire.message(self.limit_s if limit_s is None else limit_s)
            if message is None:
                return None
            root = parse(message)
            if root.tag != f"{{{NOTIFICATION}}}notification":
                answer = Answer(message, root)
                for fault in answer.faults:
                    self._noted(fault)
                return answer
            self._aside.append(root)

    async def answer(self, limit_s: float | None = None) -> Answer:
        """The next reply; Failed when the session ends instead."""
        answer = await self.next(limit_s)
        if answer is None:
            raise Failed("the session was closed instead of an answer")
        tag = answer.root.tag
        require(tag == f"{{{BASE}}}rpc-reply", f"a message {tag} instead of an rpc-reply")
        return answer

    async def warm_up(self, step_s: float) -> None:
        """For servers that lose rpcs right after the hello: ask until one is answered, `step_s` apart."""
        sent = 0
        while True:
            sent += 1
            self.wire.send(self.framed(rpc(PROBE, f"warm-{sent}")))
            try:
                await self.answer(step_s)
                break
            except Failed:
                if self.wire.over or sent * step_s > self.limit_s:
                    raise
        for _ in range(sent - 1):
            await self.answer()

    async def ask(self, operation: str, limit_s: float | None = None) -> Answer:
        """Send one operation and return its reply, whose message-id must be ours."""
        self._number += 1
        message_id = f"kw-{self._number}"
        self.wire.send(self.framed(rpc(operation, message_id)))
        answer = await self.answer(limit_s)
        echoed = answer.root.get("message-id")
        require(echoed == message_id, f"message-id {echoed!r} in the reply to {message_id!r}")
        return answer

    async def ask_raw(self, message: bytes, limit_s: float | None = None) -> Answer:
        """Send any message and return the next reply."""
        self.wire.send(self.framed(message))
        return await self.answer(limit_s)

    async def alive(self, what: str) -> None:
        """Failed unless the session still answers."""
        try:
            answer = await self.ask(PROBE)
        except Failed as error:
            raise Failed(f"{what}; afterwards: {error}") from error
        require(not answer.faults, f"{what}; afterwards: {answer.told}")

    async def ended(self, what: str, limit_s: float | None = None) -> str:
        """Wait until the server closes; returns what it said before. Failed when it stays, or grants."""
        said: list[str] = []
        while True:
            try:
                answer = await self.next(limit_s)
            except Failed as error:
                told = f"; said {', '.join(said)}" if said else ""
                raise Failed(f"{what}: not closed ({error}){told}") from error
            if answer is None:
                return ", ".join(["closed", *said])
            require(answer.faults, f"{what}: granted: {answer.told}")
            said.append(answer.told)

    async def notification(self, limit_s: float) -> Element:
        """The next notification; Failed when none comes in time."""
        if self._aside:
            return self._aside.popleft()
        message = await self.wire.message(limit_s)
        if message is None:
            raise Failed("the session was closed instead of a notification")
        root = parse(message)
        require(root.tag == f"{{{NOTIFICATION}}}notification", f"{root.tag} instead of a notification")
        return root

    async def event(self, name: str, limit_s: float) -> Element:
        """The content of the next notification of this local name; others are passed over."""
        passed: list[str] = []
        while True:
            try:
                envelope = await self.notification(limit_s)
            except Failed as error:
                raise Failed(f"no {name}: {error}; came: {passed or 'nothing'}") from error
            for child in envelope.iterchildren("*"):
                tag = str(child.tag)
                if tag.rpartition("}")[2] == name:
                    return child
                if tag != f"{{{NOTIFICATION}}}eventTime":
                    passed.append(tag.rpartition("}")[2])

    async def close(self) -> None:
        """Drop the connection."""
        await self.wire.close()
