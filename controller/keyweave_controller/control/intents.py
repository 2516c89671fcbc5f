"""What the operator configures, made real as a whole or not at all.

Rule of this file: a change of configuration is one transaction. Its policy and tenants are in force while it
lasts; associations that are new or changed are begun, and when the network has granted every one the change
is complete: entries that are gone are closed only then. A single refusal undoes all of it. So a commit needs
room for the new beside the old.

    configured -> faults? refused : begin what is new or changed -> review at the end of every event
    review     -> an entry came to rest as wanted: next; refused: undo; none left: complete
    abandoned, controller restarted -> undo

What is configured stays configured whatever becomes of it (SUSPENDED, its application gone). An entry without
a living association gets one when every agent has been heard, and is tried again meanwhile (`entries.keep`).
"""

from keyweave_controller.control import admission, closing, entries, regrants
from keyweave_controller.control.configuration import OperatorConfiguration
from keyweave_controller.control.events import (
    ConfigurationAbandoned,
    ConfigurationKept,
    OperatorConfigured,
)
from keyweave_controller.control.state import (
    Configuring,
)
from keyweave_controller.control.turn import Turn

_BUSY = "another change of the configuration is under way; try again"
_UNCONFIRMED = "a commit of the configuration is still to be confirmed; try again"


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
        entries.close_gone(turn, gone, state.operator)
        turn.touch_configuration()


def enforce(turn: Turn) -> None:
    """Put the policy and the tenants of the configuration into force."""
    state = turn.state
    wanted = state.configuring.wanted if state.configuring else state.operator
    policy = wanted.policy or state.settings_policy
    if policy != state.policy:
        state.policy = policy
        turn.touch_link(*state.links)  # what they may promise
        turn.lookups.reshape()
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
    wanted = {one.name: one for one in work.wanted.associations} if touched else {}
    refusals: entries.Refusals = []
    for app_id in touched:
        name = work.under_way[app_id]
        outcome = entries.verdict(turn.state, turn.state.associations.get(app_id), wanted[name])
        if outcome is not None:
            del work.under_way[app_id]
            refusals.extend((f"association/{name}", reason) for reason in outcome)
    if work.todo and not refusals:
        refusals = entries.begin(turn, work)
    if refusals:
        _undo(turn, work, refusals)
    elif not work.todo and not work.under_way:
        _complete(turn, work)


def _complete(turn: Turn, work: Configuring) -> None:
    """Everything was granted: what is gone is closed, and the configuration is what was wanted."""
    state, living = turn.state, entries.living_pairs(turn)
    entries.close_gone(turn, state.operator, work.wanted)
    for one in work.wanted.associations:
        association = living.get(one.pair)
        if association is not None and entries.served(association):
            entries.govern(turn, association, one)
    before = None if work.kept else state.kept or state.operator
    state.kept = None if before == work.wanted else before
    state.operator, state.configuring = work.wanted, None
    entries.look_again(turn, entries.living_pairs(turn))
    turn.touch_configuration()
    turn.answer(work.request_id)


def _undo(turn: Turn, work: Configuring, refusals: entries.Refusals) -> None:
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
            regrants.give_back(turn, association, former)
    enforce(turn)
    _refuse(turn, work.request_id, refusals)


def _refuse(turn: Turn, request_id: str, refusals: entries.Refusals) -> None:
    reasons = tuple(f"{about}: {reason}" if about else reason for about, reason in refusals)
    turn.answer(request_id, reasons=reasons, about=tuple(about for about, _ in refusals))


def _quality_faults(configuration: OperatorConfiguration) -> entries.Refusals:
    return [
        (f"association/{one.name}", reason)
        for one in configuration.associations
        for reason in (*admission.qos_faults(one.qos), *one.service.faults(one.expires_at))
    ]
