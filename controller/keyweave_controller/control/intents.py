"""What the operator configures, made real as a whole or not at all.

Rule of this file: a change of configuration is one transaction. Its policy and tenants are in force while it
lasts; associations that are new or changed are begun, and when the network has granted every one the change
is complete: entries that are gone are closed only then. A single refusal undoes all of it. So a commit needs
room for the new beside the old.

    configured -> faults? refused : begin what is new or changed -> review at the end of every event
    review     -> an entry came to rest as wanted: next; refused: undo; none left: complete
    abandoned, controller restarted -> undo

What is configured stays configured whatever becomes of it (SUSPENDED, its application gone). An entry without
a living association gets one when every agent has been heard, and is tried again every `KEEP_S` meanwhile.
"""

from keyweave_controller.control import admission, associations, changes, closing, planning
from keyweave_controller.control.actions import NodeEdit
from keyweave_controller.control.configuration import ConfiguredAssociation, OperatorConfiguration
from keyweave_controller.control.events import (
    ConfigurationAbandoned,
    ConfigurationKept,
    OperatorConfigured,
)
from keyweave_controller.control.state import (
    Association,
    AssociationState,
    Configuring,
    Former,
    Phase,
)
from keyweave_controller.control.turn import Turn
from keyweave_core.model.ids import SaeId

KEEP_S = 30.0
_KEEP = "intents:keep"
_BUSY = "another change of the configuration is under way; try again"
_UNCONFIRMED = "a commit of the configuration is still to be confirmed; try again"
_SERVED = frozenset({AssociationState.ACTIVE, AssociationState.MOVING, AssociationState.SUSPENDED})
_COMING = frozenset({AssociationState.REQUESTED, AssociationState.PREPARING, AssociationState.ACTIVATING})

Refusals = list[tuple[str, str]]
"""(entry, reason) of everything that was refused."""


def configured(turn: Turn, event: OperatorConfigured) -> None:
    """The northbound replaces the operator's configuration."""
    state = turn.state
    answered, work = state.requests.get(event.request_id), state.configuring
    if answered is not None:
        turn.answer(event.request_id, answered.app_id, answered.reasons, answered.about)
        return
    if work is not None:
        if work.request_id != event.request_id:
            turn.answer(event.request_id, reasons=(_BUSY,), about=("",))
        return
    if event.kept and state.kept is not None:
        _refuse(turn, event.request_id, [("", _UNCONFIRMED)])
        return
    faults = [*event.configuration.faults(), *_quality_faults(event.configuration)]
    if faults:
        _refuse(turn, event.request_id, faults)
        return
    before = {one.name: one for one in state.operator.associations}
    state.configuring = Configuring(
        request_id=event.request_id,
        requester=event.requester,
        wanted=event.configuration,
        kept=event.kept,
        todo={one.name: one for one in event.configuration.associations if before.get(one.name) != one},
    )
    enforce(turn)


def abandoned(turn: Turn, event: ConfigurationAbandoned) -> None:
    """Nobody waits for the change any more."""
    work = turn.state.configuring
    if work is not None and work.request_id == event.request_id:
        _undo(turn, work, [("", event.reason)])
    else:
        answered = turn.state.requests.get(event.request_id)
        if answered is not None:
            turn.answer(event.request_id, answered.app_id, answered.reasons, answered.about)


def kept(turn: Turn, event: ConfigurationKept) -> None:
    """What is configured now outlives the process."""
    turn.state.kept = None
    turn.answer(event.request_id)


def restarted(turn: Turn) -> None:
    """The controller starts: whoever asked for a change under way has gone with the former one.

    So has whoever was to confirm the last one: what is configured is what was kept.
    """
    state = turn.state
    if state.configuring is not None:
        _undo(turn, state.configuring, [("", "the controller was restarted meanwhile")])
    if state.kept is not None:
        gone, state.operator, state.kept = state.operator, state.kept, None
        _close_gone(turn, gone, state.operator)
        turn.touch_configuration()


