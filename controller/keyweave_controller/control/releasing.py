"""Links that an operator trusts again although their ends do not yet: out of quarantine.

Rule of this file: the ends are told and decide: one that still measures too many errors goes into quarantine
again at once. So a release changes nothing here; what the ends say of it does.
"""

from keyweave_controller.control import topology
from keyweave_controller.control.events import LinkReleased
from keyweave_controller.control.turn import Turn


def released(turn: Turn, event: LinkReleased) -> None:
    """Tell both ends, or say why that cannot be."""
    state = turn.state
    answered = state.requests.get(event.request_id)
    if answered is not None:
        turn.answer(event.request_id, reasons=answered.reasons)
        return
    link = state.links.get(event.link_id)
    if link is None:
        turn.answer(event.request_id, reasons=(f"there is no link {event.link_id}",))
        return
    ends = sorted(link.ends)
    reasons = [
        f"node {state.node_name(node_id)} {obstacle}"
        for node_id in ends
        for obstacle in topology.node_obstacles(state.nodes.get(node_id))
    ]
    if not link.quarantine:
        reasons.insert(0, f"link {state.link_name(link.link_id)} is in no quarantine")
    if not reasons:
        for node_id in ends:
            turn.release_link(node_id, link.link_id)
    turn.answer(event.request_id, reasons=tuple(reasons))
