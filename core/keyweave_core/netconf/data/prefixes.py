"""Prefixes inside values: text such as an XPath expression means something only with its namespaces.

Rule of this file: a value of a plain string type may be such text (`yang:xpath1.0` is a string to YANG), so
what looks like a prefix and is bound where the value stands belongs to the value.
"""

import re
from collections.abc import Mapping

from keyweave_core.netconf.protocol.elements import Element

_PREFIX = re.compile(r"([^\W\d][\w.\-]*):(?!:)")


def prefixes_in(element: Element) -> Mapping[str, str]:
    """The prefixes in the text of an element that are bound there, with their namespaces."""
    text = element.text
    if not text or ":" not in text:
        return {}
    scope = element.nsmap
    return {name: scope[name] for name in _PREFIX.findall(text) if name in scope}
