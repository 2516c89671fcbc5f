"""The entries of the operator's configuration and the associations that serve them.

Rule of this file: an entry and its association find each other by their pair of applications. What is begun
here for a change of configuration is noted in its `Configuring`; `intents` decides what becomes of it all.
An association that is booked for a time to come has been granted.
"""

from keyweave_controller.control import admission, associations, closing, planning, regrants, tenants
from keyweave_controller.control.actions import NodeEdit
from keyweave_controller.control.configuration import ConfiguredAssociation, OperatorConfiguration
from keyweave_controller.control.state import Association, AssociationState, Configuring, NetworkState, Phase
from keyweave_controller.control.turn import Turn
from keyweave_core.model.ids import SaeId

KEEP_S = 30.0
"""Time between two attempts to serve an entry that has no association."""

SERVED = frozenset({AssociationState.ACTIVE, AssociationState.MOVING, AssociationState.SUSPENDED})
"""States of an association that has been granted."""

_KEEP = "intents:keep"
_COMING = frozenset(
    {
        AssociationState.REQUESTED,
        AssociationState.WAITING,
        AssociationState.PREPARING,
        AssociationState.ACTIVATING,
    }
)

Refusals = list[tuple[str, str]]
"""(entry, reason) of everything that was refused."""

Pair = tuple[SaeId, SaeId]


def served(association: Association) -> bool:
    """It has been granted what it asked for, now or for its time."""
    return association.state in SERVED or bool(association.booked)


def begin(turn: Turn, work: Configuring) -> Refusals:
    """Begin what can be begun. What gives room back goes last: it can be undone without asking for room.

    So does what may take other paths, whose room nothing else of this change can ask for any more then.
    """
    refusals: Refusals = []
    living = living_pairs(turn)
    relieving: list[tuple[ConfiguredAssociation, Association]] = []
    for name, one in list(work.todo.items()):
        association = living.get(one.pair)
        if association is not None and _relieves(turn, association, one):
            relieving.append((one, association))
            continue
        reasons = _begin_one(turn, work, one, association)
        if reasons is not None:
            del work.todo[name]
            refusals.extend((f"association/{name}", reason) for reason in reasons)
    if not refusals and not work.under_way and len(relieving) == len(work.todo):
        for one, association in relieving:
            del work.todo[one.name]
            reasons = _change(turn, work, association, one)
            refusals.extend((f"association/{one.name}", reason) for reason in reasons)
    return refusals


def verdict(
    state: NetworkState, association: Association | None, wanted: ConfiguredAssociation
) -> tuple[str, ...] | None:
    """What came of an entry that was begun: None not at rest yet, () as wanted, else why not."""
    if association is None or not served(association):
        if association is not None and association.state in _COMING:
            return None
        return (association.reasons if association else ()) or ("it was closed meanwhile",)
    if not regrants.differs(state, association, wanted):
        return ()
    if association.state is AssociationState.MOVING:
        return None
    return association.reasons or ("the change was not made",)


def keep(turn: Turn) -> None:
    """Entries get the association that they lack, as far as there is room; once every agent was heard."""
    if turn.state.configuring is not None:
        turn.set_timer(_KEEP, turn.at + KEEP_S)
        return
    living = living_pairs(turn)
    look_again(turn, living)
    for one in turn.state.operator.associations:
        association = living.get(one.pair)
        if association is None:
            reasons = () if _expired(turn, one) else _open(turn, one, "the configuration")
            if reasons:
                _lacks(turn, one.name, reasons)
            elif not _expired(turn, one):
                _newest(turn).configured_as = one.name
        elif association.state is AssociationState.ACTIVE or association.booked:
            if regrants.differs(turn.state, association, one):
                regrants.begin(turn, association, one)
            govern(turn, association, one)


def look_again(turn: Turn, living: dict[Pair, Association]) -> None:
    """Come back later when some entry has no association now, or not as it says: what is tried may be
    refused.
    """
    turn.cancel_timer(_KEEP)
    for one in turn.state.operator.associations:
        association = living.get(one.pair)
        if (
            regrants.differs(turn.state, association, one)
            if association is not None
            else not _expired(turn, one)
        ):
            turn.set_timer(_KEEP, turn.at + KEEP_S)
            return


