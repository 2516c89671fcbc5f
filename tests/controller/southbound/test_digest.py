"""What of a poll is news."""

from hypothesis import given
from hypothesis import strategies as st

from keyweave_controller.southbound.digest import RELATIVE_CHANGE, Digest
from keyweave_core.model.application import Application, AppStatistics
from keyweave_core.model.ids import AppId, LinkId
from keyweave_core.model.link import KeyPool, Link, LinkPerformance, LinkStatus, LinkType

ONE, TWO = LinkId("1" * 8 + "-0000-4000-8000-000000000000"), LinkId("2" * 8 + "-0000-4000-8000-000000000000")
APP = AppId("a" * 8 + "-0000-4000-8000-000000000000")


def link(link_id=ONE, *, skr=1000, qber=0.02, stored=500, status=LinkStatus.ACTIVE, kind=LinkType.PHYS):
    return Link(
        link_id=link_id,
        type=kind,
        status=status,
        performance=LinkPerformance(skr_bps=skr, qber=qber),
        pool=KeyPool(stored_bits=stored, capacity_bits=1000),
    )


def test_the_first_figures_of_a_link_are_news_and_virtual_links_never():
    digest = Digest()
    virtual = link(TWO, kind=LinkType.VIRT)
    assert [item.link_id for item in digest.news([link(), virtual])] == [ONE]
    assert digest.news([link(), virtual]) == ()


def test_small_moves_add_up_until_they_matter():
    digest = Digest()
    digest.told([link(skr=1000)])
    assert digest.news([link(skr=1030)]) == ()
    assert digest.news([link(skr=1049)]) == ()  # against what was told, not against the last poll
    assert len(digest.news([link(skr=1050)])) == 1


def test_a_figure_that_comes_or_goes_is_news():
    digest = Digest()
    digest.told([link(qber=0.02)])
    assert len(digest.news([link(qber=None)])) == 1
    assert digest.news([link(qber=None)]) == ()
    assert len(digest.news([link(qber=0.0)])) == 1


def test_the_last_bit_of_a_pool_is_news():
    digest = Digest()
    digest.told([link(stored=20)])
    assert digest.news([link(stored=1)]) == ()
    assert len(digest.news([link(stored=0)])) == 1


def test_status_is_news_however_the_figures_stand():
    digest = Digest()
    digest.told([link()])
    assert len(digest.news([link(status=LinkStatus.PASSIVE)])) == 1


def test_what_was_heard_another_way_is_told_again():
    digest = Digest()
    digest.told([link()])
    digest.forget(None)
    assert digest.news([link()]) == ()
    digest.forget(ONE)
    assert len(digest.news([link()])) == 1


def test_a_link_that_is_gone_is_forgotten():
    digest = Digest()
    digest.told([link(), link(TWO)])
    digest.news([link()])
    assert len(digest.news([link(), link(TWO)])) == 1


@given(st.lists(st.integers(min_value=1, max_value=10**9), min_size=1, max_size=30))
def test_what_was_told_is_never_further_off_than_the_bound(rates):
    digest = Digest()
    told = None
    for rate in rates:
        for item in digest.news([link(skr=rate)]):
            told = item.performance.skr_bps
        assert told is not None
        assert abs(rate - told) < max(1, RELATIVE_CHANGE * told) or rate == told


def usage(*ends):
    return Application(app_id=APP, statistics=tuple(AppStatistics(end_time=end) for end in ends))


def test_periods_are_told_once_oldest_first():
    digest = Digest()
    fresh = digest.periods([usage("2026-01-01T00:02:00Z", "2026-01-01T00:01:00Z")])
    assert [row.end_time for row in fresh[APP]] == ["2026-01-01T00:01:00Z", "2026-01-01T00:02:00Z"]
    assert digest.periods([usage("2026-01-01T00:02:00Z", "2026-01-01T01:02:00+01:00")]) == {}
    fresh = digest.periods([usage("2026-01-01T00:02:00Z", "2026-01-01T00:02:00.5Z")])
    assert [row.end_time for row in fresh[APP]] == ["2026-01-01T00:02:00.5Z"]


def test_an_end_that_is_no_time_is_left_out_and_gone_applications_are_forgotten():
    digest = Digest()
    assert digest.periods([usage("tomorrow", "2026-01-01T00:02:00")]) == {}
    digest.periods([usage("2026-01-01T00:02:00Z")])
    assert digest.periods([]) == {}
    assert digest._ended == {}
