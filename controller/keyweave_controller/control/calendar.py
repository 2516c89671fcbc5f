"""What a link can promise at other times than now: bookings, expiries, and windows in which it makes key.

Rule of this file: pure arithmetic over one link at a time; who asks decides what to do with the answer. A
link whose state lets it carry nothing now (`topology`) is answered for all the same: a booking is for later.

What is promised at a moment t is R(t): every reservation until its association expires (one without an
expiry for ever), and every booking between its times. Times hold their start and not their end.

* A link that makes key at any time keeps its promises while R(t) is at most what may be promised on it.
* A link with windows (`optical.windows`) makes key only in them, and lives on its pool in between: what is
  stored now, and what the windows add up to every moment t, must cover everything drawn up to t. What does
  not fit into the pool is lost. Only the usable share of what windows make counts, as for rates.

Windows are known for so long ahead. A promise without an end is judged up to the end of the last window.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf, nextafter

from keyweave_controller.control import facts
from keyweave_controller.control.admission import usable_bps
from keyweave_controller.control.optical.windows import Window
from keyweave_controller.control.reservoir import Load, Pool, most_that_keeps
from keyweave_controller.control.state import Booking, LinkRecord, NetworkState, PathRecord
from keyweave_core.model.ids import AppId, LinkId

MOST_MOMENTS = 256
"""Most moments that `next_time_that_fits` tries."""

ExpiryOf = Callable[[LinkId], float | None]
"""When what a virtual link reserves ends; None: never."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A promise that is to be made now: so much on each of these links, until then (None: for ever)."""

    links: tuple[LinkId, ...]
    rate_bps: int
    ends_at: float | None


def never(_link_id: LinkId) -> float | None:
    """Nothing expires."""
    return None


def expiries(state: NetworkState, owners: Mapping[LinkId, AppId]) -> ExpiryOf:
    """When virtual links end, by the associations that own them (`Lookups.owners`)."""

    def of(link_id: LinkId) -> float | None:
        app_id = owners.get(link_id)
        association = state.associations.get(app_id) if app_id is not None else None
        return association.expires_at if association is not None else None

    return of


def is_timed(state: NetworkState, link: LinkRecord) -> bool:
    """What the link can promise depends on when: it has bookings, or makes key in windows only."""
    return bool(link.bookings) or facts.windows_of(state, link) is not None


def room_between(
    state: NetworkState,
    link: LinkRecord,
    starts_at: float,
    ends_at: float | None,
    *,
    at: float,
    beside: Iterable[PathRecord] = (),
    expiry_of: ExpiryOf = never,
    without: AppId | None = None,
) -> int:
    """The largest rate that can be promised on a link all along [starts_at, ends_at), bit/s.

    `ends_at` None: for ever. `at` is now; what lies before it does not count. `beside`: paths that the new
    promise replaces, which count as free; `without`: whose booking it replaces. Below 0 when more is promised
    than the link makes; a link with windows says 0 then. A time that is over when it begins counts as its
    first moment: at its very expiry an association is still looked at.
    """
    starts_at = max(starts_at, at)
    if ends_at is not None and ends_at <= starts_at:
        ends_at = nextafter(starts_at, inf)
    return _room(state, link, list(_loads(link, at, beside, expiry_of, without)), starts_at, ends_at, at)


def _room(
    state: NetworkState,
    link: LinkRecord,
    loads: Sequence[Load],
    starts_at: float,
    ends_at: float | None,
    at: float,
) -> int:
    windows = facts.windows_of(state, link)
    if windows is None:
        return usable_bps(link, state.policy) - _peak(loads, starts_at, inf if ends_at is None else ends_at)
    known = facts.of_link(state, link)
    share = state.policy.usable_share
    makes = [
        Load(int(one.rate_bps * share), max(one.starts_at, at), one.ends_at)
        for one in windows
        if one.ends_at > at
    ]
    pool = Pool(at=at, stored_bits=known.stored_bits, capacity_bits=known.capacity_bits)
    return most_that_keeps(makes, loads, pool, starts_at, ends_at)


