"""The network as numbers for Prometheus, over plain HTTP on an address of the operator's choice.

Rule of this file: gauges are set from the state when they are asked for, so nothing is counted twice and a
link that is gone is gone here too. GET /metrics is all that is answered, one request a connection.
"""

import asyncio
from collections import Counter

from keyweave_controller.control.state import AssociationState
from keyweave_controller.engine.ports import Engine
from keyweave_controller.management.alarms import AlarmSeverity
from keyweave_core.errors import SettingsError
from keyweave_core.model.application import KeyOrigin
from keyweave_core.runtime.metrics import CONTENT_TYPE, Metrics

_READ_TIMEOUT_S = 5.0
_MAX_HEAD_BYTES = 8 * 1024


class NetworkGauges:
    """Gauges over the engine's state."""

    def __init__(self, engine: Engine, metrics: Metrics) -> None:
        self._engine = engine
        self._metrics = metrics
        self._nodes = metrics.gauge("nodes", "Nodes of the inventory, by control session", ["session"])
        self._rate = metrics.gauge("link_key_rate_bps", "Secret key rate of a link, bit/s", ["link"])
        self._reserved = metrics.gauge("link_reserved_bps", "Reserved key rate of a link, bit/s", ["link"])
        self._stored = metrics.gauge("link_stored_bits", "Stored key of a link, bit", ["link"])
        self._associations = metrics.gauge("associations", "Key associations, by state", ["state"])
        self._alarms = metrics.gauge("alarms", "Alarms that last, by severity", ["severity"])
        self._fallbacks = metrics.gauge(
            "associations_in_fallback", "Key associations whose keys are made by ML-KEM now"
        )
        self._keys = metrics.gauge("delivered_keys", "Keys delivered, counted at the source", ["origin"])
        self._bits = metrics.gauge("delivered_bits", "Key delivered, counted at the source", ["origin"])

    def render(self) -> bytes:
        """The numbers of this moment as Prometheus text."""
        state = self._engine.network.state
        up = sum(record.connected for record in state.nodes.values())
        self._nodes.labels("up").set(up)
        self._nodes.labels("down").set(max(len(state.inventory), len(state.nodes)) - up)
        for gauge in (self._rate, self._reserved, self._stored):
            gauge.clear()
        for link in state.links.values():
            name = state.link_name(link.link_id)
            self._rate.labels(name).set(link.skr_bps)
            self._reserved.labels(name).set(sum(link.reserved_bps.values()))
            pools = [end.pool.stored_bits for end in link.ends.values() if end.pool is not None]
            if pools:
                self._stored.labels(name).set(min(pools))
        states = Counter(record.state for record in state.associations.values())
        for member in AssociationState:
            self._associations.labels(member.value).set(states[member])
        self._fallbacks.set(sum(bool(record.fallback) for record in state.associations.values()))
        keys: Counter[KeyOrigin] = Counter()
        bits: Counter[KeyOrigin] = Counter()
        for usage in self._engine.management.usage():
            keys[usage.origin] += usage.keys
            bits[usage.origin] += usage.bits
        for origin in KeyOrigin:
            self._keys.labels(origin.value).set(keys[origin])
            self._bits.labels(origin.value).set(bits[origin])
        severities = Counter(alarm.severity for alarm in self._engine.management.alarms())
        for severity in AlarmSeverity:
            self._alarms.labels(severity.value).set(severities[severity])
        return self._metrics.render()


class MetricsEndpoint:
    """Answers GET /metrics; start once, stop once."""

    def __init__(self, gauges: NetworkGauges) -> None:
        self._gauges = gauges
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen and return the port; SettingsError when it is not to be had."""
        try:
            self._server = await asyncio.start_server(self._answer, host, port, limit=_MAX_HEAD_BYTES)
        except OSError as error:
            raise SettingsError(f"metrics: cannot listen on {host}:{port}: {error.strerror}") from error
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Close."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_READ_TIMEOUT_S):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(self._response(head.split(b"\r\n", 1)[0]))
                await writer.drain()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # whoever asks badly or leaves gets no answer
        finally:
            writer.close()

    def _response(self, request_line: bytes) -> bytes:
        method, _, rest = request_line.partition(b" ")
        if method != b"GET" or rest.split(b" ")[0].split(b"?")[0] != b"/metrics":
            status, kind, body = "404 Not Found", "text/plain; charset=utf-8", b"GET /metrics\n"
        else:
            status, kind, body = "200 OK", CONTENT_TYPE, self._gauges.render()
        lines = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", f"Content-Length: {len(body)}"]
        return ("\r\n".join([*lines, "Connection: close", "", ""])).encode() + body
