"""A server that answers anything at all ends no run, and holds none up."""

import json
import random
import uuid
from typing import Any

import pytest
from tests.lab.conform.tiny_https import Request, Response, TinyHttps

from keyweave_core.runtime.clock import SystemClock
from keyweave_lab.conform.etsi014.suite import CHECKS, run_suite

from .conftest import Papers

NAMES = (
    "keys", "key_ID", "key", "key_ID_extension", "message", "details", "key_size", "min_key_size",
    "max_key_size", "max_key_per_request", "stored_key_count", "max_key_count", "max_SAE_ID_count",
    "master_SAE_ID", "slave_SAE_ID", "source_KME_ID", "target_KME_ID", "status_extension",
)  # fmt: skip

OK = b"HTTP/1.1 200 OK\r\n"
RAW = (b"", b"junk", b"HTTP/1.1 200\r\n\r\n", b"HTTP/1.1 999 X\r\n\r\n", OK + b"content-length: x\r\n\r\n")


def anything(source: random.Random, depth: int = 0) -> Any:
    """Some JSON, often of the right names."""
    kind = source.randrange(9 if depth < 4 else 6)
    match kind:
        case 0:
            return None
        case 1:
            return source.choice([True, -1, 0, 8, 256, 2**70, 1e300, 0.5])
        case 2:
            return source.choice(
                ["", "alice", "QUJD", "%%", "\u0000", str(uuid.UUID(int=source.getrandbits(128)))]
            )
        case 3 | 4 | 5:
            return source.choice([64, 256, "AAAA", "bob"])
        case 6:
            return [anything(source, depth + 1) for _ in range(source.randrange(3))]
        case _:
            return {name: anything(source, depth + 1) for name in source.sample(NAMES, 8)}


def response(source: random.Random) -> Response:
    raw = source.choice(RAW)
    body = json.dumps(anything(source)).encode()
    if source.random() < 0.1:
        return Response(raw=raw)
    if source.random() < 0.1:
        body = source.randbytes(20)
    status = source.choice([200, 200, 200, 400, 401, 403, 404, 500])
    return Response(status=status, body=body, type=source.choice(["application/json", "text/html", ";"]))


@pytest.mark.parametrize("seed", range(12))
async def test_any_answer_at_all(papers: Papers, seed: int) -> None:
    source = random.Random(seed)  # noqa: S311 - a test repeats itself

    async def handle(_: Request) -> Response:
        return response(source)

    async with TinyHttps(papers.node, handle) as port:
        url = f"https://localhost:{port}"
        report = await run_suite(papers.options(url, url, patience_s=0.0), SystemClock())
    assert len(report.results) == len(CHECKS)
    assert not report.passed
    json.loads(report.to_json())