def enforce(turn: Turn) -> None:
    """Put the policy and the tenants of the configuration into force."""
    state = turn.state
    wanted = state.configuring.wanted if state.configuring else state.operator
    policy = wanted.policy or state.settings_policy
    if policy != state.policy:
        state.policy = policy
        turn.touch_link(*state.links)  # what they may promise
        turn.capacity_grew = True
    state.tenants = {tenant.name: tenant for tenant in wanted.tenants}
    state.tenant_of = {sae: tenant.name for tenant in wanted.tenants for sae in tenant.applications}
    turn.touch_configuration()


def review(turn: Turn) -> None:
    """Look what became of the change under way; at the end of every event."""
    work = turn.state.configuring
    if work is None:
        return
    touched = sorted(turn.touched_apps & work.under_way.keys())
    entries = {one.name: one for one in work.wanted.associations} if touched else {}
    refusals: Refusals = []
    for app_id in touched:
        name = work.under_way[app_id]
        verdict = _verdict(turn.state.associations.get(app_id), entries[name])
        if verdict is not None:
            del work.under_way[app_id]
            refusals.extend((f"association/{name}", reason) for reason in verdict)
    if work.todo and not refusals:
        refusals = _begin(turn, work)
    if refusals:
        _undo(turn, work, refusals)
    elif not work.todo and not work.under_way:
        _complete(turn, work)


def keep(turn: Turn) -> None:
    """Entries get the association that they lack, as far as there is room; once every agent was heard."""
    if turn.state.configuring is not None:
        turn.set_timer(_KEEP, turn.at + KEEP_S)
        return
    living = _living(turn)
    _look_again(turn, living)
    for one in turn.state.operator.associations:
        association = living.get(one.pair)
        if association is None:
            if not _expired(turn, one) and not _open(turn, one, "the configuration"):
                _newest(turn).configured_as = one.name
        elif association.state is AssociationState.ACTIVE:
            if (association.qos, association.priority) != (one.qos, one.priority):
                associations.change(turn, association, one.qos, one.priority)
            _govern(turn, association, one)


def _look_again(turn: Turn, living: dict[tuple[SaeId, SaeId], Association]) -> None:
    """Come back later when some entry has no association now: what is tried may be refused."""
    turn.cancel_timer(_KEEP)
    if any(one.pair not in living and not _expired(turn, one) for one in turn.state.operator.associations):
        turn.set_timer(_KEEP, turn.at + KEEP_S)


def _expired(turn: Turn, one: ConfiguredAssociation) -> bool:
    return one.expires_at is not None and one.expires_at <= turn.at


def _verdict(association: Association | None, wanted: ConfiguredAssociation) -> tuple[str, ...] | None:
    """What came of an entry that was begun: None not at rest yet, () as wanted, else why not."""
    if association is None or association.state not in _SERVED:
        if association is not None and association.state in _COMING:
            return None
        return (association.reasons if association else ()) or ("it was closed meanwhile",)
    if (association.qos, association.priority) == (wanted.qos, wanted.priority):
        return ()
    if association.state is AssociationState.MOVING:
        return None
    return association.reasons or ("the change was not made",)


def _begin(turn: Turn, work: Configuring) -> Refusals:
    """Begin what can be begun. What gives room back goes last: it can be undone without asking for room."""
    refusals: Refusals = []
    living = _living(turn)
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


def _begin_one(
    turn: Turn, work: Configuring, one: ConfiguredAssociation, association: Association | None
) -> tuple[str, ...] | None:
    """Begin one entry: None when it has to wait, () when it was begun or is as wanted, else why not."""
    if association is None:
        reasons = _open(turn, one, work.requester)
        if not reasons:
            app_id = _newest(turn).app_id
            work.opened[app_id] = work.under_way[app_id] = one.name
        elif turn.state.settling:
            return None  # as every request, it waits for what agents not yet heard say
        return reasons
    if association.state not in _SERVED or association.state is AssociationState.MOVING:
        return None
    if (one.qos, one.priority) == (association.qos, association.priority):
        return ()
    if association.state is AssociationState.SUSPENDED:
        return ("it is suspended; its qualities can be changed when it is served again",)
    return _change(turn, work, association, one)


def _open(turn: Turn, one: ConfiguredAssociation, requester: str) -> tuple[str, ...]:
    return associations.open_between(
        turn,
        source=one.source,
        destination=one.destination,
        qos=one.qos,
        priority=one.priority,
        requested_by=requester,
        expires_at=one.expires_at,
        tenant=one.tenant,
    )


