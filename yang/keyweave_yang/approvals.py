"""List entries that have passed validation before, so that an edit costs what it touches.

Rule of this file: only lists whose entries stand for themselves may be named: no must, leafref or unique
inside, and no `when` that looks outside the entry. Then an entry that was valid once is valid wherever it
stands, and what is left to check among entries is that their keys differ. 015 has such lists only.
"""

from collections.abc import Iterable
from hashlib import blake2b

from lxml import etree

from keyweave_yang.namespaces import etsi

SELF_CONTAINED = frozenset(etsi(name) for name in ("qkd_app", "qkd_interface", "qkd_link"))
"""The lists of the agent's schema that hold to the rule (proved by a test over their modules)."""

_MOST = 16_384


class Approvals:
    """Digests of entries that are known to be valid; forgets everything when it has grown too large."""

    def __init__(self, tags: frozenset[str] = SELF_CONTAINED, most: int = _MOST):
        self.tags = tags
        self._most = most
        self._digests: set[bytes] = set()

    def digest(self, element: etree._Element) -> bytes:
        """What tells this entry from every other: its text with all namespaces in scope."""
        return blake2b(etree.tostring(element, with_tail=False), digest_size=16).digest()

    def __contains__(self, digest: bytes) -> bool:
        return digest in self._digests

    def __len__(self) -> int:
        return len(self._digests)

    def add(self, digests: Iterable[bytes]) -> None:
        """Remember entries of a configuration that was found valid."""
        if len(self._digests) >= self._most:
            self._digests.clear()
        self._digests.update(digests)
