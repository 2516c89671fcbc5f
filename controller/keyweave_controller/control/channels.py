"""The optical layer at work: which plant there is, which light may be switched on, and who moves for it.

Rule of this file: the plant is what its operator says, changed by what is granted here. While quantum
channels move nothing else of the plant changes; whoever asks meanwhile is asked to try again.

    plant configured, settings   every channel is looked at: one that falls below what its link promises moves
                                 where it can, and raises an alarm where it cannot; looked at again by timer
    classical channel wished     permitted, and those that must move have moved -> it is on; else why not
    classical channel withdrawn  it is off
"""

from dataclasses import replace

from keyweave_controller.control import plant_links, recovery, retuning, timetable
from keyweave_controller.control.actions import Alternative
from keyweave_controller.control.events import (
    ClassicalWished,
    ClassicalWithdrawn,
    ControllerStarted,
    PlantConfigured,
)
from keyweave_controller.control.optical.plant import Plant
from keyweave_controller.control.optical.retune import moved
from keyweave_controller.control.optical.review import Judgement, Permit, Verdict, permit, review
from keyweave_controller.control.state import NetworkState, Retuning, Step
from keyweave_controller.control.turn import Turn

TIMER = "channels"
LOOK_EVERY_S = 60.0
MOVED_AGAIN_AFTER_S = 600.0
"""A link whose module would not move is not asked again sooner."""

NO_PLANT = "no fibre plant is configured"
_BUSY = "quantum channels are moving for another change of the fibre plant; try again"


def started(turn: Turn, event: ControllerStarted) -> None:
    """The plant of the settings counts when it is news, unless the northbound configured another one.

    While channels are moving it stays news for the next start.
    """
    state = turn.state
    if event.plant == state.settings_plant or state.retuning is not None:
        return
    state.settings_plant = event.plant
    if not state.plant_configured:
        _become(turn, event.plant)


def configured(turn: Turn, event: PlantConfigured) -> None:
    """The northbound says what the plant is, or that the settings shall say it again."""
    state = turn.state
    if _answered(turn, event.request_id):
        return
    if state.retuning is not None:
        turn.answer(event.request_id, reasons=(_BUSY,))
        return
    state.plant_configured = event.plant is not None
    state.not_moved_before.clear()
    _become(turn, event.plant or state.settings_plant)
    turn.answer(event.request_id)


def wished(turn: Turn, event: ClassicalWished) -> None:
    """May this light be switched on?"""
    state = turn.state
    if _answered(turn, event.request_id):
        return
    plant, reasons = _plant_at_rest(state)
    if plant is None:
        turn.answer(event.request_id, reasons=reasons)
        return
    try:
        verdict = permit(plant, event.channel, plant_links.demands(state))
    except ValueError as error:
        turn.answer(event.request_id, reasons=(str(error),))
        return
    if not verdict.granted:
        turn.answer(event.request_id, reasons=verdict.reasons, alternatives=alternatives(verdict))
        return
    others = tuple(one for one in plant.classical if one.name != event.channel.name)
    lit = replace(plant, classical=(*others, event.channel))
    moves = retuning.in_order(plant, verdict.judgements)
    obstacles = tuple(text for one in moves if (text := retuning.obstacle(state, one)))
    if obstacles:
        turn.answer(event.request_id, reasons=obstacles)
        return
    work = Retuning(
        request_id=event.request_id,
        after=moved(lit, moves),
        order=retuning.ends_of(state, plant, moves),
        configured=True,
    )
    if retuning.begin(turn, work):
        _ended(turn, work)


def withdrawn(turn: Turn, event: ClassicalWithdrawn) -> None:
    """This light is switched off."""
    state = turn.state
    if _answered(turn, event.request_id):
        return
    plant, reasons = _plant_at_rest(state)
    if plant is not None and all(one.name != event.name for one in plant.classical):
        reasons = (f"the plant has no classical channel {event.name[:60]!r}",)
    if plant is None or reasons:
        turn.answer(event.request_id, reasons=reasons)
        return
    left = tuple(one for one in plant.classical if one.name != event.name)
    state.plant_configured = True
    _become(turn, replace(plant, classical=left))
    turn.answer(event.request_id)


