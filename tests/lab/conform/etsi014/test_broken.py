"""Each defect of a key manager fails the checks that are about it, and no other."""

from collections.abc import Awaitable, Callable

import pytest

from keyweave_lab.conform.report import Report, Verdict

Judged = Callable[..., Awaitable[Report]]

DEFECTS = {
    "message": {"D3.unknown"},
    "401-body": {"U3.401"},
    "repeated-key": {"U1.keys"},
    "repeated-id": {"U1.ids"},
    "not-atomic": {"D3.atomic"},
    "again": {"D2.again", "D2.race"},
    "race": {"D2.race"},
    "bytes": {"C2.post", "C2.get", "C3.least", "C3.most", "C3.odd"},
    "no-uuid": {"U1.uuid"},
    "details-object": {"U3.error"},
    "third": {"C9.alone", "D4.third"},
    "any-master": {"D4.other-master"},
    "400-for-401": {"D4.401"},
    "mandatory-ignored": {"C6.mandatory"},
    "mandatory-text": {"C6.mandatory"},
    "odd-text": {"C3.odd"},
    "above": {"C3.above"},
    "below": {"C3.below"},
    "too-many": {"C4.above"},
    "size-text": {"B2"},
    "caller": {"B3.caller"},
    "slave": {"B3.slave"},
    "not-decoded": {"B3.encoded"},
    "target": {"B4"},
    "stored": {"B5"},
    "no-certificate": {"A2.none"},
    "foreign": {"A2.foreign"},
    "old-tls": {"A1.old"},
    "urlsafe": {"U2.base64"},
    "member": {"U2.members"},
    "text/html": {"U4.type"},
    "http-1.0": {"U4.http"},
    "negative": {"C5.negative"},
    "word": {"C5.word"},
    "500": {"C7.no-json", "C7.no-text", "D5.no-json"},
    "late": {"D1.at-once"},
    "different": {"C9.alone", "C9.below", "D1.post", "D1.get", "D1.reverse", "D3.atomic", "D4.third"},
    "shared": {"C11", "U1.ids"},
    "put": {"C8.put"},
    "slaves": {"C9.above"},
    "multicast": {"C9.below"},
    "group": {"C9.alone", "D4.third"},
}


def failed(report: Report) -> set[str]:
    return {result.id for result in report.results if result.result is Verdict.FAIL}


async def test_a_right_pair_passes(judged: Judged) -> None:
    report = await judged()
    assert failed(report) == set(), report.to_json()
    reasons = {r.id: r.seen for r in report.results if r.result is Verdict.NOT_APPLICABLE}
    assert reasons == {}


@pytest.mark.parametrize("defect", DEFECTS)
async def test_a_defect_fails_its_checks_alone(judged: Judged, defect: str) -> None:
    report = await judged(defect)
    found = {r.id: r.seen for r in report.results if r.result is Verdict.FAIL}
    assert found.keys() == DEFECTS[defect], found


async def test_a_server_that_never_answers_costs_one_check_its_time(judged: Judged) -> None:
    report = await judged("hang", limit_s=0.5)
    assert failed(report) == {"E1.path"}
