"""Each defect of a key manager fails the checks that are about it, and no other."""

from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyweave_lab.conform.check import Failed
from keyweave_lab.conform.etsi020.form import acks_of, flaw_of_problem, told
from keyweave_lab.conform.https import Reply
from keyweave_lab.conform.report import Report, Verdict

Judged = Callable[..., Awaitable[Report]]

DEFECTS = {
    "tls-1.2": {"A1.old"},
    "no-certificate": {"A2.none"},
    "foreign": {"A2.foreign"},
    "versions-text": {"A3.versions"},
    "200-async": {"B1.async"},
    "no-ack": {"B1.ack"},
    "done": {"B1.ack", "U2.acks"},
    "parties": {"B1.parties"},
    "no-retry": {"B1.retry"},
    "once": {"B2.again"},
    "other": {"B2.other"},
    "half": {"B2.atomic"},
    "unknown": {"B3.unknown"},
    "back": {"B3.back"},
    "missing": {"B4.missing", "C4.missing"},
    "no-json-500": {"B4.no-json", "C4.no-json", "D1.no-json", "B4.id", "B4.value"},
    "no-uuid": {"B4.id"},
    "no-base64": {"B4.value"},
    "long": {"B4.long"},
    "mandatory-400": {"B5.mandatory"},
    "mandatory-ignored": {"B5.mandatory"},
    "http": {"B6.http"},
    "elsewhere": {"B6.elsewhere"},
    "202-always": {"B7.sync"},
    "sync-claimed": {"B7.sync"},
    "keeps": {"C1.void"},
    "void-once": {"C1.again"},
    "resurrects": {"C1.stays"},
    "void-all": {"C3.none"},
    "ack-object": {"U2.acks"},
    "ack-object-taken": {"D1.object"},
    "perhaps": {"D1.status"},
    "detail": {"U1.problem", "B5.mandatory"},
    "html": {"U1.type"},
}


async def test_a_right_key_manager_passes(judged: Judged) -> None:
    for synchronous in (True, False):
        report = await judged(synchronous=synchronous)
        assert {r.id: r.seen for r in report.results if r.result is Verdict.FAIL} == {}
        assert {r.id: r.seen for r in report.results if r.result is Verdict.NOT_APPLICABLE} == {}


@pytest.mark.parametrize("defect", DEFECTS)
async def test_a_defect_fails_its_checks_alone(judged: Judged, defect: str) -> None:
    report = await judged(defect, synchronous=defect != "sync-claimed")
    found = {r.id: r.seen for r in report.results if r.result is Verdict.FAIL}
    assert found.keys() == DEFECTS[defect], found


JSON = st.recursive(
    st.none() | st.booleans() | st.text() | st.integers(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(
            st.sampled_from(
                ["key_id_container", "key_id", "ack_status", "initiator_sae_id", "target_sae_ids", "type"]
            ),
            inner,
        )
    ),
)


@given(JSON, st.binary(max_size=40))
def test_no_answer_breaks_the_reader(value: object, body: bytes) -> None:
    try:
        acks, _ = acks_of(value)
    except Failed:
        acks = []
    assert all(isinstance(ack.key_id, str) for ack in acks)
    reply = Reply(status=400, version="1.1", headers=(), body=body)
    assert isinstance(flaw_of_problem(reply), str)
    assert told(reply).startswith("status 400")
