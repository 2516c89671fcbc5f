"""Who calls: from the verified client certificate to the id of an application (SAE).

ETSI GS QKD 014 clause 5.1 wants the id derived from the certificate and leaves the mapping open. Ours:

    setting    the SAE id is, character for character,
    san-uri    the one URI of subjectAltName
    san-dns    the one DNS name of subjectAltName
    cn         the one common name of the subject
    auto       the URI if there is one, else the common name

Rule of this file: text is taken whole (no prefix is cut, no case is changed, nothing is decoded), and two
names of the kind that decides are no name, because a choice between them would be a guess. Headers are
never trusted. A certificate of an accepted authority proves who calls; whether this agent serves that
application is a second question, answered by the list of consumers.
"""

from collections.abc import Iterable

from keyweave_agents.service.settings import MAX_SAE_ID_CHARS, SaeIdentity
from keyweave_core.errors import Refused
from keyweave_core.model.ids import SaeId
from keyweave_core.runtime.tls import PeerNames


def sae_of(names: PeerNames, rule: SaeIdentity) -> SaeId:
    """The application that `names` of a verified certificate stand for.

    Raises Refused with the reason: no name of the kind, more than one, or one that no id can be
    (longer than 256 characters or not printable).
    """
    match rule:
        case "san-uri":
            kind, found = "URI in subjectAltName", names.uris
        case "san-dns":
            kind, found = "DNS name in subjectAltName", names.dns
        case "cn":
            kind, found = "common name", names.common_names
        case "auto":
            kind, found = (
                ("URI in subjectAltName", names.uris) if names.uris else ("common name", names.common_names)
            )
    if len(found) != 1:
        raise Refused(f"the certificate has {len(found) or 'no'} {kind}; one names the application")
    text = found[0]
    if not is_sae_id(text):
        raise Refused(f"the {kind} {text[:60]!r} is no SAE id (1..{MAX_SAE_ID_CHARS} printable characters)")
    return SaeId(text)


def is_sae_id(text: str) -> bool:
    """Whether `text` can be the id of an application: 1..256 printable characters."""
    return 1 <= len(text) <= MAX_SAE_ID_CHARS and text.isprintable()


class Callers:
    """The applications that one agent serves, found by certificate."""

    def __init__(self, consumers: Iterable[SaeId], rule: SaeIdentity) -> None:
        self._consumers = frozenset(consumers)
        self._rule: SaeIdentity = rule

    def caller(self, names: PeerNames) -> SaeId:
        """The consumer that holds this certificate; Refused when it is nobody this agent serves."""
        sae = sae_of(names, self._rule)
        if sae not in self._consumers:
            raise Refused(f"{sae!r} is no consumer of this agent")
        return sae

    def serves(self, sae: SaeId) -> bool:
        """Whether the application is a consumer of this agent."""
        return sae in self._consumers
