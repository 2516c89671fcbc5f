"""What to tell whose demand does not fit: what stands in the way, and the nearest things that would fit.

Rule of this file: decides and changes nothing, and tells nothing that it has not searched for: every
alternative was found by asking `placement.find` for just that, so who asks for it at once is granted it.
Looked for are, in this order: the same with one constraint relaxed as little as it takes; with less
protection; at a lower rate; at a later time; as best effort. Others in the network are not named.

The work is bounded: two searches for each constraint that was given, four more for each that has degrees,
a handful for everything else.
"""

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice

from keyweave_controller.control import admission, calendar, placement, relaxing, routing
from keyweave_controller.control.actions import Alternative
from keyweave_controller.control.mesh import CLOSED, Mesh
from keyweave_controller.control.placement import Wanted
from keyweave_controller.control.routing import Route, RouteWish
from keyweave_controller.control.service import Constraints, Disjointness, Protection, Service, ServiceClass
from keyweave_controller.control.state import NetworkState, PathRecord
from keyweave_controller.control.turn import Turn
from keyweave_controller.control.ways import Ask
from keyweave_core.model.application import AppQos

__all__ = ["HORIZON_S", "LEAST_PART", "MOST", "Alternative", "alternatives", "instead", "nearest"]

MOST = 6
"""Most alternatives of one refusal."""

HORIZON_S = 7 * 86_400.0
"""A later time is looked for so far ahead."""

