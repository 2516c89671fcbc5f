"""What can be wrong with a gNMI request, as leaves of our tree of errors.

    InvalidInput
    +-- BadPath        a path that does not read, or that means nothing where it stands
    |   +-- NoSuchNode   it reads, and the schema has no such node
    +-- BadValue       a value that does not read or that its node refuses
    +-- Unsupported    understood, and not offered here
    +-- NotAllowed     the caller may not
    +-- Conflict       somebody else holds what it needs

Rule of this file: texts begin with the path they speak of, in the form of `text_paths`.
"""

from keyweave_core.errors import InvalidInput


class BadPath(InvalidInput):
    """A path that does not read, or that means nothing where it stands."""


class NoSuchNode(BadPath):
    """A path to a node that the schema does not have."""


class BadValue(InvalidInput):
    """A value that does not read, or that its node refuses."""


class Unsupported(InvalidInput):
    """Understood, and not offered here."""


class NotAllowed(InvalidInput):
    """The caller may not do this."""


class Conflict(InvalidInput):
    """Somebody else holds what this needs; the same call may succeed later."""
