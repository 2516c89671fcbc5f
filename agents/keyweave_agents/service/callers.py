"""Who calls: from the verified client certificate to the id of an application (SAE).

ETSI GS QKD 014 clause 5.1 wants the id derived from the certificate and leaves the mapping open. Ours:

    setting    the SAE id is, character for character,
    san-uri    the one URI of subjectAltName
    san-dns    the one DNS name of subjectAltName
    cn         the one common name of the subject
    auto       the URI if there is one, else the common name
    listed     in no name: only a certificate that a consumer lists counts

A consumer may list its certificates (`[[consumers.certificates]]`); then these alone are his, whatever name
others carry, which is how one certificate among many of the same authority, or of a shared name, is pinned.
A certificate that fits two consumers is nobody's.

Rule of this file: text is taken whole (no prefix is cut, no case is changed, nothing is decoded), and two
names of the kind that decides are no name, because a choice between them would be a guess. Headers are
never trusted. A certificate of an accepted authority proves who calls; whether this agent serves that
application is a second question, answered by the list of consumers.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from keyweave_agents.service.connections import ClientCertificate, Connection
from keyweave_agents.service.revocation import Revocations
from keyweave_agents.service.settings import (
    MAX_SAE_ID_CHARS,
    CertificateMatch,
    ConsumerSettings,
    SaeIdentity,
    ServiceSettings,
)
from keyweave_core.errors import Refused
from keyweave_core.model.ids import SaeId
from keyweave_core.runtime.log import get_logger
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
        case "listed":
            raise Refused("the certificate is listed for no consumer")
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


def fits(match: CertificateMatch, certificate: ClientCertificate) -> bool:
    """Whether a certificate says all that `match` names."""
    names = certificate.names
    return (
        (match.uri is None or match.uri in names.uris)
        and (match.dns is None or match.dns in names.dns)
        and (match.cn is None or names.common_names == (match.cn,))
        and (match.issuer is None or match.issuer == certificate.issuer)
        and (match.serial is None or match.serial == certificate.serial)
        and (match.sha256 is None or match.sha256 == certificate.fingerprint)
    )


@dataclass(slots=True)
class _Note:
    """What a connection was found to be, and how long that holds."""

    sae: SaeId | None
    reason: str
    until_s: float
    generation: int


class Callers:
    """The applications that one agent serves, found by certificate."""

    def __init__(
        self,
        consumers: Iterable[SaeId],
        rule: SaeIdentity,
        *,
        listed: Mapping[SaeId, Sequence[CertificateMatch]] | None = None,
        revoked: Revocations | None = None,
    ) -> None:
        """`listed` are the certificates of consumers that list them."""
        self._consumers = frozenset(consumers)
        self._rule: SaeIdentity = rule
        self._listed = {sae: tuple(matches) for sae, matches in (listed or {}).items() if matches}
        self._revoked = revoked
        self._generation = 0
        self._log = get_logger("service")

    def caller(self, names: PeerNames) -> SaeId:
        """The consumer that holds a certificate with these names; Refused when it is nobody we serve."""
        return self.identify(ClientCertificate(names=names))

    def identify(self, certificate: ClientCertificate) -> SaeId:
        """The consumer that holds this certificate; Refused when it is nobody this agent serves."""
        found = [
            sae for sae, matches in self._listed.items() if any(fits(match, certificate) for match in matches)
        ]
        if len(found) > 1:
            raise Refused(f"the certificate fits {len(found)} consumers: {', '.join(sorted(found))}")
        sae = found[0] if found else sae_of(certificate.names, self._rule)
        if sae not in self._consumers:
            raise Refused(f"{sae!r} is no consumer of this agent")
        if not found and sae in self._listed:
            raise Refused(f"the certificate is not among those listed for {sae!r}")
        return sae

    def of(self, connection: Connection, now_s: float, monotonic_s: float) -> SaeId:
        """The consumer at the other end; its certificate is looked at once a connection.

        Refused (each time): nobody this agent serves, or the certificate was revoked or has expired since.
        The note on the connection is ours. `now_s` since 1970, `monotonic_s` of the same moment.
        """
        if self._revoked is not None:
            self._revoked.look(monotonic_s)
            self._generation = self._revoked.generation
        note = connection.note
        if not isinstance(note, _Note) or note.generation != self._generation:
            note = connection.note = self._look(connection.certificate)
        if note.sae is None:
            raise Refused(note.reason)
        if now_s >= note.until_s:
            raise Refused(f"the certificate of {note.sae!r} has expired")
        return note.sae

    def _look(self, certificate: ClientCertificate) -> _Note:
        sae: SaeId | None = None
        reason = ""
        try:
            sae = self.identify(certificate)
            if self._revoked is not None and self._revoked.holds(certificate):
                sae, reason = None, f"the certificate of {sae!r} is revoked"
        except Refused as refusal:
            reason = str(refusal)
        if sae is None:
            self._log.warning("caller_refused", reason=reason)  # one line a connection
        return _Note(sae, reason, certificate.not_after_s, self._generation)

    def serves(self, sae: SaeId) -> bool:
        """Whether the application is a consumer of this agent."""
        return sae in self._consumers


def callers_of(settings: ServiceSettings, consumers: Sequence[ConsumerSettings]) -> Callers:
    """The callers that the settings name. SettingsError: the file of revocation lists."""
    return Callers(
        (consumer.sae_id for consumer in consumers),
        settings.sae_identity,
        listed={consumer.sae_id: consumer.certificates for consumer in consumers},
        revoked=None if settings.revoked is None else Revocations(settings.revoked, settings.tls.ca),
    )