def alternatives(verdict: Permit) -> tuple[Alternative, ...]:
    """What would be granted instead of what was refused."""
    if verdict.most_dbm is None:
        return ()
    return (Alternative(note=f"at {verdict.most_dbm:g} dBm or less"),)


def look(turn: Turn) -> None:
    """Judge every channel by what its link promises now; move those that must and can, tell of the others."""
    state = turn.state
    plant = state.plant
    if plant is None:
        turn.cancel_timer(TIMER)
        _tell(turn, ())
        return
    turn.set_timer(TIMER, turn.at + LOOK_EVERY_S)
    if state.retuning is not None:
        return
    judged = review(plant, plant.channels, plant_links.demands(state))
    may_move = [
        one
        for one in judged
        if one.verdict is Verdict.MOVES
        and state.not_moved_before.get(one.link, 0.0) <= turn.at
        and not retuning.obstacle(state, one)
    ]
    moves = retuning.in_order(plant, may_move)
    moving = {one.link for one in moves}
    _tell(turn, [one for one in judged if one.verdict is not Verdict.KEEPS and one.link not in moving])
    if moves:
        work = Retuning(after=moved(plant, moves), order=retuning.ends_of(state, plant, moves))
        if retuning.begin(turn, work):
            _ended(turn, work)


def tuned(turn: Turn, step: Step) -> None:
    """An end of a link has taken its new channel."""
    work = turn.state.retuning
    if work is not None and retuning.succeeded(turn, step):
        _ended(turn, work)


def not_tuned(turn: Turn, step: Step, reason: str) -> None:
    """An end of a link would not take its new channel."""
    work = turn.state.retuning
    if work is not None and retuning.failed(turn, step, reason):
        _ended(turn, work)


def tuning_refused(turn: Turn, step: Step) -> None:
    """A node does not take the channel that the plant has for its link: it is not asked again for a while."""
    for tuning in step.edit.tune_links:
        turn.state.not_moved_before[tuning.link_id] = turn.at + MOVED_AGAIN_AFTER_S


def _ended(turn: Turn, work: Retuning) -> None:
    """All have moved, or all are back."""
    state = turn.state
    if work.reasons:
        if work.request_id:
            turn.answer(work.request_id, reasons=work.reasons)
        else:
            for end in work.order:
                state.not_moved_before[end.link] = turn.at + MOVED_AGAIN_AFTER_S
            look(turn)
        return
    state.plant_configured = state.plant_configured or work.configured
    _become(turn, work.after)
    if work.request_id:
        turn.answer(work.request_id)


def _become(turn: Turn, plant: Plant | None) -> None:
    """The plant is this now: what follows for links, and for every channel."""
    timetable.adopt(turn, plant)
    recovery.restarted(turn)
    look(turn)


def _tell(turn: Turn, judged: tuple[Judgement, ...] | list[Judgement]) -> None:
    """Note which channels do not do what their links promise."""
    state = turn.state
    names = plant_links.links_by_name(state)
    faults = {names[one.link]: "; ".join(one.reasons) for one in judged if one.link in names}
    if faults != state.plant_faults:
        turn.touch_link(*sorted(faults.keys() | state.plant_faults.keys()))
        state.plant_faults = faults


def _plant_at_rest(state: NetworkState) -> tuple[Plant | None, tuple[str, ...]]:
    """The plant when it may be changed now; else why not."""
    if state.plant is None:
        return None, (NO_PLANT,)
    if state.retuning is not None:
        return None, (_BUSY,)
    return state.plant, ()


def _answered(turn: Turn, request_id: str) -> bool:
    """The request came before: it has its answer, or will have it."""
    before, work = turn.state.requests.get(request_id), turn.state.retuning
    if before is not None:
        turn.answer(request_id, before.app_id, before.reasons, before.about, alternatives=before.alternatives)
        return True
    return work is not None and work.request_id == request_id
