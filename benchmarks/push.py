"""What do subscriptions cost the server?

One process, sessions over transports of memory: what is measured is what the server itself does. The node has
10 links and 20 applications; its state is rendered anew for each look. The events are ETSI notifications.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import structlog
from lxml import etree

from benchmarks.netconf_node import HERE, SUBSCRIBE, leaf_edit, link_id, node
from keyweave_core.model.link import LinkPerformance
from keyweave_core.model.notifications import LinkPerfUpdate
from keyweave_core.netconf.limits import NetconfLimits
from keyweave_core.netconf.protocol.framing import frame
from keyweave_core.netconf.protocol.messages import Hello, hello_bytes
from keyweave_core.netconf.server.server import NetconfServer
from keyweave_core.netconf.server.session import ServerSession
from keyweave_core.netconf.transport import Peer
from keyweave_core.runtime.clock import SystemClock
from keyweave_yang.encode import encode_configuration, encode_notification, encode_state
from keyweave_yang.schema import load_schema

ETSI = "urn:etsi:qkd:yang:etsi-qkd-node"
BASE = "urn:ietf:params:xml:ns:netconf:base:1.0"
SN = "urn:ietf:params:xml:ns:yang:ietf-subscribed-notifications"
YP = "urn:ietf:params:xml:ns:yang:ietf-yang-push"
DS = "urn:ietf:params:xml:ns:yang:ietf-datastores"
SUBSCRIBERS, EVENTS, CHANGES = 100, 5000, 40


class _Device:
    """Renders its state for each look; one rate in it moves."""

    def __init__(self) -> None:
        self.node = node(HERE)
        self.looks = 0

    def move(self, turn: int) -> None:
        first, *rest = self.node.links
        moved = replace(first, performance=LinkPerformance(skr_bps=20_000 + turn, qber=0.02))
        self.node = replace(self.node, links=(moved, *rest))

    async def state(self) -> Sequence[etree._Element]:
        self.looks += 1
        return [encode_state(self.node)]

    async def apply(self, old: Sequence[etree._Element], new: Sequence[etree._Element], user: str) -> None:
        del old, new, user

    async def call(self, operation: etree._Element, user: str) -> None:  # noqa: ARG002
        raise KeyError(operation.tag)


class _Sink:
    """A transport that counts."""

    peer = Peer(username="tester", source_host="127.0.0.1")

    def __init__(self) -> None:
        self.messages = 0
        self.bytes = 0

    def write(self, data: bytes) -> None:
        self.messages += 1
        self.bytes += len(data)

    def close(self) -> None: ...
    def abort(self) -> None: ...
    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...


async def _session(server: NetconfServer, operation: str) -> tuple[ServerSession, _Sink]:
    sink = _Sink()
    session = server.open_session(sink)
    mine = Hello(capabilities=("urn:ietf:params:netconf:base:1.0", "urn:ietf:params:netconf:base:1.1"))
    session.data_received(frame(hello_bytes(mine), chunked=False))
    await _rpc(session, operation)
    return session, sink


async def _rpc(session: ServerSession, operation: str) -> None:
    message = f'<rpc xmlns="{BASE}" message-id="1">{operation}</rpc>'
    session.data_received(frame(message.encode(), chunked=True))
    await asyncio.sleep(0.001)


def _push(datastore: str, inner: str) -> str:
    name = "establish-subscription"
    quiet = "<yp:on-change><yp:sync-on-start>false</yp:sync-on-start></yp:on-change>"
    wanted = f'<qkd_node xmlns="{ETSI}">{inner}</qkd_node>'
    return (
        f'<{name} xmlns="{SN}" xmlns:yp="{YP}" xmlns:ds="{DS}"><yp:datastore>ds:{datastore}</yp:datastore>'
        f"<yp:datastore-subtree-filter>{wanted}</yp:datastore-subtree-filter>{quiet}</{name}>"
    )


async def _server() -> tuple[NetconfServer, _Device]:
    device = _Device()
    limits = NetconfLimits(max_sessions=1024, max_sessions_per_user=1024, push_spacing_s=0.002)
    running = [encode_configuration(device.node)]
    return NetconfServer(load_schema("agent"), device, running, clock=SystemClock(), limits=limits), device


async def _fan_out() -> str:
    server, _ = await _server()
    sinks = [(await _session(server, SUBSCRIBE))[1] for _ in range(10)]
    update = LinkPerfUpdate(link_id=link_id(0), performance=LinkPerformance(skr_bps=24_000))
    before = sum(sink.messages for sink in sinks)
    start = time.process_time()
    for number in range(EVENTS):
        server.publish(encode_notification(update))
        if number % 20 == 19:
            await asyncio.sleep(0)
    spent = time.process_time() - start
    assert sum(sink.messages for sink in sinks) - before == 10 * EVENTS
    await server.close()
    return f"{EVENTS / spent:.0f}/s"


async def _cost(count: int, inner: Callable[[int], str]) -> str:
    """Processor time for one change of one observed leaf, with so many subscribers on change."""
    server, device = await _server()
    sinks = [(await _session(server, _push("operational", inner(n))))[1] for n in range(count)]
    await asyncio.sleep(0.1)
    before, looks = sum(sink.messages for sink in sinks), device.looks
    start = time.process_time()
    for turn in range(CHANGES):
        device.move(turn)
        server.touch()
        await asyncio.sleep(0.02)
    spent = time.process_time() - start
    told = sum(sink.messages for sink in sinks) - before
    looks = device.looks - looks
    await server.close()
    return f"{spent / CHANGES * 1000:.1f} ms ({told / CHANGES:.0f} told, {looks / CHANGES:.1f} looks)"


async def _idle(subscribed: bool) -> str:
    server, device = await _server()
    if subscribed:
        for _ in range(SUBSCRIBERS):
            await _session(server, _push("operational", ""))
    await asyncio.sleep(0.2)
    start, looks = time.process_time(), device.looks
    await asyncio.sleep(3)
    spent = time.process_time() - start
    await server.close()
    return f"{spent / 3 * 100:.2f} % of a core ({(device.looks - looks) / 3:.1f} looks/s)"


async def _edits(count: int) -> str:
    """One leaf of running edited, with so many subscribers on change of running."""
    server, _ = await _server()
    sinks = [(await _session(server, _push("running", "")))[1] for _ in range(count)]
    session, sink = await _session(server, "<get><filter/></get>")
    turns = 100
    told = sum(each.messages for each in sinks)
    start = time.process_time()
    for turn in range(turns):
        await _rpc(session, leaf_edit("running", 0, turn))
        await asyncio.sleep(0.004)
    spent = time.process_time() - start
    told = sum(each.messages for each in sinks) - told
    assert sink.messages >= turns
    await server.close()
    return f"{spent / turns * 1000:.2f} ms ({told / turns:.0f} told)"


async def measure() -> str:
    """The figures as text."""
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory(), processors=[lambda *_: ""])
    rows = (
        ("events to 10 subscribers of the stream", await _fan_out()),
        ("nobody subscribed, idle", await _idle(subscribed=False)),
        (f"{SUBSCRIBERS} on change of operational, nothing changes", await _idle(subscribed=True)),
        ("one observed leaf changes, 1 subscriber", await _cost(1, lambda _: "")),
        (
            f"the same, {SUBSCRIBERS} subscribers, no filter but the node",
            await _cost(SUBSCRIBERS, lambda _: ""),
        ),
        (
            f"the same, {SUBSCRIBERS} subscribers, one filter of the links",
            await _cost(SUBSCRIBERS, lambda _: "<qkd_links/>"),
        ),
        (
            f"the same, {SUBSCRIBERS} subscribers, each its own filter",
            await _cost(
                SUBSCRIBERS,
                lambda n: (
                    f"<qkd_links><qkd_link><qkdl_id>{link_id(n % 10)}</qkdl_id></qkd_link></qkd_links><x{n}/>"
                ),
            ),
        ),
        ("one leaf of running edited, nobody subscribed", await _edits(0)),
        (f"the same, {SUBSCRIBERS} subscribers on change of running", await _edits(SUBSCRIBERS)),
    )
    width = max(len(name) for name, _ in rows) + 2
    return "".join(f"{name.ljust(width)}{figure}\n" for name, figure in rows) + "Times: of the processor.\n"
