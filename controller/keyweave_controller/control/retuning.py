"""Quantum channels that move to other wavelengths: who is told what, in which order, and what if one refuses.

Rule of this file: one end after the other, the receiver first (it waits for the light), and of several links
first the one whose new wavelength is free already. A link makes no key between the two writes and lives on
its pool; it rests meanwhile (`resting`). An end that refuses, or cannot be reached, has everything taken back
that was written before; what cannot be taken back is put right when its agent is read again (`reconcile`).

    begin -> one Configure after the other -> all done: the plant is `after`
                      a refusal            -> one Configure after the other, backwards -> the plant stays
"""

from collections.abc import Iterable, Sequence

from keyweave_controller.control import plant_links
from keyweave_controller.control.actions import NodeEdit
from keyweave_controller.control.judging import judge_links
from keyweave_controller.control.optical.equipment import QuantumChannel
from keyweave_controller.control.optical.grid import clash
from keyweave_controller.control.optical.plant import Plant
from keyweave_controller.control.optical.retune import Tuning, tunings
from keyweave_controller.control.optical.review import Judgement
from keyweave_controller.control.resting import SETTLES_WITHIN_S
from keyweave_controller.control.state import EndTuning, NetworkState, Phase, Retuning, Step
from keyweave_controller.control.turn import Turn
from keyweave_core.model.ids import LinkId
from keyweave_core.model.link import LinkTuning


def in_order(plant: Plant, moves: Iterable[Judgement]) -> tuple[Judgement, ...]:
    """Moves so that each finds its wavelength free; those that never would are left out."""
    left = [one for one in moves if one.move is not None]
    present = {channel.link: channel for channel in plant.channels}
    found: list[Judgement] = []
    while True:
        ready = next((one for one in left if _is_free(one, present)), None)
        if ready is None or ready.move is None:
            return tuple(found)
        left.remove(ready)
        found.append(ready)
        present[ready.link] = ready.move.as_channel(ready.link)


def _is_free(judged: Judgement, present: dict[str, QuantumChannel]) -> bool:
    move = judged.move
    if move is None:
        return False
    ends = {move.transmitter, move.receiver}
    return not any(
        clash(other.channel, move.channel)
        and not ends & {other.transmitter, other.receiver}
        and set(other.fibres) & set(move.fibres)
        for link, other in present.items()
        if link != judged.link
    )


def obstacle(state: NetworkState, judged: Judgement) -> str:
    """Why the ends of a link cannot be told now; '' when they can, or when no agent has such a link."""
    if judged.link not in plant_links.links_by_name(state) or judged.move is None:
        return ""
    for ref in (judged.move.receiver, judged.move.transmitter):
        node_id = plant_links.node_of_site(state, ref.site)
        if node_id is None or not state.nodes[node_id].connected:
            return f"link {judged.link} has to move, and node {ref.site} cannot be reached"
    return ""


def ends_of(state: NetworkState, plant: Plant, moves: Sequence[Judgement]) -> tuple[EndTuning, ...]:
    """What is told to whom, in order; links that no agent has are nobody's affair."""
    names = plant_links.links_by_name(state)
    channels = {channel.link: channel for channel in plant.channels}
    found: list[EndTuning] = []
    for judged in moves:
        link_id = names.get(judged.link)
        if link_id is None:
            continue
        was = channels[judged.link]
        for end in tunings((judged,)):
            node_id = plant_links.node_of_site(state, end.module.site)
            if node_id is not None and node_id in state.links[link_id].ends:
                found.append(
                    EndTuning(
                        node_id=node_id,
                        link=judged.link,
                        wanted=_told(end, link_id),
                        former=LinkTuning(
                            link_id=link_id,
                            wavelength=was.channel,
                            channel_att_db=round(judged.now.loss_db, 3),
                        ),
                    )
                )
    return tuple(found)


def _told(end: Tuning, link_id: LinkId) -> LinkTuning:
    return LinkTuning(link_id=link_id, wavelength=end.wavelength, channel_att_db=end.channel_att_db)


def begin(turn: Turn, work: Retuning) -> bool:
    """Begin, or end at once when nobody has to be told; True when it has ended."""
    turn.state.retuning = work
    judge_links(turn, work.links)
    return _go_on(turn, work)


def succeeded(turn: Turn, step: Step) -> bool:
    """An end is on its channel; True when that was the last one, either way."""
    work = turn.state.retuning
    if work is None or step.step_id != work.step_id:
        return False
    work.done += 1
    return _go_on(turn, work)


def failed(turn: Turn, step: Step, reason: str) -> bool:
    """An end would not; True when there is nothing (more) to be taken back."""
    work = turn.state.retuning
    if work is None or step.step_id != work.step_id:
        return False
    if work.reasons:
        work.done += 1  # put right when its agent is read again
    else:
        link = work.order[work.done].link
        work.reasons = (f"link {link} could not move: {reason}",)
        # The end that failed may have heard all the same, unless it said no.
        work.order, work.done = _backwards(work.order[: work.done + 1]), 0
    return _go_on(turn, work)


def _backwards(order: Sequence[EndTuning]) -> tuple[EndTuning, ...]:
    """The links in reverse order; of each the receiver first, as before."""
    links = dict.fromkeys(one.link for one in reversed(order))
    return tuple(
        EndTuning(node_id=one.node_id, link=link, wanted=one.former, former=one.wanted)
        for link in links
        for one in order
        if one.link == link
    )


def _go_on(turn: Turn, work: Retuning) -> bool:
    if work.done < len(work.order):
        end = work.order[work.done]
        edit = NodeEdit(tune_links=(end.wanted,))
        work.step_id = turn.configure(end.node_id, Phase.RETUNE, edit)
        return False
    turn.state.retuning = None
    for one in work.order:
        # Both ends at once: read at different times they would seem to disagree about their fibre.
        ends = turn.state.links[one.wanted.link_id].ends if one.wanted.link_id in turn.state.links else {}
        if one.node_id in ends:
            ends[one.node_id].loss_db = one.wanted.channel_att_db
    for link_id in sorted(work.links):
        link = turn.state.links.get(link_id)
        if link is not None:
            link.settles_at = turn.at + SETTLES_WITHIN_S
    judge_links(turn, work.links)
    return True
