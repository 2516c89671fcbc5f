"""The policy as a message, both ways.

Rule of this file: a field of `pb.Policy` has the name of its field in `Policy`, so neither is named twice; a
test shows that none lacks. A field that an older caller does not know stays as it is in force.
"""

import dataclasses
from enum import StrEnum
from typing import Any

from keyweave_controller.control.configuration import Policy
from keyweave_controller.northbound import wishes
from keyweave_controller.northbound.refusals import InvalidField
from keyweave_core.model.application import KeyMode, RelayMethod
from keyweave_proto.v1 import keyweave_pb2 as pb

NAMES = tuple(field.name for field in pb.Policy.DESCRIPTOR.fields)
"""Fields of the message, which are fields of the policy."""


_WORDS: dict[str, type[StrEnum]] = {"_key_mode": KeyMode, "_relay_method": RelayMethod}


def _word(name: str, words: type[StrEnum], value: str) -> StrEnum:
    try:
        return words(value)
    except ValueError:
        known = ", ".join(words)
        raise InvalidField(f"policy.{name}", f"{value[:60]!r} is none of {known}") from None


def shown(policy: Policy) -> pb.Policy:
    """The policy as a message."""
    return pb.Policy(**{name: getattr(policy, name) for name in NAMES})


def read(wish: pb.Policy, in_force: Policy) -> Policy:
    """The policy that is wanted; InvalidField names what is wrong."""
    given: dict[str, Any] = {
        field.name: getattr(wish, field.name)
        for field in wish.DESCRIPTOR.fields
        if not field.has_presence or wish.HasField(field.name)
    }
    for name, value in given.items():
        if name.endswith("_strategy"):
            if not value:
                raise InvalidField(f"policy.{name}", "must name a strategy")
            wishes.strategy(f"policy.{name}", value)
        for ending, words in _WORDS.items():
            if name.endswith(ending):
                given[name] = _word(name, words, value)
    try:
        return dataclasses.replace(in_force, **given)
    except ValueError as error:
        named = str(error).split(" ", 1)[0]  # its complaints begin with the field
        raise InvalidField(f"policy.{named}" if named in given else "policy", str(error)) from error
