"""Keys that no single path knows: every key is the exclusive or of n shares, one over each virtual link.

Rule of this file: all n shares, or nothing. n - 1 shares are fresh random bytes, the last is the key xor the
others: the key under a one-time pad. So any n - 1 shares, whichever, are uniform and independent of the key
(C. E. Shannon, 1949), and who lacks one of them knows nothing.

A batch is split once. When the links change it is made anew, never split again and never sent whole, so no
share takes a second way on which a node might know another one.
"""

from collections.abc import Callable, Iterable

from keyweave_agents.material import Secret, xor
from keyweave_core.model.ids import LinkId

MOST_SHARES = 8


def split(
    whole: Secret, links: tuple[LinkId, ...], random_bytes: Callable[[int], bytes]
) -> dict[LinkId, Secret]:
    """One share for each link, each as long as `whole`, which stays as it is. At least one link."""
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
            step = xor(result, share.reveal())
            result[:] = step
            step[:] = bytes(len(step))
    if result is None:
        raise ValueError("no shares to combine")
    whole = Secret(result)
    result[:] = bytes(len(result))
    return whole