LEAST_PART = 100
"""A lower rate is worth telling when it is at least this part of what was asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """What was asked for, of which network, and when. `rate_bps` is that of keys."""

    state: NetworkState
    mesh: Mesh
    wish: RouteWish
    service: Service
    rate_bps: int
    at: float

    def fits(self, wish: RouteWish, service: Service | None = None) -> tuple[Route, ...]:
        """The ways of another wish; none when it does not fit either."""
        return placement.find(self.state, self.mesh, wish, service or self.service, at=self.at)

    def bounded(self, bounds: Constraints, strategy: str = "") -> Sequence[Route]:
        """The ways of the same wish under other constraints."""
        wish = replace(self.wish, constraints=bounds, strategy=strategy or self.wish.strategy)
        return self.fits(wish, replace(self.service, constraints=bounds))

    def at_rate(self, rate_bps: int) -> RouteWish:
        """The same wish for another rate of keys."""
        hop_bps = admission.hop_bps(rate_bps, self.service, self.state.policy)
        return replace(self.wish, rate_bps=hop_bps)


def nearest(
    state: NetworkState, mesh: Mesh, wish: RouteWish, service: Service, qos: AppQos, *, at: float
) -> tuple[tuple[str, ...], tuple[Alternative, ...]]:
    """Why a wish that was not granted does not fit, and what would, the nearest first, at most `MOST`.

    `wish` is what routing was asked for `service` and `qos`.
    """
    reasons = placement.explain(state, mesh, wish, service, at=at)
    return reasons, alternatives(state, mesh, wish, service, qos, at=at)


def alternatives(
    state: NetworkState, mesh: Mesh, wish: RouteWish, service: Service, qos: AppQos, *, at: float
) -> tuple[Alternative, ...]:
    """The second part of `nearest`, for who has the reasons."""
    ask = routing.ask_of(state, mesh, wish)
    if ask is None or mesh.hops_to(ask.target)[ask.source] < 0:
        return ()
    rate_bps = admission.promised_bps(qos, service, state.policy)
    refused = Refused(state=state, mesh=mesh, wish=wish, service=service, rate_bps=rate_bps, at=at)
    return tuple(islice(_alternatives(refused), MOST))


def instead(turn: Turn, wanted: Wanted, *, beside: Sequence[PathRecord] = ()) -> tuple[Alternative, ...]:
    """What would be granted instead; nothing for keys inside one node, or over paths that were named."""
    if wanted.source == wanted.destination or wanted.path_links:
        return ()
    wish = placement.wish_of(turn.state, wanted, beside=beside)
    return alternatives(turn.state, turn.mesh, wish, wanted.service, wanted.qos, at=turn.at)


def _alternatives(refused: Refused) -> Iterator[Alternative]:
    bounds = refused.wish.constraints
    for words in relaxing.relaxations(refused.state, refused.mesh, bounds, refused.bounded, at=refused.at):
        yield Alternative(note=f"fits {words}")
    yield from _less_protected(refused)
    if refused.rate_bps > 0:
        yield from _slower(refused)
        yield from _later(refused)
        yield from _best_effort(refused)


def _less_protected(refused: Refused) -> Iterator[Alternative]:
    service = refused.service
    if service.protection is Protection.RESTORATION:
        return
    for ways in range(service.ways - 1, 1, -1):
        if service.protection is Protection.ONE_PLUS_ONE and refused.fits(
            refused.wish, replace(service, ways=ways)
        ):
            yield Alternative(note=f"fits over {ways} disjoint paths instead of {service.ways}")
            break
    weaker = {
        Disjointness.RISKS: (Disjointness.NODES, "shared risks of its paths allowed"),
        Disjointness.NODES: (Disjointness.LINKS, "shared transit nodes of its paths allowed"),
    }.get(service.disjointness)
    if weaker and refused.fits(refused.wish, replace(service, disjointness=weaker[0])):
        yield Alternative(note=f"fits with {weaker[1]}")
    if refused.fits(refused.wish, replace(service, protection=Protection.RESTORATION)):
        yield Alternative(note="fits over one path, without protection")


def _slower(refused: Refused) -> Iterator[Alternative]:
    """The highest rate that fits: what the tightest link of a way has room for, mostly of the widest."""
    state, mesh, service = refused.state, refused.mesh, refused.service
    ask = routing.ask_of(state, mesh, refused.wish)
    if ask is None:
        return
    rooms, barred = routing.restrictions(state, mesh, refused.wish, at=refused.at)
    with mesh.apart(rooms, barred):
        widest, every = _width(mesh, ask), set(mesh.room)
    rates = {admission.keys_bps(room, service, state.policy) for room in every if 0 < room <= widest}
    least = max(1, refused.rate_bps // LEAST_PART)
    ahead = sorted(rate for rate in rates if least <= rate < refused.rate_bps)
    low, high = -1, len(ahead)
    place = high - 1  # the widest way first: mostly it is that one
    while low < place < high:
        low, high = (place, high) if refused.fits(refused.at_rate(ahead[place])) else (low, place)
        place = (low + high) // 2
    if low >= 0:
        yield Alternative(rate_bps=ahead[low], note=f"fits at {ahead[low]:,} bit/s")


def _width(mesh: Mesh, ask: Ask) -> int:
    """The room of the narrowest link of the widest way, hops and latency aside; `CLOSED`: there is none.

    Dijkstra's search with the narrowest link of a way in place of its length.
    """
    room, inside = mesh.room, mesh.inside
    best: dict[int, int] = {}
    done: set[int] = set()
    waiting = [(-max(room, default=0), ask.source)]  # nothing is wider
    while waiting:
        narrowest, here = heapq.heappop(waiting)
        if here == ask.target:
            return -narrowest
        if here in done:
            continue
        done.add(here)
        if here != ask.source and not inside[here]:
            continue
        for link, there in mesh.around[here]:
            width = min(-narrowest, room[link])
            if there not in done and width > best.get(there, CLOSED):
                best[there] = width
                heapq.heappush(waiting, (-width, there))
    return CLOSED


def _later(refused: Refused) -> Iterator[Alternative]:
    """From when the ways with fewest hops have room for all of it."""
    state, wish = refused.state, refused.wish
    starts_at = max(refused.at, wish.starts_at or refused.at)
    anyhow = refused.fits(replace(wish, rate_bps=0, strategy="min-hop"))
    links = [state.links[link_id] for link_id in sorted({one for route in anyhow for one in route.links})]
    duration_s = None if wish.ends_at is None else wish.ends_at - starts_at
    if not links or (duration_s is not None and duration_s <= 0):
        return
    moment = calendar.next_time_that_fits(
        state,
        links,
        wish.rate_bps,
        duration_s,
        starts_at,
        starts_at + HORIZON_S,
        at=refused.at,
        beside=wish.beside,
        without=wish.without,
        expiry_of=calendar.expiries(state, refused.mesh.owners),
    )
    if moment is None or moment <= starts_at:
        return
    ends_at = None if duration_s is None else moment + duration_s
    if refused.fits(replace(wish, starts_at=moment, ends_at=ends_at)):
        when = datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        yield Alternative(starts_at=moment, note=f"fits from {when}")


def _best_effort(refused: Refused) -> Iterator[Alternative]:
    """A share of what is left, for one that begins now and wants no standby."""
    service = refused.service
    if service.service_class is not ServiceClass.GUARANTEED or service.protection is Protection.ONE_TO_ONE:
        return
    other = replace(service, service_class=ServiceClass.BEST_EFFORT)
    strategy = routing.strategy_name(other, refused.state.policy)
    if refused.fits(replace(refused.wish, rate_bps=0, strategy=strategy), other):
        yield Alternative(service_class=ServiceClass.BEST_EFFORT, note="fits as best effort")
