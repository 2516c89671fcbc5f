"""When the links of the plant make key, and what else follows from the plant for links.

Rule of this file: `NetworkState.plant_facts` is made here and nowhere else: shared risks from the ducts,
windows of satellites from their passes, and for modules that several links share a schedule from what their
pools hold, what is drawn and how much it matters. A schedule is known for a horizon and made anew when half
of it has passed, from the levels of that moment; passes are known as far as they are told.
"""

from collections.abc import Mapping
from dataclasses import replace

from keyweave_controller.control import facts, plant_links
from keyweave_controller.control.admission import reserved_bps
from keyweave_controller.control.judging import judge_link
from keyweave_controller.control.optical.availability import availability
from keyweave_controller.control.optical.plant import Plant
from keyweave_controller.control.optical.retune import link_facts
from keyweave_controller.control.optical.review import review
from keyweave_controller.control.optical.switched import Partner
from keyweave_controller.control.optical.windows import Window
from keyweave_controller.control.state import NetworkState
from keyweave_controller.control.turn import Turn
from keyweave_core.model.ids import LinkId
from keyweave_core.model.units import clamp_uint32

TIMER = "timetable"
HORIZON_S = 86_400.0
MOST_TURNS = 500
"""A schedule ends after so many turns when that is sooner."""

Windows = Mapping[str, tuple[Window, ...]]


def adopt(turn: Turn, plant: Plant | None) -> None:
    """The fibre plant is this from now on: routing and admission see what follows from it."""
    state = turn.state
    state.plant = plant
    turn.cancel_timer(TIMER)
    if plant is None:
        _put(turn, None, {})
    else:
        _put(turn, plant, {**_passes(plant, turn.at), **_schedules(turn, plant)})
    turn.lookups.reshape()
    turn.capacity_grew = True


def again(turn: Turn) -> None:
    """Half of the schedule has passed: make the next one."""
    state = turn.state
    if state.plant is None:
        return
    kept = {
        one.link: told.windows or ()
        for one in state.plant.satellites
        if (told := state.plant_facts.get(one.link)) is not None
    }
    _put(turn, state.plant, {**kept, **_schedules(turn, state.plant)})


def _put(turn: Turn, plant: Plant | None, windows: Windows) -> None:
    """Store the facts, and have every link for which they are news judged again."""
    state = turn.state
    before = state.plant_facts
    state.plant_facts = {} if plant is None else {one.link: one for one in link_facts(plant, windows)}
    news = {
        name
        for name in before.keys() | state.plant_facts.keys()
        if before.get(name) != state.plant_facts.get(name)
    }
    if not news:
        return
    names = plant_links.links_by_name(state)
    for link_id in turn.lookups.links.ordered({names[name] for name in news if name in names}):
        turn.touch_link(link_id)
        judge_link(turn, state.links[link_id])


def _passes(plant: Plant, at: float) -> Windows:
    """The windows of satellites, as far as their passes are told."""
    if not plant.satellites:
        return {}
    ends = [one.ends_at for satellite in plant.satellites for one in satellite.passes]
    alone = Plant(satellites=plant.satellites)
    return availability(alone, (), starts_at=at, horizon_s=max(1.0, max(ends, default=at) - at))


def _schedules(turn: Turn, plant: Plant) -> Windows:
    """The windows of the links of shared modules; sets the timer for the next ones."""
    if not plant.shared:
        return {}
    horizon_s = min(HORIZON_S, *(MOST_TURNS * sharing.policy.dwell_s for sharing in plant.shared))
    turn.set_timer(TIMER, turn.at + horizon_s / 2)
    return availability(
        replace(plant, satellites=()),
        partners(turn.state, plant),
        starts_at=turn.at,
        horizon_s=horizon_s,
        connected=_connected(turn.state, turn.at),
    )


def partners(state: NetworkState, plant: Plant) -> tuple[Partner, ...]:
    """What the schedule of shared modules depends on, link by link: journaled figures only.

    The rate is the predicted one: what a link measures while another is served says nothing.
    """
    shared = {sharing.module for sharing in plant.shared}
    named = plant_links.links_by_name(state)
    asked = {one.link: one for one in plant_links.demands(state)}
    found: list[Partner] = []
    for channel, seen in zip(plant.channels, review(plant, plant.channels, ()), strict=True):
        if shared.isdisjoint((channel.transmitter, channel.receiver)):
            continue
        link = state.links.get(named.get(channel.link, LinkId("")))
        known = None if link is None else facts.of_link(state, link)
        capacity = known.capacity_bits if known else 0
        found.append(
            Partner(
                link=channel.link,
                rate_bps=clamp_uint32(seen.now.figures.skr_bps),
                stored_bits=min(known.stored_bits, capacity) if known else 0,
                capacity_bits=capacity,
                consumption_bps=clamp_uint32(reserved_bps(link)) if link else 0,
                priority=min(255, asked[channel.link].priority) if channel.link in asked else 0,
            )
        )
    return tuple(found)


def _connected(state: NetworkState, at: float) -> tuple[str, ...]:
    """The links that are in a window now: their switches need not turn."""
    return tuple(
        name
        for name, told in sorted(state.plant_facts.items())
        if any(window.starts_at <= at < window.ends_at for window in told.windows or ())
    )