def fit_together(
    state: NetworkState,
    taken: Iterable[Taken],
    leaving: Sequence[PathRecord],
    *,
    at: float,
    expiry_of: ExpiryOf = never,
) -> bool:
    """Whether all of `taken` can be promised now when `leaving` are given back, as far as time matters.

    Looks at links with times only: the others are a matter of the ledger of now. Each is asked for the sum of
    what is taken there until the last of it ends.
    """
    needs: dict[LinkId, tuple[int, float]] = {}
    for one in taken:
        for link_id in one.links:
            rate_bps, until = needs.get(link_id, (0, at))
            needs[link_id] = (
                rate_bps + one.rate_bps,
                max(until, inf if one.ends_at is None else one.ends_at),
            )
    for link_id, (rate_bps, until) in needs.items():
        link = state.links.get(link_id)
        if link is None or not is_timed(state, link):
            continue
        ends_at = None if until == inf else until
        room = room_between(state, link, at, ends_at, at=at, beside=leaving, expiry_of=expiry_of)
        if room < rate_bps:
            return False
    return True


def book(state: NetworkState, booking: Booking, links: Iterable[LinkId]) -> None:
    """Enter a booking on these links, instead of the one that its association has there, if it has one."""
    for link_id in links:
        if link_id in state.links:
            state.links[link_id].bookings[booking.app_id] = booking


def unbook(state: NetworkState, app_id: AppId) -> tuple[LinkId, ...]:
    """Take every booking of an association back; the links that had one. A second time changes nothing."""
    return tuple(
        link_id
        for link_id, link in state.links.items()
        if link.bookings and link.bookings.pop(app_id, None) is not None
    )


def next_time_that_fits(
    state: NetworkState,
    links: Sequence[LinkRecord],
    rate_bps: int,
    duration_s: float | None,
    after: float,
    horizon: float,
    *,
    at: float | None = None,
    beside: Sequence[PathRecord] = (),
    expiry_of: ExpiryOf = never,
    without: AppId | None = None,
) -> float | None:
    """From when all of these links can carry a rate for so long (None: for ever); None: not by `horizon`.

    Tried are `after` and the moments until `horizon` at which a promise ends or a window begins or ends, at
    most `MOST_MOMENTS`. `at`: now, when that is not `after`.
    """
    now = after if at is None else at

    promised = [(link, list(_loads(link, now, beside, expiry_of, without))) for link in links]

    def fits(moment: float) -> bool:
        ends_at = None if duration_s is None else moment + duration_s
        return all(_room(state, link, loads, moment, ends_at, now) >= rate_bps for link, loads in promised)

    moments = {after}
    for link, loads in promised:
        moments.update(one.ends_at for one in loads)
        moments.update(moment for one in facts.windows_of(state, link) or () for moment in _ends(one))
    ahead = sorted(moment for moment in moments if after <= moment <= horizon)
    return next((moment for moment in ahead[:MOST_MOMENTS] if fits(moment)), None)


def _ends(window: Window) -> tuple[float, float]:
    return window.starts_at, window.ends_at


def _loads(
    link: LinkRecord,
    at: float,
    beside: Iterable[PathRecord],
    expiry_of: ExpiryOf,
    without: AppId | None,
) -> Iterator[Load]:
    """What is promised from now on; what never ends as one."""
    replaced, for_ever = {path.link_id for path in beside}, 0
    for link_id, rate_bps in link.reserved_bps.items():
        if link_id in replaced:
            continue
        ends_at = expiry_of(link_id)
        if ends_at is None:
            for_ever += rate_bps
        elif ends_at > at:
            yield Load(rate_bps, at, ends_at)
    yield Load(for_ever, at, inf)
    for booking in link.bookings.values():
        if booking.app_id != without and booking.ends_at > at:
            yield Load(booking.rate_bps, max(at, booking.starts_at), booking.ends_at)


def _peak(loads: Iterable[Load], starts_at: float, ends_at: float) -> int:
    """The most that is promised at any moment of a time: a sweep over what begins and ends inside it."""
    running, changes = 0, []
    for load in loads:
        if load.ends_at <= starts_at or load.starts_at >= ends_at:
            continue
        if load.starts_at <= starts_at:
            running += load.rate_bps
        else:
            changes.append((load.starts_at, load.rate_bps))
        if load.ends_at < ends_at:
            changes.append((load.ends_at, -load.rate_bps))
    highest = running
    for _, change in sorted(changes):  # at one moment what ends goes first: it is the smaller number
        running += change
        highest = max(highest, running)
    return highest
