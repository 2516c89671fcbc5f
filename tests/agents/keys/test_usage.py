"""Statistics rows: aligned, bounded, and none without deliveries."""

from tests.agents.keys.paper import PaperDisk, PaperLedger

from keyweave_agents.keys.usage import KEPT_PERIODS, Usage
from keyweave_agents.keys.usage_memory import UsageMemory
from keyweave_core.model.application import KeyOrigin
from keyweave_core.model.ids import AppId, LinkId
from keyweave_core.model.units import UINT32_MAX

ONE, TWO = LinkId("one"), LinkId("two")


def test_a_period_ends_at_a_multiple_of_its_length() -> None:
    usage = Usage(60.0)
    usage.count(ONE, 256, 1, 90.0)
    usage.roll(119.9)
    assert usage.closed() == ()
    usage.roll(120.0)
    (row,) = usage.closed()
    assert row.start_time == "1970-01-01T00:01:00.000Z"
    assert row.end_time == "1970-01-01T00:02:00.000Z"


def test_a_row_has_the_sum_and_each_path() -> None:
    usage = Usage(10.0)
    usage.count(ONE, 256, 1, 1.0)
    usage.count(TWO, 512, 1, 2.0)
    usage.count(ONE, 256, 1, 3.0)
    usage.count(None, 100, 1, 4.0)
    usage.count(ONE, 8, 1, 10.0)
    (row,) = usage.closed()
    assert row.consumed_bits == 1124
    assert [(path.link_id, path.delivered_bits, path.delivered_keys) for path in row.paths] == [
        (ONE, 512, 2),
        (TWO, 512, 1),
    ]


def test_the_number_of_rows_is_bounded_and_the_oldest_goes() -> None:
    usage = Usage(1.0)
    for second in range(100):
        usage.count(ONE, 8, 1, float(second))
    assert len(usage.closed()) == KEPT_PERIODS
    assert usage.closed()[-1].end_time == "1970-01-01T00:01:39.000Z"


def test_a_sum_beyond_the_counter_is_cut_at_its_end() -> None:
    usage = Usage(1.0)
    usage.count(ONE, 2**33, 1, 0.0)
    usage.roll(1.0)
    assert usage.closed()[0].consumed_bits == UINT32_MAX


def test_what_keys_are_made_of_is_counted_apart() -> None:
    usage = Usage(10.0)
    usage.count(ONE, 256, 1, 1.0)
    usage.count(ONE, 256, 1, 2.0, KeyOrigin.PQC)
    usage.count(ONE, 512, 2, 3.0, KeyOrigin.PQC)
    (row,) = usage.finish(5.0)
    assert [(path.link_id, path.origin, path.delivered_keys) for path in row.paths] == [
        (ONE, KeyOrigin.QKD, 1),
        (ONE, KeyOrigin.PQC, 3),
    ]


def test_what_was_counted_outlives_a_restart_and_goes_on_in_the_same_period() -> None:
    disk, app_id = PaperDisk(), AppId("00000000-0000-4000-8000-000000000a00")
    ledger = PaperLedger(disk)
    memory = UsageMemory(ledger)
    usage = memory.usage(app_id, 60.0)
    usage.count(LinkId("a"), 256, 1, 30.0)
    usage.count(LinkId("b"), 512, 2, 70.0, KeyOrigin.HYBRID)
    memory.note(app_id, usage)
    ledger.commit()
    memory.note(app_id, usage)
    assert not ledger.stale, "nothing was counted since"

    ledger = PaperLedger(disk)
    memory = UsageMemory(ledger)
    again = memory.usage(app_id, 60.0)
    again.count(LinkId("b"), 512, 2, 80.0, KeyOrigin.HYBRID)
    usage.count(LinkId("b"), 512, 2, 80.0, KeyOrigin.HYBRID)
    assert again.finish(90.0) == usage.finish(90.0)
    memory.forget(app_id)
    ledger.commit()
    assert not disk.records
    assert UsageMemory(PaperLedger(disk)).usage(app_id, 60.0).closed() == ()
