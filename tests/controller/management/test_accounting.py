"""Usage and bills."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyweave_controller.control.configuration import Tariff
from keyweave_controller.control.events import AssociationRequested, UsageReported
from keyweave_controller.control.state import Association, PathRecord
from keyweave_controller.engine.rehearsal import Rehearsal
from keyweave_controller.engine.simulation import Span, simulate, simulated_id
from keyweave_controller.management import accounting
from keyweave_controller.management.manager import Management, UsageChanged
from keyweave_core.errors import SettingsError
from keyweave_core.model.application import AppQos, AppStatistics, KeyOrigin, PathUsage
from keyweave_core.runtime.clock import date_and_time
from keyweave_core.runtime.settings import parse_settings


def opened() -> tuple[Rehearsal, Association]:
    show = Rehearsal(
        nodes=simulate([Span(a="A", b="B"), Span(a="B", b="C")], {"A": ("sae:a", "sae:b"), "C": ("sae:c",)})
    )
    show.start()
    wish = AssociationRequested(
        at=show.now, request_id="r", source="sae:a", destination="sae:c", qos=AppQos()
    )
    show.feed(wish)
    show.settle()
    (association,) = show.network.associations.values()
    return show, association


def report(show: Rehearsal, association: Association, *periods: AppStatistics, site: str = "A") -> list:
    event = UsageReported(at=show.now, node_id=simulated_id(site), app_id=association.app_id, periods=periods)
    return show.management.handle(event, show.network.handle(event), show.network)


def period(second: int, bits: int, *paths: PathUsage) -> AppStatistics:
    return AppStatistics(end_time=date_and_time(1_700_000_000 + second), consumed_bits=bits, paths=paths)


def test_usage_is_counted_at_the_source_once_and_by_path() -> None:
    show, association = opened()
    over = PathUsage(link_id=association.path.link_id, delivered_bits=512, delivered_keys=2)
    changes = report(show, association, period(10, 512, over), period(20, 512, over))
    assert [type(one) for one in changes] == [UsageChanged]
    assert report(show, association, period(10, 512, over)) == []
    assert report(show, association, period(30, 512, over), site="C") == []
    (record,) = show.management.usage()
    assert (record.bits, record.keys, record.hops, record.node_names) == (1024, 4, 2, ("A", "B", "C"))
    assert record.last_at - record.first_at == 10


def test_a_node_that_names_no_path_used_the_one_of_that_time() -> None:
    show, association = opened()
    report(show, association, period(10, 100))
    association.past_paths[association.path.link_id] = association.path
    nodes = (association.source_node, association.destination_node)
    association.path = PathRecord(
        link_id="v9", nodes=nodes, links=("x",), bandwidth_bps=1, hop_bps=1, since=1_700_000_100.0
    )
    report(show, association, period(50, 10), period(200, 7))
    assert [(record.link_id, record.bits) for record in show.management.usage()] == [
        (next(iter(association.past_paths)), 110),
        ("v9", 7),
    ]


@pytest.mark.parametrize("end_time", ["yesterday", "2026-01-01T00:00:00", ""])
def test_a_period_without_a_real_end_is_left_out(end_time: str) -> None:
    show, association = opened()
    assert report(show, association, AppStatistics(end_time=end_time, consumed_bits=8)) == []


def test_negative_and_empty_figures_bill_nothing() -> None:
    show, association = opened()
    bad = PathUsage(link_id=association.path.link_id, delivered_bits=-5, delivered_keys=-1)
    report(show, association, period(10, -3), period(20, 0), period(30, 1, bad))
    assert sum(record.bits for record in show.management.usage()) == 0


def test_an_unknown_association_is_no_usage() -> None:
    show, association = opened()
    event = UsageReported(at=1.0, node_id=association.source_node, app_id="ghost", periods=(period(1, 1),))
    assert show.management.handle(event, [], show.network) == []


def test_keys_inside_one_node_are_billed_as_one_hop() -> None:
    show, _ = opened()
    show.feed(
        AssociationRequested(at=show.now, request_id="r2", source="sae:a", destination="sae:b", qos=AppQos())
    )
    show.settle()
    association = list(show.network.associations.values())[-1]
    assert (association.state, association.path) == ("active", None)
    report(show, association, period(10, 1_000_000))
    bill = show.management.bill(Tariff(per_mbit=Decimal(3), per_further_hop=Decimal(9)))
    assert [(line.path, line.hops, line.amount) for line in bill.lines] == [(("A",), 0, Decimal("3.00"))]


@given(
    st.lists(st.tuples(st.integers(1, 2_000), st.integers(0, 10**6)), max_size=40),
    st.integers(0, 2**32),
)
@settings(max_examples=60, deadline=None)
def test_any_order_and_repetition_of_reports_bills_the_same(
    periods: list[tuple[int, int]], seed: int
) -> None:
    once = dict(periods)
    show, association = opened()
    for second in dict(periods):
        report(show, association, period(second, once[second]))
    for second, bits in reversed(periods):
        report(show, association, period(second, bits))
    assert sum(record.bits for record in show.management.usage()) == sum(once.values())
    again = Management.from_snapshot(show.management.to_snapshot())
    assert again.usage() == show.management.usage()


def test_only_a_bounded_number_of_periods_is_remembered_and_older_ones_stay_counted() -> None:
    show, association = opened()
    kept = accounting.PERIODS_KEPT
    for second in range(kept + 20):
        report(show, association, period(second, 1))
    report(show, association, period(3, 1), period(kept + 3, 1))
    assert sum(record.bits for record in show.management.usage()) == kept + 20


def test_the_price_is_decimal_and_rounded_once_half_to_even() -> None:
    tariff = Tariff(per_mbit=Decimal("0.10"), per_key=Decimal("0.005"), per_further_hop=Decimal("0.5"))
    assert tariff.price(bits=1_000_000, keys=1, hops=1) == Decimal("0.10")  # 0.105
    assert tariff.price(bits=1_000_000, keys=3, hops=1) == Decimal("0.12")  # 0.115
    assert tariff.price(bits=2_000_000, keys=0, hops=3) == Decimal("0.40")
    bill = accounting.Accounting().bill(tariff)
    assert (bill.lines, str(bill.total)) == ((), "0.00")


def test_a_tariff_is_read_from_toml_and_its_bounds_are_kept(tmp_path: Path) -> None:
    text = 'currency = "CHF"\nper_mbit = "0.35"\nper_further_hop = 0.5\n'
    tariff = parse_settings(text, Tariff, where="tariff.toml")
    assert (tariff.currency, tariff.per_mbit) == ("CHF", Decimal("0.35"))
    for line, words in (
        ('per_mbit = "-1"', "per_mbit"),
        ('per_key = "NaN"', "per_key"),
        ("decimals = 12", "decimals"),
        ('currency = ""', "currency"),
        ("per_gbit = 1", "unknown key per_gbit"),
    ):
        with pytest.raises(SettingsError, match=words):
            parse_settings(line, Tariff, where="tariff.toml")


def test_keys_of_each_origin_are_counted_and_priced_by_themselves() -> None:
    show, association = opened()
    assert association.path is not None
    path = PathUsage(link_id=association.path.link_id, delivered_bits=1_000_000, delivered_keys=10)
    over = [replace(path, origin=origin) for origin in KeyOrigin]
    report(show, association, period(10, 3_000_000, *over), period(20, 1_000_000, over[0]))
    usage = {record.origin: (record.bits, record.keys) for record in show.management.usage()}
    assert usage == {
        KeyOrigin.QKD: (2_000_000, 20),
        KeyOrigin.HYBRID: (1_000_000, 10),
        KeyOrigin.PQC: (1_000_000, 10),
    }
    tariff = Tariff(
        per_mbit=Decimal(2),
        per_key=Decimal("0.1"),
        per_further_hop=Decimal("0.5"),
        hybrid_per_mbit=Decimal(3),
        pqc_per_key=Decimal(0),
    )
    bill = show.management.bill(tariff)
    assert {line.origin: line.amount for line in bill.lines} == {
        KeyOrigin.QKD: Decimal("9.00"),  # (2 * 2 + 20 * 0.1) * 1.5
        KeyOrigin.HYBRID: Decimal("6.00"),  # (3 + 10 * 0.1) * 1.5: its own price for bits alone
        KeyOrigin.PQC: Decimal("2.00"),  # one hop, however long the path
    }
    assert bill.total == Decimal("17.00")


def test_a_tariff_may_leave_the_prices_of_origins_out(tmp_path: Path) -> None:
    plain = parse_settings('per_mbit = "1"', Tariff, where="tariff")
    assert {plain.price(bits=10**6, keys=0, hops=1, origin=origin) for origin in KeyOrigin} == {
        Decimal("1.00")
    }
    own = parse_settings('pqc_per_mbit = "0.25"', Tariff, where="tariff")
    assert own.price(bits=10**6, keys=0, hops=9, origin=KeyOrigin.PQC) == Decimal("0.25")
    with pytest.raises(SettingsError, match="hybrid_per_key"):
        parse_settings('hybrid_per_key = "-1"', Tariff, where="tariff")
