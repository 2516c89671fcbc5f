"""Another grant for the association of an entry, and the way back.

Rule of this file: what runs is changed make-before-break; what is booked for a time to come is booked again,
at once and without a word to any node. What an association had before a change is its `Former`.
"""

from dataclasses import replace

from keyweave_controller.control import associations, changes, placement, scheduling, terms
from keyweave_controller.control.configuration import ConfiguredAssociation
from keyweave_controller.control.placement import Placement
from keyweave_controller.control.routing import Route
from keyweave_controller.control.service import Service, ServiceClass
from keyweave_controller.control.state import Association, AssociationState, Former, NetworkState
from keyweave_controller.control.turn import Turn


def service_of(state: NetworkState, one: ConfiguredAssociation) -> Service:
    """The service that an entry asks for, with nothing left open."""
    return terms.settled(state, one.service, one.source, tenant=one.tenant)


def differs(state: NetworkState, association: Association, one: ConfiguredAssociation) -> bool:
    """The association has not been granted what its entry says. A booking is for its time, to the end."""
    granted = (association.qos, association.priority, association.service)
    return granted != (one.qos, one.priority, service_of(state, one)) or (
        bool(association.booked) and association.expires_at != one.expires_at
    )


def former_of(association: Association) -> Former:
    """What an association has now, to be given back when a change is refused."""
    return Former(
        qos=association.qos,
        priority=association.priority,
        service=association.service,
        expires_at=association.expires_at,
        booked=association.booked,
    )


def begin(turn: Turn, association: Association, one: ConfiguredAssociation) -> tuple[str, ...]:
    """Begin to make an ACTIVE or booked association what its entry says."""
    if association.booked:
        return _book_again(turn, association, one)
    starts_at = one.service.starts_at
    if starts_at is not None and starts_at > turn.at:
        return ("it runs already: for a time to come it is to be deleted first and configured anew",)
    return associations.change(turn, association, one.qos, one.priority, service_of(turn.state, one))


def _book_again(turn: Turn, association: Association, one: ConfiguredAssociation) -> tuple[str, ...]:
    """Another booking instead of the one that an association has, which is kept when that cannot be."""
    if one.service.service_class is not ServiceClass.SCHEDULED:
        return ("it is booked for a time to come: for another class it is to be deleted first",)
    wanted = replace(
        placement.as_it_is(association),
        qos=one.qos,
        priority=one.priority,
        service=service_of(turn.state, one),
        expires_at=one.expires_at,
    )
    placed = placement.place(turn, wanted)
    if not isinstance(placed, Placement):
        return placed
    association.qos, association.priority = one.qos, one.priority
    association.service, association.expires_at = wanted.service, one.expires_at
    expire(turn, association)
    scheduling.book(turn, association, placed.routes)
    return ()


def expire(turn: Turn, association: Association) -> None:
    """Set, or take away, the timer of its end."""
    if association.expires_at is None:
        turn.cancel_timer(f"expire:{association.app_id}")
    else:
        turn.set_timer(f"expire:{association.app_id}", association.expires_at)


def give_back(turn: Turn, association: Association, former: Former) -> None:
    """Undo what a change of configuration that was refused had begun, or done, for this association."""
    same = (association.qos, association.priority, association.service) == (
        former.qos,
        former.priority,
        former.service,
    )
    if former.booked:
        if association.booked:
            association.qos, association.priority = former.qos, former.priority
            association.service, association.expires_at = former.service, former.expires_at
            expire(turn, association)
            scheduling.book(turn, association, [Route(nodes=(), links=links) for links in former.booked])
    elif association.state is AssociationState.MOVING and same:
        changes.roll_back(turn, association, ("the change of configuration was taken back",))
    elif association.state is AssociationState.ACTIVE and not same:
        # Before anything that gives room back was begun, all else had been granted: this fits. Should others
        # have taken the room meanwhile, `keep` tries again.
        associations.change(turn, association, former.qos, former.priority, former.service)
