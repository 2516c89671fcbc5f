"""What the process of an agent leaves out of memory.

An operator runs many agents beside each other, so each of them counts its megabytes (figures: CPython 3.11).

    rich          structlog loads it, when it is installed, to paint tracebacks; ours are JSON   3.5 MB
    elementpath   yangson wants one function of it and gets a whole XPath 2 processor            4 MB

Rule of this file: called once, by the program itself and before it imports its parts; never by a library of
ours. If either package is laid out otherwise some day, it is simply loaded whole.
"""

import importlib
import importlib.util
import sys
from types import ModuleType
from typing import cast


def leave_out_what_is_not_used() -> None:
    """Make the imports above short. What is already loaded stays as it is."""
    # None in sys.modules makes `import rich` fail as if it were not installed, which structlog expects.
    cast("dict[str, ModuleType | None]", sys.modules).setdefault("rich", None)
    if "elementpath" not in sys.modules:
        _only_regular_expressions()


def _only_regular_expressions() -> None:
    """Put a package `elementpath` in place that has its module `regex` and nothing else."""
    found = importlib.util.find_spec("elementpath")
    if found is None or found.submodule_search_locations is None:
        return
    package = ModuleType("elementpath")
    package.__path__ = list(found.submodule_search_locations)
    sys.modules["elementpath"] = package
    try:
        regex = importlib.import_module("elementpath.regex")
        for name in ("RegexError", "translate_pattern"):
            setattr(package, name, getattr(regex, name))
    except (ImportError, AttributeError):
        del sys.modules["elementpath"]
