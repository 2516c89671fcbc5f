"""Outcomes of configuration steps.

Rule of this file: an outcome is known by its step id and counts once; one that nobody waits for any more
means nothing. A node that refuses will refuse again, so the change is taken back at once; one that could
not be reached is asked `MOST_ATTEMPTS` times.
"""

from typing import assert_never

from keyweave_controller.control import changes, channels, cleanup, closing, planning
from keyweave_controller.control.actions import NodeEdit
from keyweave_controller.control.events import StepFailed, StepSucceeded
from keyweave_controller.control.state import Association, AssociationState, Phase, Step
from keyweave_controller.control.turn import Turn

MOST_ATTEMPTS = 5
_FIRST_RETRY_S = 0.25


def succeeded(turn: Turn, event: StepSucceeded) -> None:
    """A node holds what it was told."""
    step = _take(turn, event.step_id)
    if step is None:
        return
    cleanup.confirmed(turn, step)
    if step.phase is Phase.RETUNE:
        channels.tuned(turn, step)
        return
    association = _waiting(turn, step)
    if association is None:
        return
    if association.state is AssociationState.CLOSING:
        _closing(turn, association, step)
    else:
        changes.advance(turn, association, step.step_id)


def failed(turn: Turn, event: StepFailed) -> None:
    """A node would not, or could not be reached."""
    step = turn.state.steps.get(event.step_id)
    if step is None:
        return
    if step.phase is not Phase.REMOVE and not event.refused and step.attempts < MOST_ATTEMPTS:
        step.waiting = True
        delay_s = _FIRST_RETRY_S * 2 ** (step.attempts - 1)
        turn.set_timer(f"step:{step.step_id}", turn.at + delay_s)
        return
    _take(turn, event.step_id)
    association = _waiting(turn, step)
    match step.phase:
        case Phase.PREPARE | Phase.SWITCH:
            if association is not None:
                word = "refused" if event.refused else "could not be reached"
                reason = f"node {turn.state.node_name(step.node_id)} {word}: {event.reason}"
                changes.roll_back(turn, association, (reason,))
        case Phase.REMOVE:
            cleanup.failed(turn, step)
            if association is not None:
                _closing(turn, association, step)
        case Phase.RETUNE:
            word = "refused" if event.refused else "could not be reached"
            channels.not_tuned(
                turn, step, f"node {turn.state.node_name(step.node_id)} {word}: {event.reason}"
            )
        case Phase.RECONCILE | Phase.REPEAT:
            if event.refused:
                channels.tuning_refused(turn, step)
            # The next reading of the tree compares again.
        case unreachable:
            assert_never(unreachable)


def retry(turn: Turn, step_id: str) -> None:
    """The timer of a step ran out: hand it out again, as things stand now."""
    step = turn.state.steps.get(step_id)
    if step is None or not step.waiting:
        return
    if step.phase in (Phase.RECONCILE, Phase.REPEAT):
        # Nobody withdraws these when the wish behind them changes: what was right then may be wrong now.
        step.edit = planning.refreshed(turn.state, step.node_id, step.edit)
        if step.edit == NodeEdit():
            _take(turn, step_id)
            return
    step.attempts += 1
    turn.repeat(step)


def _take(turn: Turn, step_id: str) -> Step | None:
    step = turn.state.steps.pop(step_id, None)
    if step is not None:
        turn.cancel_timer(f"step:{step_id}")
    return step


def _waiting(turn: Turn, step: Step) -> Association | None:
    """The association that waits for this very step."""
    association = turn.state.associations.get(step.app_id) if step.app_id else None
    if association is None or step.step_id not in association.pending_steps:
        return None
    return association


def _closing(turn: Turn, association: Association, step: Step) -> None:
    association.pending_steps.discard(step.step_id)
    if not association.pending_steps:
        closing.finish(turn, association)