def _change(
    turn: Turn, work: Configuring, association: Association, one: ConfiguredAssociation
) -> tuple[str, ...]:
    former = Former(qos=association.qos, priority=association.priority)
    reasons = associations.change(turn, association, one.qos, one.priority)
    if not reasons:
        work.changed[association.app_id] = former
        work.under_way[association.app_id] = one.name
    return reasons


def _relieves(turn: Turn, association: Association, one: ConfiguredAssociation) -> bool:
    """The entry asks for no more than its association has, and for something else."""
    if association.state is not AssociationState.ACTIVE or one.qos == association.qos:
        return False
    return admission.wanted_bps(one.qos, turn.state.policy) <= association.reserved_bps


def _complete(turn: Turn, work: Configuring) -> None:
    """Everything was granted: what is gone is closed, and the configuration is what was wanted."""
    state, living = turn.state, _living(turn)
    _close_gone(turn, state.operator, work.wanted)
    for one in work.wanted.associations:
        association = living.get(one.pair)
        if association is not None and association.state in _SERVED:
            _govern(turn, association, one)
    before = None if work.kept else state.kept or state.operator
    state.kept = None if before == work.wanted else before
    state.operator, state.configuring = work.wanted, None
    _look_again(turn, _living(turn))
    turn.touch_configuration()
    turn.answer(work.request_id)


def _close_gone(turn: Turn, before: OperatorConfiguration, after: OperatorConfiguration) -> None:
    """Close the associations of entries that are not there any more."""
    living, wanted = _living(turn), {one.pair for one in after.associations}
    for gone in before.associations:
        association = living.get(gone.pair)
        if gone.pair not in wanted and association is not None:
            closing.close(turn, association)


def _govern(turn: Turn, association: Association, one: ConfiguredAssociation) -> None:
    """From now on the entry says what the association is."""
    if association.configured_as != one.name or association.tenant != one.tenant:
        association.configured_as, association.tenant = one.name, one.tenant
        turn.touch_app(association.app_id)
    if association.expires_at == one.expires_at:
        return
    association.expires_at = one.expires_at
    turn.touch_app(association.app_id)
    if one.expires_at is None:
        turn.cancel_timer(f"expire:{association.app_id}")
    else:
        turn.set_timer(f"expire:{association.app_id}", one.expires_at)
    for node_id in planning.ends(association):
        edit = NodeEdit(put_applications=(planning.switched_entry(association, node_id),))
        turn.configure(node_id, Phase.REPEAT, edit, association.app_id)


def _undo(turn: Turn, work: Configuring, refusals: Refusals) -> None:
    """Leave the network as the former configuration has it, and say why."""
    state = turn.state
    state.configuring = None
    for app_id in work.opened:
        association = state.associations.get(app_id)
        if association is not None and association.live:
            closing.close(turn, association)
    for app_id, former in work.changed.items():
        association = state.associations.get(app_id)
        if association is not None:
            _give_back(turn, association, former)
    enforce(turn)
    _refuse(turn, work.request_id, refusals)


def _give_back(turn: Turn, association: Association, former: Former) -> None:
    if association.state is AssociationState.MOVING and association.qos == former.qos:
        changes.roll_back(turn, association, ("the change of configuration was taken back",))
    elif association.state is AssociationState.ACTIVE and association.qos != former.qos:
        # Before anything that gives room back was begun, all else had been granted: this fits.
        associations.change(turn, association, former.qos, former.priority)


def _refuse(turn: Turn, request_id: str, refusals: Refusals) -> None:
    reasons = tuple(f"{about}: {reason}" if about else reason for about, reason in refusals)
    turn.answer(request_id, reasons=reasons, about=tuple(about for about, _ in refusals))


def _quality_faults(configuration: OperatorConfiguration) -> Refusals:
    return [
        (f"association/{one.name}", reason)
        for one in configuration.associations
        for reason in admission.qos_faults(one.qos)
    ]


def _living(turn: Turn) -> dict[tuple[SaeId, SaeId], Association]:
    """The association of each pair that has one."""
    return {(one.source, one.destination): one for one in turn.state.associations.values() if one.live}


def _newest(turn: Turn) -> Association:
    """The association opened last."""
    return next(reversed(turn.state.associations.values()))
