"""What key streams need of a key manager."""

from typing import Protocol

from keyweave_agents.keys.ports import KeyAssociations, KeyLetters, KeySupply


class StreamKeys(KeySupply, KeyLetters, KeyAssociations, Protocol):
    """Keys, letters to the other end, and associations under an id of one's own."""
