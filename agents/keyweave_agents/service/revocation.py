"""Certificates that are not valid any more before their time: revocation lists of the accepted authorities.

Rule of this file: a list counts only with a valid signature of an accepted authority, and a certificate is
looked for under its issuer and serial. The file is read again when it changes (looked at every few seconds);
when it cannot be used then, what was read before goes on counting and the log says so. A list that is past
its `nextUpdate` counts as well: it is better than none.
"""

import re
from pathlib import Path

from keyweave_agents.service.connections import ClientCertificate
from keyweave_core.errors import SettingsError
from keyweave_core.runtime.log import get_logger

LOOK_EVERY_S = 5.0

_LIST = re.compile(rb"-----BEGIN X509 CRL-----.*?-----END X509 CRL-----", re.DOTALL)


class Revocations:
    """What the file of revocation lists says. `generation` changes with it."""

    def __init__(self, file: Path, authorities: Path) -> None:
        """Raises SettingsError: a file that cannot be read, or without one usable list."""
        self._file = file
        self._authorities = authorities
        self._log = get_logger("service")
        self._looked_s = float("-inf")
        self._stamp = self._stamp_now()
        self.generation = 0
        self._revoked = self._read()

    def _stamp_now(self) -> tuple[int, int, int] | None:
        try:
            found = self._file.stat()
        except OSError:
            return None
        return (found.st_mtime_ns, found.st_size, found.st_ino)

    def look(self, now_s: float) -> None:
        """Read the file again if it has changed; `now_s` is monotonic."""
        if now_s - self._looked_s < LOOK_EVERY_S:
            return
        self._looked_s = now_s
        stamp = self._stamp_now()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._revoked = self._read()
        except SettingsError as error:
            self._log.error("revocations_kept", reason=str(error))
            return
        self.generation += 1
        self._log.info("revocations_read", count=len(self._revoked))

    def holds(self, certificate: ClientCertificate) -> bool:
        """Whether a list of its issuer names this certificate."""
        from cryptography import x509  # loaded by those who use lists

        content = certificate.der()
        if not content:
            return False
        parsed = x509.load_der_x509_certificate(content)
        return (parsed.issuer.public_bytes(), parsed.serial_number) in self._revoked

    def _read(self) -> frozenset[tuple[bytes, int]]:
        from cryptography import x509

        try:
            text = self._file.read_bytes()
            authorities = x509.load_pem_x509_certificates(self._authorities.read_bytes())
            lists = [x509.load_pem_x509_crl(found) for found in _LIST.findall(text)]
        except (OSError, ValueError) as error:
            raise SettingsError(f"{self._file}: no usable revocation lists: {error}") from error
        if not lists:
            raise SettingsError(f"{self._file}: no revocation list in it (PEM, X509 CRL)")
        revoked: set[tuple[bytes, int]] = set()
        for one in lists:
            issuer = one.issuer.public_bytes()
            signed = any(
                authority.subject == one.issuer and one.is_signature_valid(authority.public_key())  # type: ignore[arg-type]  # an authority of a TLS server has a key that signs
                for authority in authorities
            )
            if not signed:
                raise SettingsError(
                    f"{self._file}: the list of {one.issuer.rfc4514_string()} is signed by no authority of "
                    f"{self._authorities}"
                )
            revoked.update((issuer, entry.serial_number) for entry in one)
        return frozenset(revoked)
