"""Bounds on the shape of one message: how many elements, how deep.

Rule of this file: the bytes are bounded before (`framing`); a small text can still hold a great many
elements, and each costs far more than its bytes.
"""

from itertools import islice

from lxml import etree

from keyweave_core.netconf.protocol.rpc_errors import RpcError


class Shape:
    """What a message may be like; `check` takes microseconds for a small one."""

    def __init__(self, max_elements: int, max_depth: int) -> None:
        self._max_elements = max_elements
        self._max_depth = max_depth
        # One step a level, evaluated in C: there is a result only where something lies deeper than allowed.
        self._deeper = etree.XPath("boolean(" + "/".join(["*"] * max_depth) + ")")

    def check(self, root: etree._Element) -> None:
        """Raise RpcError too-big (RFC 6241 appendix A) when the message is out of bounds."""
        if next(islice(root.iter(), self._max_elements, None), None) is not None:
            raise RpcError("too-big", f"a message may hold {self._max_elements} elements", type="rpc")
        if self._deeper(root):
            raise RpcError("too-big", f"elements may stand {self._max_depth} deep", type="rpc")
