"""Links that fail again and again are trusted less: after RFC 2439 (route flap damping).

Rule of this file: every failure adds 1 to a link's penalty, which halves every `damping_half_life_s`. A link
whose penalty rises above `damping_suppress` is *suppressed*: used only when nothing else fits, until the
penalty has sunk below `damping_reuse`. The penalty has a ceiling, so that no link is suppressed for longer
than `LONGEST_HALF_LIVES` half-lives after its last failure. A link that makes key only in windows does not
fail between two of them.
"""

from math import log2

from keyweave_controller.control import facts
from keyweave_controller.control.configuration import Policy
from keyweave_controller.control.state import LinkRecord
from keyweave_controller.control.turn import Turn
from keyweave_core.model.ids import LinkId

LONGEST_HALF_LIVES = 6.0
"""A suppressed link that fails no more is trusted again after at most so many half-lives."""

MEMORY = 16.0
"""Half-lives in which half of the failures is forgotten that speak against going back to a link."""


def penalty(link: LinkRecord, policy: Policy, at: float) -> float:
    """What is left of a link's penalty."""
    passed_s = max(0.0, at - link.penalty_at)
    return float(link.penalty * 2.0 ** (-passed_s / policy.damping_half_life_s))


def remembered(link: LinkRecord, policy: Policy, at: float) -> float:
    """The failures of a link, as they are remembered for going back to it: `MEMORY` times as long."""
    passed_s = max(0.0, at - link.penalty_at)
    return float(link.failures * 2.0 ** (-passed_s / (MEMORY * policy.damping_half_life_s)))


def failed(turn: Turn, link: LinkRecord) -> None:
    """A link that made key makes none any more."""
    if facts.of_link(turn.state, link).windows is not None:
        return
    policy = turn.state.policy
    ceiling = max(policy.damping_suppress + 1.0, policy.damping_reuse * 2.0**LONGEST_HALF_LIVES)
    link.failures = remembered(link, policy, turn.at) + 1.0
    link.penalty = min(ceiling, penalty(link, policy, turn.at) + 1.0)
    link.penalty_at = turn.at
    if link.penalty > policy.damping_suppress or (
        suppressed(link, turn.at) and link.penalty > policy.damping_reuse
    ):
        halvings = log2(link.penalty / policy.damping_reuse)
        link.suppressed_until = turn.at + halvings * policy.damping_half_life_s
        turn.set_timer(f"reuse:{link.link_id}", link.suppressed_until)


def suppressed(link: LinkRecord, at: float) -> bool:
    """The link failed too often lately."""
    return link.suppressed_until > at


def over(turn: Turn, link_id: LinkId) -> None:
    """The timer of a suppressed link ran out: it looks different now."""
    link = turn.state.links.get(link_id)
    if link is not None and not suppressed(link, turn.at):
        link.suppressed_until = 0.0
        turn.touch_link(link_id)
        turn.capacity_grew = True