def review(turn: Turn) -> None:
    """Note which entries have no association and why; at the end of every event.

    An entry that is tried again stays noted until its association is granted.
    """
    state = turn.state
    for app_id in sorted(turn.touched_apps):
        association = state.associations.get(app_id)
        name = association.configured_as if association is not None else ""
        if association is None or not name:
            continue
        if association.state is AssociationState.REFUSED:
            _lacks(turn, name, association.reasons or ("it was refused",))
        elif served(association) and state.unserved.pop(name, None) is not None:
            turn.touch_configuration()
    if state.unserved:
        wanted = {one.name for one in state.operator.associations if not _expired(turn, one)}
        for name in [name for name in state.unserved if name not in wanted]:
            del state.unserved[name]
            turn.touch_configuration()


def close_gone(turn: Turn, before: OperatorConfiguration, after: OperatorConfiguration) -> None:
    """Close the associations of entries that are not there any more."""
    living, wanted = living_pairs(turn), {one.pair for one in after.associations}
    for gone in before.associations:
        association = living.get(gone.pair)
        if gone.pair not in wanted and association is not None:
            closing.close(turn, association)


def govern(turn: Turn, association: Association, one: ConfiguredAssociation) -> None:
    """From now on the entry says what the association is."""
    if association.configured_as != one.name or association.tenant != one.tenant:
        association.configured_as, association.tenant = one.name, one.tenant
        turn.touch_app(association.app_id)
    if association.expires_at == one.expires_at:
        return
    association.expires_at = one.expires_at
    turn.touch_app(association.app_id)
    regrants.expire(turn, association)
    if association.booked:
        return  # no node knows of it yet
    for node_id in planning.ends(association):
        edit = NodeEdit(put_applications=(planning.switched_entry(association, node_id),))
        turn.configure(node_id, Phase.REPEAT, edit, association.app_id)


def living_pairs(turn: Turn) -> dict[Pair, Association]:
    """The association of each pair that has one of its own."""
    return {
        (one.source, one.destination): one
        for one in turn.state.associations.values()
        if one.live and not one.further
    }


def _begin_one(
    turn: Turn, work: Configuring, one: ConfiguredAssociation, association: Association | None
) -> tuple[str, ...] | None:
    """Begin one entry: None when it has to wait, () when it was begun or is as wanted, else why not."""
    if association is None:
        reasons = _open(turn, one, work.requester)
        if not reasons:
            opened = _newest(turn)
            work.opened[opened.app_id] = one.name
            if not opened.booked:
                work.under_way[opened.app_id] = one.name
        elif turn.state.settling:
            return None  # as every request, it waits for what agents not yet heard say
        return reasons
    if not served(association) or association.state is AssociationState.MOVING:
        return None
    if not regrants.differs(turn.state, association, one):
        if one.tenant == association.tenant:
            return ()
        rate_bps = tenants.reserving_bps(association)
        return tenants.obstacles(turn.state, one.source, rate_bps, tenant=one.tenant, beside=association)
    if association.state is AssociationState.SUSPENDED:
        return ("it is suspended; its qualities can be changed when it is served again",)
    return _change(turn, work, association, one)


def _open(turn: Turn, one: ConfiguredAssociation, requester: str) -> tuple[str, ...]:
    refused = associations.open_between(
        turn,
        source=one.source,
        destination=one.destination,
        qos=one.qos,
        priority=one.priority,
        requested_by=requester,
        expires_at=one.expires_at,
        tenant=one.tenant,
        service=one.service,
    )
    return refused.reasons if refused else ()


def _change(
    turn: Turn, work: Configuring, association: Association, one: ConfiguredAssociation
) -> tuple[str, ...]:
    former = regrants.former_of(association)
    reasons = regrants.begin(turn, association, one)
    if not reasons:
        work.changed[association.app_id] = former
        if not association.booked:
            work.under_way[association.app_id] = one.name
    return reasons


def _lacks(turn: Turn, name: str, reasons: tuple[str, ...]) -> None:
    if turn.state.unserved.get(name) != reasons:
        turn.state.unserved[name] = reasons
        turn.touch_configuration()


def _relieves(turn: Turn, association: Association, one: ConfiguredAssociation) -> bool:
    """The entry asks for no more than its association has, or perhaps for other paths."""
    if association.state is not AssociationState.ACTIVE:
        return False
    if regrants.service_of(turn.state, one) != association.service:
        return True
    if one.qos == association.qos:
        return False
    return admission.wanted_bps(one.qos, turn.state.policy) <= association.reserved_bps


def _expired(turn: Turn, one: ConfiguredAssociation) -> bool:
    return one.expires_at is not None and one.expires_at <= turn.at


def _newest(turn: Turn) -> Association:
    """The association opened last."""
    return next(reversed(turn.state.associations.values()))
