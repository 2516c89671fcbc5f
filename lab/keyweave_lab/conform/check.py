"""What a check is, and what it may say.

Rule of this file: a check is a coroutine that looks at the server through a bench. It returns what was seen
(the check has passed), raises `Failed` with what was seen, `NotApplicable` with the reason, or `Note` with
what the server made of something that the standard leaves open. Which checks a file holds is what
`checks_of` finds in it, in the order they were written: there is no list to forget.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from keyweave_core.errors import KeyweaveError

Run = Callable[[Any], Awaitable[str]]
"""Each suite has a bench of its own, which its checks name in their signatures."""


class Failed(KeyweaveError):
    """The server does not do what the clause demands; the text is what was seen."""


class NotApplicable(KeyweaveError):
    """The check says nothing about this server; the text is the reason."""


class Note(KeyweaveError):
    """The server's own way where the standard leaves it open; neither good nor bad."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One behaviour. `id` begins with an id of the published list ('A10.zero-size' belongs to 'A10')."""

    id: str
    clause: str
    expected: str
    run: Run
    needs: tuple[str, ...] = ()  # see `lacks` of the bench
    edits: bool = False  # changes configuration, takes locks or ends sessions of others

    def chosen_by(self, wish: str) -> bool:
        """True when `wish` is this id, the id of its group or a leading part up to a dot ('A', 'A10')."""
        item = self.id.partition(".")[0]
        return wish.casefold() in (self.id.casefold(), item.casefold(), item[:1].casefold())


def check(
    ident: str, clause: str, expected: str, *, needs: tuple[str, ...] = (), edits: bool = False
) -> Callable[[Run], Check]:
    """Make a check of a coroutine function; `needs` names capabilities and options it depends on."""

    def make(run: Run) -> Check:
        return Check(id=ident, clause=clause, expected=expected, run=run, needs=needs, edits=edits)

    return make


def checks_of(*files: ModuleType) -> tuple[Check, ...]:
    """All checks written in these files, in their order."""
    return tuple(
        found
        for file in files
        for found in vars(file).values()
        if isinstance(found, Check) and found.run.__module__ == file.__name__
    )


def require(holds: object, seen: str) -> None:
    """Raise Failed(seen) unless `holds`."""
    if not holds:
        raise Failed(seen)
