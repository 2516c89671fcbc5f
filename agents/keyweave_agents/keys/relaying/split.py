"""Keys that no single path knows: every key in shares, one over each virtual link.

Rule of this file: what fewer shares than are needed tell of the key is nothing. Without a threshold all n are
needed: n - 1 shares are fresh random bytes, the last is the key xor the others, the key under a one-time pad
(C. E. Shannon, 1949). With a threshold k < n any k are enough (`shamir`), and the place of a link among the
links of the batch, from 1, is where its share lies on the polynomial.

A batch is split once. When the links change it is made anew, never split again and never sent whole, so no
share takes a second way on which a node might know another one.
"""

from collections.abc import Callable, Iterable, Mapping

from keyweave_agents.keys.relaying.shamir import make_shares, value_at
from keyweave_agents.material import Secret, xor_into
from keyweave_core.model.ids import LinkId

MOST_SHARES = 8


def split(
    whole: Secret, links: tuple[LinkId, ...], random_bytes: Callable[[int], bytes], threshold: int = 0
) -> dict[LinkId, Secret]:
    """One share for each link, each as long as `whole`, which stays as it is. At least one link.

    `threshold` 2..n-1: so many make the keys; 0: all.
    """
    if threshold:
        places = {link_id: place for place, link_id in enumerate(links, 1)}
        shares_at = make_shares(whole, tuple(places.values()), threshold, random_bytes)
        return {link_id: shares_at[place] for link_id, place in places.items()}
    *others, last = links
    shares = {link_id: Secret(random_bytes(len(whole))) for link_id in others}
    shares[last] = combine([whole, *shares.values()])
    return shares


def combine(shares: Iterable[Secret]) -> Secret:
    """The exclusive or of equally long secrets; ValueError when their lengths differ or there are none."""
    result: bytearray | None = None
    for share in shares:
        if result is None:
            result = bytearray(share.reveal())
        else:
            xor_into(result, share.reveal())
    if result is None:
        raise ValueError("no shares to combine")
    return Secret.taking(result)


def rejoin(shares: Mapping[LinkId, Secret], links: tuple[LinkId, ...], threshold: int) -> Secret:
    """The whole, of as many shares as are needed; ValueError when there are fewer or lengths differ."""
    if len(shares) < (threshold or len(links)):
        raise ValueError(f"{len(shares)} shares are too few")
    if not threshold:
        return combine(shares.values())
    return value_at(0, _placed(shares, links, threshold))


def share_of(
    link_id: LinkId, shares: Mapping[LinkId, Secret], links: tuple[LinkId, ...], threshold: int
) -> Secret:
    """What the share over another link must be, as `threshold` shares have it."""
    return value_at(1 + links.index(link_id), _placed(shares, links, threshold))


def _placed(shares: Mapping[LinkId, Secret], links: tuple[LinkId, ...], threshold: int) -> dict[int, Secret]:
    used = sorted(shares)[:threshold]
    return {1 + links.index(link_id): shares[link_id] for link_id in used}
