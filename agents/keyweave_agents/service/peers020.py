"""Who a key manager of another network is: from its verified certificate to one peer of the settings.

Rule of this file: a chain to any accepted authority proves a certificate; which peer it stands for is decided
by one exact name in it, and by the very authority that the settings give that peer.
"""

from collections.abc import Iterable

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from keyweave_agents.service.settings020 import PeerSettings
from keyweave_core.errors import Refused, SettingsError
from keyweave_core.runtime.tls import PeerNames


class BorderPeers:
    """The peers of one border node. Raises SettingsError naming a file of an authority that is unusable."""

    def __init__(self, peers: Iterable[PeerSettings]) -> None:
        self.by_name = {peer.name: peer for peer in peers}
        self._authorities: dict[str, tuple[x509.Certificate, ...]] = {}
        for peer in self.by_name.values():
            if peer.ca is not None:
                try:
                    found = x509.load_pem_x509_certificates(peer.ca.read_bytes())
                except (OSError, ValueError) as error:
                    raise SettingsError(
                        f"{peer.ca}: no usable certificate of an authority: {error}"
                    ) from error
                self._authorities[peer.name] = tuple(found)

    def who(self, names: PeerNames, der: bytes) -> PeerSettings:
        """The peer that shows this certificate; Refused when it is none."""
        said = (*names.uris, *names.dns)
        found = [peer for peer in self.by_name.values() if peer.certificate_name in said]
        if len(found) != 1:
            which = "more than one" if found else "no"
            raise Refused(f"the certificate names {which} peer of this border")
        self._check_issuer(found[0], der)
        return found[0]

    def check(self, peer: PeerSettings, names: PeerNames, der: bytes) -> None:
        """Refused when a certificate is not that of `peer`."""
        if self.who(names, der) is not peer:
            raise Refused(f"the certificate is not that of {peer.name}")

    def _check_issuer(self, peer: PeerSettings, der: bytes) -> None:
        authorities = self._authorities.get(peer.name)
        if authorities is None:
            return
        certificate = x509.load_der_x509_certificate(der)
        for authority in authorities:
            try:
                certificate.verify_directly_issued_by(authority)
            except (ValueError, TypeError, InvalidSignature):
                continue
            return
        raise Refused(f"the certificate was not issued by the authority of {peer.name}")
