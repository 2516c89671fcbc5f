"""Associations for a time to come: booked now, begun when their time is there.

Rule of this file: a booking is a promise. It is entered on every link of its paths, counts for everybody who
asks for that time, and is looked at again when a link that it needs changes. When its time comes the
association begins over the booked paths, or over others that are as good; one that finds none then is
suspended and waits, as any other that has lost its path.
"""

from collections.abc import Sequence

from keyweave_controller.control import admission, calendar, changes, placement
from keyweave_controller.control.placement import Placement
from keyweave_controller.control.routing import Route
from keyweave_controller.control.service import ServiceClass
from keyweave_controller.control.state import Association, AssociationState, Booking
from keyweave_controller.control.turn import Turn
from keyweave_core.model.ids import LinkId


def is_ahead(association: Association, at: float) -> bool:
    """It is for a time that has not come."""
    service = association.service
    later = service.starts_at is not None and service.starts_at > at
    return service.service_class is ServiceClass.SCHEDULED and later


def book(turn: Turn, association: Association, routes: Sequence[Route]) -> None:
    """Promise these routes for its time, and wait; what was booked before is given back."""
    starts_at, ends_at = association.service.starts_at, association.expires_at
    if starts_at is None or ends_at is None:
        raise ValueError(f"association {association.app_id} has no time")
    state, service = turn.state, association.service
    unbook(turn, association)
    rate_bps = admission.promised_bps(association.qos, service, state.policy)
    booking = Booking(
        app_id=association.app_id,
        rate_bps=admission.hop_bps(rate_bps, service, state.policy),
        starts_at=starts_at,
        ends_at=ends_at,
    )
    association.booked = tuple(route.links for route in routes)
    links = sorted({link_id for links in association.booked for link_id in links})
    calendar.book(state, booking, links)
    turn.touch_link(*links)
    turn.lookups.booked.add(association.app_id)
    association.state, association.changed_at, association.reasons = AssociationState.WAITING, turn.at, ()
    turn.touch_app(association.app_id)
    turn.set_timer(f"start:{association.app_id}", starts_at)


def unbook(turn: Turn, association: Association) -> None:
    """Give back what is booked; a second time changes nothing."""
    if not association.booked:
        return
    for link_id in sorted({link_id for links in association.booked for link_id in links}):
        link = turn.state.links.get(link_id)
        if link is not None and link.bookings.pop(association.app_id, None) is not None:
            turn.touch_link(link_id)
    association.booked = ()
    turn.lookups.booked.discard(association.app_id)
    turn.cancel_timer(f"start:{association.app_id}")


def start(turn: Turn, association: Association) -> None:
    """Its time has come."""
    if association.state is not AssociationState.WAITING:
        return
    routes = _booked_routes(turn, association)
    unbook(turn, association)
    # From here on it is like one that lost its path: whatever happens, it is not refused any more.
    association.outage_since = turn.at
    association.state, association.changed_at = AssociationState.SUSPENDED, turn.at
    turn.state.stranded.add(association.app_id)
    turn.touch_app(association.app_id)
    turn.capacity_grew = True
    if routes:
        changes.begin(turn, association, routes, association.qos, association.priority)


def review(turn: Turn, changed: frozenset[LinkId]) -> None:
    """Links changed: what is booked on them is promised anew, elsewhere when it must be."""
    for app_id in sorted(turn.lookups.booked):
        association = turn.state.associations[app_id]
        if not association.reasons and not any(changed.intersection(links) for links in association.booked):
            continue
        if _booked_routes(turn, association):
            _tell(turn, association, ())
            continue
        placed = placement.place(turn, placement.as_it_is(association))
        if isinstance(placed, Placement):
            book(turn, association, placed.routes)
        else:
            _tell(turn, association, placed)  # the booking stays: the links may be back in time


def _booked_routes(turn: Turn, association: Association) -> tuple[Route, ...]:
    """The booked routes, when all of them can be had."""
    wanted = placement.with_paths(placement.as_it_is(association), association.booked)
    wish = placement.wish_of(turn.state, wanted)
    placed = placement.pinned(turn.state, turn.mesh, wanted, wish, at=turn.at)
    return placed.routes if isinstance(placed, Placement) else ()


def _tell(turn: Turn, association: Association, reasons: tuple[str, ...]) -> None:
    if association.reasons != reasons:
        association.reasons = reasons
        turn.touch_app(association.app_id)
