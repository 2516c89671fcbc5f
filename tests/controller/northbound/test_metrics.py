"""The network's numbers over plain HTTP."""

import asyncio

import pytest

from keyweave_controller.northbound.metrics import MetricsEndpoint, NetworkGauges
from keyweave_core.errors import SettingsError
from keyweave_core.runtime.metrics import Metrics


@pytest.fixture
async def port(bench):
    endpoint = MetricsEndpoint(NetworkGauges(bench.engine, Metrics()))
    yield await endpoint.start("127.0.0.1", 0)
    await endpoint.stop()


async def ask(port: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


async def test_metrics_show_the_state_of_this_moment(port):
    answer = await ask(port, b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain")
    text = answer.decode()
    assert 'keyweave_nodes{session="up"} 3.0' in text
    assert 'keyweave_link_key_rate_bps{link="Aldea-Burgo"} 10000.0' in text
    assert 'keyweave_link_stored_bits{link="Aldea-Burgo"} 1000.0' in text
    assert 'keyweave_associations{state="active"} 0.0' in text
    assert "keyweave_associations_in_fallback 0.0" in text
    assert 'keyweave_delivered_keys{origin="pqc"} 0.0' in text


@pytest.mark.parametrize(
    "request_", [b"GET / HTTP/1.1\r\n\r\n", b"POST /metrics HTTP/1.1\r\n\r\n", b"\r\n\r\n"]
)
async def test_nothing_else_is_answered(port, request_):
    assert (await ask(port, request_)).startswith(b"HTTP/1.1 404")


async def test_a_head_without_end_is_dropped(port):
    try:
        answer = await ask(port, b"GET /metrics HTTP/1.1\r\n" + b"x" * 100_000)
    except ConnectionError:
        answer = b""
    assert answer == b""
    assert b"200 OK" in await ask(port, b"GET /metrics HTTP/1.1\r\n\r\n")


async def test_an_address_that_is_taken_is_told(bench, port):
    with pytest.raises(SettingsError, match="cannot listen"):
        await MetricsEndpoint(NetworkGauges(bench.engine, Metrics())).start("127.0.0.1", port)
