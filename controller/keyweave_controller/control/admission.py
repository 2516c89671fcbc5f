"""The reservation ledger of physical links: how much key rate is promised to whom.

Rule of this file: a promise is an entry of `LinkRecord.reserved_bps` under the virtual link's id, so a
release gives back exactly what was taken, however often it is called. What may be promised on a link is
`usable_share` of its secret key rate (the rest covers the spread of the rate); a path takes its rate and what
its one-time tags cost (`hop_bps`). At the moment of a promise the sum never exceeds that; when the rate sinks
later, promises stay and the link counts as overbooked.

During a change of path both virtual links exist. On a link that both cross, the new one takes only what it
needs above the old one (shared explicit, as RFC 3209 section 4.3 does for label switched paths), so a
change along the same links is never refused for the room its own past takes.
"""

from collections.abc import Iterable
from math import ceil

from keyweave_controller.control.configuration import Policy
from keyweave_controller.control.service import Service, ServiceClass
from keyweave_controller.control.state import LinkRecord, NetworkState, PathRecord
from keyweave_core.model.application import AppQos, RelayMethod
from keyweave_core.model.ids import LinkId


def wanted_bps(qos: AppQos, policy: Policy) -> int:
    """The rate to reserve, bit/s: the minimum asked for, else the policy's default (within its maximum)."""
    if qos.min_bandwidth_bps:
        return qos.min_bandwidth_bps
    if qos.max_bandwidth_bps:
        return min(policy.default_min_bandwidth_bps, qos.max_bandwidth_bps)
    return policy.default_min_bandwidth_bps


def promised_bps(qos: AppQos, service: Service, policy: Policy) -> int:
    """The rate of keys that is promised, bit/s; best effort is promised nothing."""
    return 0 if service.service_class is ServiceClass.BEST_EFFORT else wanted_bps(qos, policy)


TAG_BITS = 512
"""Key that a relay message spends on a hop besides its pad: one-time keys of its tag and its answer's."""


def hop_bps(rate_bps: int, service: Service, policy: Policy) -> int:
    """What a rate of keys takes from each link it crosses, bit/s.

    Its pad and the tags of its messages, whether the pad is sent on or announced; with AES-256-GCM the link
    keys alone, one bit for `gcm_key_bits_per_pool_bit` of key.
    """
    if service.method is RelayMethod.AES_256_GCM:
        return ceil(rate_bps / policy.gcm_key_bits_per_pool_bit)
    return rate_bps + ceil(rate_bps * TAG_BITS / (service.key_bits * policy.keys_per_batch))


def keys_bps(hop_bps: int, service: Service, policy: Policy) -> int:
    """The largest rate of keys that takes no more than `hop_bps` from each link, bit/s."""
    if service.method is RelayMethod.AES_256_GCM:
        return hop_bps * policy.gcm_key_bits_per_pool_bit
    carried = service.key_bits * policy.keys_per_batch
    return hop_bps * carried // (carried + TAG_BITS)


def qos_faults(qos: AppQos) -> tuple[str, ...]:
    """Why these wishes contradict themselves; empty when they do not."""
    low, high = qos.min_bandwidth_bps, qos.max_bandwidth_bps
    if low is not None and high is not None and 0 < high < low:
        return (f"minimum bandwidth {low} bit/s is above maximum bandwidth {high} bit/s",)
    return ()


def usable_bps(link: LinkRecord, policy: Policy) -> int:
    """What may be promised on a link in all, bit/s."""
    return int(link.skr_bps * policy.usable_share)


def reserved_bps(link: LinkRecord) -> int:
    """What is promised on a link, bit/s."""
    return sum(link.reserved_bps.values())


def available_bps(link: LinkRecord, policy: Policy, beside: Iterable[PathRecord] = ()) -> int:
    """What can still be promised, bit/s; below 0 when overbooked.

    `beside`: paths that the new promise is to replace; what they hold here counts as free.
    """
    own = sum(link.reserved_bps.get(path.link_id, 0) for path in beside)
    return usable_bps(link, policy) - reserved_bps(link) + own


def overbooked(link: LinkRecord, policy: Policy) -> bool:
    """More is promised than the link makes now."""
    return reserved_bps(link) > usable_bps(link, policy)


def reserve(state: NetworkState, paths: Iterable[PathRecord], beside: Iterable[PathRecord] = ()) -> None:
    """Enter the promises of `paths` on their links; the caller has checked that they fit.

    `beside`: the paths that they will replace; on a link that both cross only what lacks is taken.
    """
    held = holdings(state, beside)
    for path in paths:
        for link_id in path.links:
            own = min(held.get(link_id, 0), path.hop_bps)
            held[link_id] = held.get(link_id, 0) - own
            state.links[link_id].reserved_bps[path.link_id] = path.hop_bps - own


def settle(state: NetworkState, paths: Iterable[PathRecord], old: Iterable[PathRecord]) -> None:
    """The change is made: `old` give back everything and `paths` hold their whole rate.

    On a link that made less meanwhile (`readmission`) they hold what was left to both.
    """
    left = holdings(state, old)
    for path in old:
        release(state, path)
    for path in paths:
        for link_id in path.links:
            if link_id in state.links:
                reserved = state.links[link_id].reserved_bps
                own = reserved.get(path.link_id, 0)
                more = min(path.hop_bps - own, left.get(link_id, 0))
                reserved[path.link_id] = own + more
                left[link_id] = left.get(link_id, 0) - more


def claim(state: NetworkState, path: PathRecord) -> bool:
    """Take what there is of a path's rate, link by link, on top of what it holds; it holds all of it then."""
    whole = True
    for link_id in path.links:
        link = state.links.get(link_id)
        if link is None:
            whole = False
            continue
        own = link.reserved_bps.get(path.link_id, 0)
        more = min(path.hop_bps - own, max(0, available_bps(link, state.policy)))
        link.reserved_bps[path.link_id] = own + more
        whole = whole and own + more == path.hop_bps
    return whole


def holdings(state: NetworkState, paths: Iterable[PathRecord]) -> dict[LinkId, int]:
    """What paths hold together on each link, bit/s."""
    held: dict[LinkId, int] = {}
    for path in paths:
        for link_id in path.links:
            if link_id in state.links:
                own = state.links[link_id].reserved_bps.get(path.link_id, 0)
                held[link_id] = held.get(link_id, 0) + own
    return held


def release(state: NetworkState, path: PathRecord) -> None:
    """Give back what `path` holds; a second time changes nothing."""
    for link_id in path.links:
        if link_id in state.links:
            state.links[link_id].reserved_bps.pop(path.link_id, None)
