"""Who may be listening: what looks like it, which key is not trusted then, and when it is over."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyweave_agents.quantum.intrusion import PARTS, IntrusionSettings, Watch, suspicion
from keyweave_core.physics.profiles import PROFILES
from keyweave_core.physics.rates import Disturbance, link_figures

USUAL = IntrusionSettings()
BB84, DPS, CV = PROFILES["bb84-t12-1ghz"], PROFILES["dps-1ghz"], PROFILES["cv-het-100mbaud"]


def looks(profile_name: str, settings: IntrusionSettings = USUAL, **more: float) -> str:
    profile, disturbance = PROFILES[profile_name], Disturbance(**more)
    return suspicion(settings, profile, 5.0, disturbance, link_figures(profile, 5.0, disturbance))


def test_limits_are_those_of_the_protocols() -> None:
    assert (USUAL.qber_of(BB84), USUAL.qber_of(DPS), USUAL.qber_of(CV)) == (0.11, 0.055, 0.0)
    assert IntrusionSettings(qber=0.07).qber_of(DPS) == 0.07
    assert IntrusionSettings(qber=0).qber_of(BB84) == 0


@pytest.mark.parametrize(
    ("profile", "noise", "words"),
    [
        ("bb84-t12-1ghz", 0.0, ""),
        ("bb84-t12-1ghz", 0.06, ""),  # no key any more, and below the limit
        ("bb84-t12-1ghz", 0.09, "QBER 12.2%, 11.0% is the limit"),
        ("bbm92-spdc", 0.1, "11.0% is the limit"),
        ("dps-1ghz", 0.025, ""),
        ("dps-1ghz", 0.04, "5.5% is the limit"),
        ("cv-het-100mbaud", 0.15, ""),
        ("cv-het-100mbaud", 0.25, "0.2 is the limit"),
    ],
)
def test_what_looks_like_somebody_listening(profile: str, noise: float, words: str) -> None:
    found = looks(profile, excess_noise=noise)
    assert words in found
    assert bool(words) is bool(found)


def test_a_fibre_that_lets_no_light_through_is_no_sign() -> None:
    dark = Disturbance(extra_loss_db=60)
    figures = link_figures(BB84, 5.0, dark)
    assert figures.qber is not None
    assert figures.qber > 0.4
    assert not suspicion(USUAL, BB84, 5.0, dark, figures)
    assert not looks("bb84-t12-1ghz", IntrusionSettings(qber=0), excess_noise=0.3)
    assert not looks("cv-het-100mbaud", IntrusionSettings(excess_noise=0), excess_noise=0.3)


@pytest.mark.parametrize(
    ("name", "value"),
    [("qber", 0.6), ("excess_noise", -1), ("window_s", 61), ("release_after_s", 1e9), ("release", "never")],
)
def test_settings_that_cannot_be_are_named(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=name):
        IntrusionSettings(**{name: value})


def watch_with(blocks: dict[int, float], **more: float) -> Watch:
    watch = Watch(replace(USUAL, **more), 0)
    for block_id, at_s in blocks.items():
        watch.came(block_id, at_s)
    return watch


def test_what_came_in_the_window_is_not_trusted() -> None:
    watch = watch_with({1: 0.0, 2: 1.0, 3: 2.0, 4: 3.0})
    assert watch.measured("QBER", 3.5)
    assert watch.since_block_id == 3
    assert not watch.measured("QBER", 3.6)  # known
    assert (watch.suspect, watch.reason) == (True, "QBER")


def test_nothing_came_in_the_window() -> None:
    fresh = Watch(USUAL, 700)
    assert fresh.measured("QBER", 9.0)
    assert fresh.since_block_id == 700  # what an earlier run of the program left stays
    watch = watch_with({1: 0.0, 2: 1.0})
    assert watch.measured("QBER", 9.0)
    assert watch.since_block_id == 3


@given(st.lists(st.floats(0.001, 1.0), min_size=1, max_size=200), st.floats(0, 3))
def test_every_block_of_the_window_is_distrusted_and_hardly_any_before(
    gaps: list[float], wait: float
) -> None:
    watch, came, now_s = Watch(USUAL, 0), [], 100.0
    for block_id, gap in enumerate(gaps, start=1):
        now_s += gap
        watch.came(block_id, now_s)
        came.append((block_id, now_s))
    now_s += wait
    assert watch.measured("QBER", now_s)
    within = [block_id for block_id, at_s in came if at_s >= now_s - USUAL.window_s]
    assert all(block_id >= watch.since_block_id for block_id in within)
    trusted = [at_s for block_id, at_s in came if block_id < watch.since_block_id]
    distrusted = [at_s for block_id, at_s in came if block_id >= watch.since_block_id]
    slack = USUAL.window_s * (1 + 2 / PARTS)
    assert all(at_s >= now_s - slack for at_s in distrusted)
    assert all(at_s < now_s - USUAL.window_s for at_s in trusted)


def test_the_other_end_may_have_seen_more() -> None:
    watch = watch_with({1: 0.0, 2: 1.0, 3: 2.0})
    assert watch.told("QBER there", 2, 3.5)
    assert watch.since_block_id == 2  # it distrusts more than the window here
    assert watch.reason == "the other end says: QBER there"
    assert not watch.told("QBER there", 2, 3.6)
    assert watch.told("QBER there", 1, 3.6)
    assert watch.measured("QBER", 3.7)
    assert watch.since_block_id == 1
    assert watch.told("", 0, 4.0) is False
    assert watch.suspect
    assert watch.reason == "QBER"


def test_a_suspicion_ends_after_good_measurements_without_a_gap() -> None:
    watch = watch_with({1: 0.0}, release_after_s=10)
    watch.measured("QBER", 1.0)
    watch.measured("", 2.0)
    assert not watch.tick(11.9)
    watch.measured("QBER", 11.95)
    watch.measured("", 12.0)
    assert not watch.tick(21.9)
    watch.unlit()
    assert not watch.tick(30.0)
    watch.measured("", 31.0)
    assert watch.tick(41.0)
    assert not watch.suspect
    assert not watch.tick(42.0)


def test_the_operator_alone_releases_where_that_is_so() -> None:
    watch = Watch(IntrusionSettings(release="operator", release_after_s=0), 0)
    watch.measured("QBER", 1.0)
    watch.measured("", 2.0)
    assert not watch.tick(1e6)
    watch.released()
    assert not watch.suspect


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("came"), st.integers(1, 5)),
            st.tuples(st.just("bad"), st.integers(0, 0)),
            st.tuples(st.just("good"), st.integers(0, 0)),
            st.tuples(st.just("far"), st.integers(0, 30)),
            st.tuples(st.just("far well"), st.integers(0, 0)),
        ),
        max_size=40,
    )
)
def test_while_it_lasts_it_never_trusts_what_it_distrusted_before(steps: list[tuple[str, int]]) -> None:
    watch, block_id, now_s = Watch(USUAL, 0), 0, 0.0
    for what, number in steps:
        now_s += 0.7
        was, before = watch.suspect, watch.since_block_id
        match what:
            case "came":
                if not was:  # a pool in quarantine takes nothing
                    block_id += number
                    watch.came(block_id, now_s)
            case "bad":
                watch.measured("QBER", now_s)
            case "good":
                watch.measured("", now_s)
            case "far":
                watch.told("QBER", number, now_s)
            case _:
                watch.told("", 0, now_s)
        if was and watch.suspect:
            assert watch.since_block_id <= before
