"""Each defect of a key manager fails the checks that are about it, and no other."""

from collections.abc import Awaitable, Callable

import pytest

from keyweave_core.errors import PeerUnreachable
from keyweave_core.runtime.clock import SystemClock
from keyweave_lab.conform.check import Failed
from keyweave_lab.conform.etsi004.bench import Options, Side
from keyweave_lab.conform.etsi004.suite import run_suite
from keyweave_lab.conform.etsi004.wire import got_of, opened_of
from keyweave_lab.conform.report import Report, Verdict

Judged = Callable[..., Awaitable[Report]]

EQUAL = {"B1.equal", "B1.order", "B1.second-first", "B2.index", "B2.again", "B5.kept", "B7.far", "C2.kept"}
DEFECTS = {
    "ksid-fixed": {"A1.other", "B3.streams"},
    "ksid-1": {"A1.uuid"},
    "qos-asked": {"A2.qos"},
    "join-other": {"A2.join", "A4.predefined"},
    "in-use-0": {"A3.in-use"},
    "in-use-4": {"A3.in-use"},
    "no-predefined": {"A4.predefined", "A5.alone"},
    "timeout-2": {"A5.alone"},
    "media-any": {"A6.media"},
    "uri-any": {"A7.uri"},
    "qos-zero": {"A8.chosen"},
    "too-much": {"A8.too-much"},
    "no-proposal": {"A8.too-much"},
    "different": EQUAL,
    "half": {"B1.equal"},
    "repeats": {"B1.order"},
    "shared": {"B3.streams"},
    "index-ignored": {"B2.index", "B7.far"},
    "overflow-loses": {"B5.kept"},
    "overflow-cut": {"B5.small"},
    "overflow-0": {"B5.small"},
    "metadata-always": {"A6.none", "B4.unwanted"},
    "age-clock": {"B4.metadata"},
    "unknown-4": {"B6.unknown"},
    "alone-key": {"B6.alone"},
    "alone-2": {"B6.alone"},
    "close-2": {"C1.close"},
    "close-keeps": {"C1.after"},
    "close-drops": {"C2.kept"},
    "one-at-a-time": {"D1.two"},
    "short-opens": {"D3.short"},
    "dies": {"D3.short"},
}


async def test_a_right_pair_passes(judged: Judged) -> None:
    for secure in (True, False):
        report = await judged(secure=secure)
        found = {r.id: r.seen for r in report.results if r.result is Verdict.FAIL}
        assert found == {}
        reasons = {r.id for r in report.results if r.result is Verdict.NOT_APPLICABLE}
        assert reasons == (set() if secure else {"A9.tls"})


@pytest.mark.parametrize("defect", DEFECTS)
async def test_a_defect_fails_its_checks_alone(judged: Judged, defect: str) -> None:
    report = await judged(defect)
    found = {r.id: r.seen for r in report.results if r.result is Verdict.FAIL}
    assert found.keys() == DEFECTS[defect], found


async def test_a_server_without_client_certificates(judged: Judged) -> None:
    report = await judged("tls-open", secure=True)
    assert {r.id for r in report.results if r.result is Verdict.FAIL} == {"A9.tls"}


async def test_nobody_listens() -> None:
    side = Side(host="localhost", port=1, source="a:b", destination="c:d")
    with pytest.raises(PeerUnreachable):
        await run_suite(Options(first=side, second=side), SystemClock())


@pytest.mark.parametrize("payload", [b"", b"\0" * 3, b"\0" * 5, b"\0" * 303])
def test_answers_of_another_form_fail(payload: bytes) -> None:
    with pytest.raises(Failed):
        opened_of(payload)
    with pytest.raises(Failed):
        got_of(payload[:14] + b"\xff\xff" * bool(payload), b"salt")
