"""Taking entries away from nodes, with nothing forgotten.

Rule of this file: what must go is written down as a leftover of the node before the node is asked, and
crossed out only when the node has confirmed. A node that cannot be reached is asked again when it is back
(`reconcile`), a node that would not or did not answer is asked again by timer.
"""

from keyweave_controller.control.actions import NodeEdit
from keyweave_controller.control.state import Leftover, Phase, Step
from keyweave_controller.control.turn import Turn
from keyweave_core.model.ids import AppId, NodeId

_AGAIN_AFTER_S = 10.0


def remove(turn: Turn, node_id: NodeId, edit: NodeEdit, app_id: AppId | None = None) -> str | None:
    """Have the `remove_*` of `edit` gone from a node; the step's id, or None when the node must wait."""
    leftover = turn.state.leftovers.setdefault(node_id, Leftover())
    leftover.links.update(edit.remove_links)
    leftover.applications.update(edit.remove_applications)
    node = turn.state.nodes.get(node_id)
    if node is None or not node.connected:
        return None
    return turn.configure(node_id, Phase.REMOVE, edit, app_id)


def confirmed(turn: Turn, step: Step) -> None:
    """A node holds exactly what `step` said: nothing it removed is left there."""
    leftover = turn.state.leftovers.get(step.node_id)
    if leftover is None:
        return
    leftover.links.difference_update(step.edit.remove_links)
    leftover.applications.difference_update(step.edit.remove_applications)
    if not leftover.links and not leftover.applications:
        del turn.state.leftovers[step.node_id]
        turn.cancel_timer(f"clean:{step.node_id}")


def failed(turn: Turn, step: Step) -> None:
    """A removal did not succeed: ask again later, while the node is there to be asked."""
    node = turn.state.nodes.get(step.node_id)
    timer_id = f"clean:{step.node_id}"
    if step.node_id in turn.state.leftovers and node and node.connected and timer_id not in turn.state.timers:
        turn.set_timer(timer_id, turn.at + _AGAIN_AFTER_S)


def again(turn: Turn, node_id: NodeId) -> None:
    """The timer ran out: ask the node for everything that is left over there."""
    edit = leftover_edit(turn, node_id)
    node = turn.state.nodes.get(node_id)
    if edit is not None and node and node.connected:
        turn.configure(node_id, Phase.REMOVE, edit)


def leftover_edit(turn: Turn, node_id: NodeId) -> NodeEdit | None:
    """One edit that removes all leftovers of a node; None when there are none."""
    leftover = turn.state.leftovers.get(node_id)
    if leftover is None:
        return None
    return NodeEdit(
        remove_links=tuple(sorted(leftover.links)),
        remove_applications=tuple(sorted(leftover.applications)),
    )
