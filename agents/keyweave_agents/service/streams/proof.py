"""Why nobody on the way can make the two ends of a stream hold different keys.

Which key is which chunk is told by letters that any node on the way could write. So each offer, and the
answer that it was taken, carries a tag under a key used once, which travelled as the keys of the stream do:
Poly1305 under 32 fresh bytes, the construction and bound of `keys.pad`. A node that does not know the keys
(with shares over several paths, or hybrid keys, none does) forges one with probability below 2^-90, whatever
computer it has. A tag made from the chunks themselves would tell something about them; these keys are used
for nothing else, and chunks stay as secret as they came.

Rule of this file: two keys an offer, one each way; a proof key proves one text and is wiped.
"""

from keyweave_agents.keys.relaying import pad
from keyweave_agents.material import Secret

PROOF_BITS = 256
PROOF_KEYS = 2
"""The first proves the offer, the second its answer."""


def prove(text: bytes, key: Secret) -> bytes:
    """The 16-byte tag of `text`."""
    return pad.tag(text, key.reveal())


def proves(text: bytes, tag: bytes, key: Secret) -> bool:
    """Whether `tag` is the tag of `text`; a key of another size proves nothing."""
    return key.bits == PROOF_BITS and pad.proves(text, tag, key.reveal())
