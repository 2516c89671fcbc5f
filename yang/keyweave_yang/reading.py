"""Values out of XML that somebody else wrote: each is right, or absent and named as a fault.

Rule of this file: nothing here raises over a bad value; a fault says where it was and why it was dropped.
One agent that lies must cost its own value only, and the list of faults is bounded.
"""

import re
from collections.abc import Callable
from enum import StrEnum
from typing import TypeVar

from lxml import etree

from keyweave_core.model.ids import parse_uuid
from keyweave_core.model.units import UINT32_MAX
from keyweave_yang.namespaces import ETSI_NODE, ETSI_TYPES, is_element, local_name

MAX_FAULTS = 100
"""Faults kept of one reading; the rest are counted."""

_INTEGER = re.compile(r"[+-]?[0-9]{1,20}")
_DECIMAL = re.compile(r"[+-]?[0-9]{1,15}(\.[0-9]{1,18})?")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", re.ASCII)
_SHOWN = 60
_UINT64_MAX = 2**64 - 1

_E = TypeVar("_E", bound=StrEnum)
_T = TypeVar("_T")


class Faults:
    """What was wrong in one reading, in the order it was met. `strict` also refuses sloppy identities."""

    def __init__(self, *, strict: bool = False):
        self.strict = strict
        self._texts: list[str] = []
        self._more = 0

    def add(self, path: str, reason: str) -> None:
        """Note that the value at `path` was dropped, and why."""
        if len(self._texts) < MAX_FAULTS:
            self._texts.append(f"{path}: {reason}")
        else:
            self._more += 1

    def texts(self) -> tuple[str, ...]:
        """All faults; the last entry counts those beyond the bound."""
        if self._more:
            return (*self._texts, f"and {self._more} more faults")
        return tuple(self._texts)


class Fields:
    """The children of one element by Clark name, read as values.

    Every reader returns None (or the default) when the child is absent or its value is dropped.
    """

    __slots__ = ("_children", "faults", "path")

    def __init__(self, element: etree._Element, path: str, faults: Faults):
        self.path = path
        self.faults = faults
        children: dict[str, list[etree._Element]] = {}
        for child in element:
            if is_element(child):
                children.setdefault(child.tag, []).append(child)
        self._children = children

    def fault(self, name: str, reason: str) -> None:
        """Note a fault of the child `name` ('' for this element)."""
        self.faults.add(f"{self.path}/{name}" if name else self.path, reason)

    def all(self, tag: str) -> list[etree._Element]:
        """Every child of this name, in order: the entries of a list."""
        return self._children.get(tag, [])

    def one(self, tag: str) -> etree._Element | None:
        """The child of this name; a second one is a fault and ignored."""
        found = self._children.get(tag)
        if found is None:
            return None
        if len(found) > 1:
            self.fault(local_name(found[0]), "is there more than once; the first was taken")
        return found[0]

    def inner(self, tag: str) -> "Fields | None":
        """The fields of a container."""
        element = self.one(tag)
        return None if element is None else self.of(element)

    def of(self, element: etree._Element, key: str = "") -> "Fields":
        """The fields of a child; `key` is what tells a list entry from its neighbours."""
        name = local_name(element)
        return Fields(element, f"{self.path}/{name}{key}", self.faults)

    def text(self, tag: str) -> str | None:
        """A string, as it stands; '' for an empty element."""
        element = self.one(tag)
        return None if element is None else _characters(element)

    def uint32(self, tag: str) -> int | None:
        """A whole number 0..2**32-1."""
        return self._number(tag, UINT32_MAX)

    def uint64(self, tag: str) -> int | None:
        """A whole number 0..2**64-1."""
        return self._number(tag, _UINT64_MAX)

    def boolean(self, tag: str, default: bool) -> bool:
        """true or false; `default` when absent or dropped."""
        element = self.one(tag)
        if element is None:
            return default
        text = _characters(element).strip()
        if text in ("true", "false"):
            return text == "true"
        self.fault(local_name(element), f"{_show(text)} is neither true nor false")
        return default

    def decimal(self, tag: str) -> float | None:
        """A decimal number."""
        element = self.one(tag)
        if element is None:
            return None
        text = _characters(element).strip()
        if _DECIMAL.fullmatch(text):
            return float(text)
        self.fault(local_name(element), f"{_show(text)} is no decimal number")
        return None

    def time(self, tag: str) -> str | None:
        """Text of the form of yang:date-and-time."""
        element = self.one(tag)
        if element is None:
            return None
        text = _characters(element).strip()
        if _TIME.fullmatch(text):
            return text
        self.fault(local_name(element), f"{_show(text)} is no date and time with a zone")
        return None

    def uuid(self, tag: str, make: Callable[[str], _T]) -> _T | None:
        """A UUID in lower case, given to `make` (the constructor of the id's type)."""
        element = self.one(tag)
        return None if element is None else self._uuid(element, make)

    def uuids(self, tag: str, make: Callable[[str], _T]) -> tuple[_T, ...]:
        """Every UUID of a leaf-list, each once."""
        read = (self._uuid(element, make) for element in self.all(tag))
        return tuple(dict.fromkeys(value for value in read if value is not None))

    def texts(self, tag: str, make: Callable[[str], _T]) -> tuple[_T, ...]:
        """Every string of a leaf-list, each once, given to `make`."""
        return tuple(make(text) for text in dict.fromkeys(_characters(found) for found in self.all(tag)))

    def identity(self, tag: str, names: type[_E], home: str = ETSI_TYPES) -> _E | None:
        """An identity of the module with namespace `home`, as the member of `names` with its name."""
        element = self.one(tag)
        if element is None:
            return None
        text = _characters(element).strip()
        prefix, colon, name = text.rpartition(":")
        # Without a prefix it is of the leaf's own module (RFC 7950 9.10.3).
        own = str(element.tag).startswith(f"{{{home}}}")
        namespace = element.nsmap.get(prefix) if colon else home if own else None
        # Peers write identities without a prefix, or with one that went missing on the way: when not
        # strict, the name decides unless it clearly belongs to another module.
        known = namespace == home or (not self.faults.strict and namespace in (None, ETSI_NODE))
        if known:
            try:
                return names(name)
            except ValueError:
                pass
        self.fault(local_name(element), f"{_show(text)} is no known identity")
        return None

    def word(self, tag: str, names: type[_E]) -> _E | None:
        """A member of an enumeration, by its value."""
        element = self.one(tag)
        if element is None:
            return None
        text = _characters(element).strip()
        try:
            return names(text)
        except ValueError:
            self.fault(local_name(element), f"{_show(text)} is none of {', '.join(map(str, names))}")
            return None

    def _number(self, tag: str, top: int) -> int | None:
        element = self.one(tag)
        if element is None:
            return None
        text = _characters(element).strip()
        if _INTEGER.fullmatch(text) and 0 <= int(text) <= top:
            return int(text)
        self.fault(local_name(element), f"{_show(text)} is no whole number 0..{top}")
        return None

    def _uuid(self, element: etree._Element, make: Callable[[str], _T]) -> _T | None:
        try:
            return make(parse_uuid(_characters(element)))
        except ValueError as error:
            self.fault(local_name(element), str(error))
            return None


def _characters(element: etree._Element) -> str:
    text = element.text or ""
    for child in element:  # a comment inside a value is seen through, an element is ignored
        text += child.tail or ""
    return text


def _show(text: str) -> str:
    return repr(text[:_SHOWN])
