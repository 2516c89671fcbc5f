"""Fair shares of what nobody reserved, reckoned anew when the network changed, and written to the ends.

Rule of this file: a share is never a promise, so a demand that is admitted just takes it away. Shares are
reckoned together, at most once in `DELAY_S`, for associations whose keys flow. Every one is told how much it
may count on (`Association.share_bps`); the agents are told only of those that could take more than is theirs:
those whose maximum lies above what is promised to them, and best effort. Their CLIENT entry has the share as
its maximum then (`planning.shown_qos`).

So that a network at rest is left alone and a busy one is not written to all the time, what is written
(`Association.written_max_bps`) lies `MARGIN` below the share: it holds until the share falls below it, and is
raised only when the share is a good deal more (`RISE`), or when there is room to spare for the whole wish.
"""

from keyweave_controller.control import admission, calendar, facts, planning, topology
from keyweave_controller.control.actions import NodeEdit
from keyweave_controller.control.mesh import Mesh
from keyweave_controller.control.service import ServiceClass
from keyweave_controller.control.sharing import Claim, fair_shares
from keyweave_controller.control.state import Association, AssociationState, NetworkState, Phase
from keyweave_controller.control.turn import Turn

TIMER = "shares"

DELAY_S = 2.0
"""From a change to the reckoning that takes it into account."""

AHEAD_S = 3_600.0
"""What a link with windows or bookings can keep up for so long is shared on it."""

MARGIN = 20
"""What is written is less than the share by this part of it."""

RISE = 1.2
"""A share this many times what is written is written."""

_MOST_BPS = 2**32 - 1  # of `max_bandwidth` in ETSI GS QKD 015
_FLOWING = frozenset({AssociationState.ACTIVE, AssociationState.MOVING})
_SHOWN = 0.05  # a share that changed by less looks the same to watchers


def review(turn: Turn) -> None:
    """Have the shares reckoned soon when this event changed promises, links or associations."""
    state = turn.state
    if state.associations and turn.shares_stale and TIMER not in state.timers and not turn.shares_reckoned:
        turn.set_timer(TIMER, turn.at + DELAY_S)


def reckon(turn: Turn) -> None:
    """Every share anew; the ends are told what they must know."""
    turn.shares_reckoned = True
    state, mesh = turn.state, turn.mesh
    shared, claims = [], []
    for association in state.associations.values():
        claim = _claim(state, mesh, association) if state.policy.share_spare_rate else None
        if claim is not None:
            shared.append(association)
            claims.append(claim)
        else:
            _forget(turn, association)
    spare = [_spare(turn, mesh, link) for link in range(len(mesh.link_ids))]
    extras = fair_shares(spare, claims)
    for claim, extra in zip(claims, extras, strict=True):
        for link in claim.links:
            spare[link] -= extra
    for association, claim, extra in zip(shared, claims, extras, strict=True):
        left = min((spare[link] for link in claim.links), default=0)
        _settle(turn, association, extra, left)


def _claim(state: NetworkState, mesh: Mesh, association: Association) -> Claim | None:
    """What it would take on top of what is promised; None when no keys flow over links now."""
    path = association.path
    if association.state not in _FLOWING or path is None:
        return None
    places = [mesh.link_place.get(link_id) for one in planning.backing(association) for link_id in one.links]
    links = tuple(place for place in places if place is not None)
    if not links or len(links) < len(places):
        return None
    asked = association.qos.max_bandwidth_bps or _MOST_BPS
    most = admission.hop_bps(asked, association.service, state.policy)
    return Claim(links=links, most_bps=max(0, most - path.hop_bps))


def _spare(turn: Turn, mesh: Mesh, link: int) -> int:
    """What is not promised on a link; where times matter, what is not for a while."""
    record = turn.state.links[mesh.link_ids[link]]
    passes = link in mesh.timed and facts.windows_of(turn.state, record) is not None
    if link not in mesh.timed or not (mesh.is_up(link) or (passes and topology.between_passes(record))):
        return max(0, mesh.room[link])
    expiry_of = calendar.expiries(turn.state, mesh.owners)
    ends_at = turn.at + AHEAD_S
    room = calendar.room_between(turn.state, record, turn.at, ends_at, at=turn.at, expiry_of=expiry_of)
    return max(0, room)


def _settle(turn: Turn, association: Association, extra_bps: int, left_bps: int) -> None:
    """Note a share, `extra_bps` of link rate above what is promised; `left_bps` nobody wants on its links."""
    path, policy = association.path, turn.state.policy
    if path is None:
        return
    keys_bps = admission.keys_bps(path.hop_bps + extra_bps, association.service, policy)
    share = min(max(keys_bps, path.bandwidth_bps), association.qos.max_bandwidth_bps or _MOST_BPS)
    before, association.share_bps = association.share_bps, share
    if before is None or abs(share - before) > _SHOWN * before:
        turn.touch_app(association.app_id)
    _write(turn, association, _to_write(association, path.bandwidth_bps, share, left_bps))


def _to_write(association: Association, promised_bps: int, share: int, left_bps: int) -> int | None:
    """The maximum that the ends should show; None: the one it asked for."""
    asked, written = association.qos.max_bandwidth_bps or None, association.written_max_bps
    best_effort = association.service.service_class is ServiceClass.BEST_EFFORT
    if not best_effort and (asked is None or asked <= promised_bps):
        return None
    if asked is not None and share >= asked:
        if written is None or left_bps > asked // MARGIN or asked >= RISE * written:
            return None
        return written
    if written is not None and written <= share < RISE * written:
        return written
    return max(1, promised_bps, share - share // MARGIN)


def _forget(turn: Turn, association: Association) -> None:
    """It has no share; what is written stays with one that is out of order, and goes with the policy."""
    if association.share_bps is not None:
        association.share_bps = None
        turn.touch_app(association.app_id)
    if not turn.state.policy.share_spare_rate:
        _write(turn, association, None)


def _write(turn: Turn, association: Association, most_bps: int | None) -> None:
    if most_bps == association.written_max_bps:
        return
    association.written_max_bps = most_bps
    turn.touch_app(association.app_id)
    if association.state not in _FLOWING:
        return
    for node_id in planning.ends(association):
        node = turn.state.nodes.get(node_id)
        if node is not None and node.connected:  # another one is compared when it is back
            edit = NodeEdit(put_applications=(planning.switched_entry(association, node_id),))
            turn.configure(node_id, Phase.REPEAT, edit, association.app_id)
