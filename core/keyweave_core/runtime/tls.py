"""Mutual TLS: contexts from PEM files, and the names that a verified certificate carries.

Rule of this file: both ends always show a certificate; there is no way to make a context that does not
verify its peer. Files are read once, when the context is made, and every complaint names the file.
"""

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from keyweave_core.errors import SettingsError

_VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}

_CIPHERS_1_2 = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""Forward secrecy and authenticated encryption only, where the operator lets TLS 1.2 in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsSettings:
    """PEM files of one end of mutual TLS.

    `certificate` may hold a chain (own certificate first), `private_key` must not be encrypted, `ca` holds
    every authority whose certificates are accepted from the peer. `minimum_version`: ETSI GS QKD 014
    clause 5.1 allows 1.2; everything of ours speaks 1.3.
    """

    certificate: Path
    private_key: Path
    ca: Path
    minimum_version: Literal["1.2", "1.3"] = "1.3"

    def relative_to(self, folder: Path) -> "TlsSettings":
        """The same settings with relative paths taken from `folder` (where the settings file lies)."""
        return TlsSettings(
            certificate=folder / self.certificate,
            private_key=folder / self.private_key,
            ca=folder / self.ca,
            minimum_version=self.minimum_version,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerNames:
    """What a certificate says its holder is called, each in the order of the certificate.

    URIs and DNS names are those of subjectAltName, `common_names` are of the subject; text exactly as
    written there.
    """

    uris: tuple[str, ...] = ()
    dns: tuple[str, ...] = ()
    common_names: tuple[str, ...] = ()

    def include(self, name: str) -> bool:
        """Whether it is called so, in whichever way."""
        return name in self.uris or name in self.dns or name in self.common_names


class HasPeerCertificate(Protocol):
    """An `ssl.SSLObject` or `ssl.SSLSocket` after its handshake."""

    def getpeercert(self) -> dict[str, Any] | None:
        """The verified certificate of the peer as the standard library parses it."""
        ...


def server_context(settings: TlsSettings) -> ssl.SSLContext:
    """A context for a server that accepts only clients with a certificate of `settings.ca`.

    Raises SettingsError naming the file that cannot be read or used.
    """
    context = _load(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), settings)
    context.verify_mode = ssl.CERT_REQUIRED
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    return context


def client_context(settings: TlsSettings, *, check_hostname: bool = True) -> ssl.SSLContext:
    """A context for a client that shows its certificate and accepts servers of `settings.ca`.

    With `check_hostname` false the chain is still verified, and the caller compares the peer's names
    (`peer_names`) with the identity it expects, as key managers do with node ids.
    Raises SettingsError naming the file that cannot be read or used.
    """
    context = _load(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), settings)
    context.check_hostname = check_hostname
    return context


def _load(context: ssl.SSLContext, settings: TlsSettings) -> ssl.SSLContext:
    context.minimum_version = _VERSIONS[settings.minimum_version]
    context.set_ciphers(_CIPHERS_1_2)
    for what, path in (
        ("certificate", settings.certificate),
        ("private key", settings.private_key),
        ("certificate of the authority", settings.ca),
    ):
        try:
            with path.open("rb"):
                pass
        except OSError as error:
            raise SettingsError(f"{path}: cannot read the {what}: {error.strerror or error}") from error
    try:
        # An encrypted key must fail, not ask for a password on the terminal of a daemon.
        context.load_cert_chain(settings.certificate, settings.private_key, password=_no_password)
    except (ssl.SSLError, ValueError) as error:
        raise SettingsError(
            f"{settings.certificate}: no usable certificate with the key {settings.private_key}: "
            f"{_reason(error)}"
        ) from error
    try:
        context.load_verify_locations(cafile=settings.ca)
    except ssl.SSLError as error:
        raise SettingsError(
            f"{settings.ca}: no usable certificate of an authority: {_reason(error)}"
        ) from error
    return context


def _no_password() -> str:
    raise ValueError("the private key is encrypted; this program wants it in clear, mode 0600")


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return (error.reason or str(error)).lower().replace("_", " ")
    return str(error)


def peer_names(connection: HasPeerCertificate) -> PeerNames:
    """The names of the peer at the other end of a finished handshake; all empty when it showed none."""
    return names_of(connection.getpeercert())


def names_of(certificate: dict[str, Any] | None) -> PeerNames:
    """Names in a certificate as `ssl.SSLObject.getpeercert()` (or asyncio's `peercert`) returns it."""
    if not certificate:
        return PeerNames()
    alternatives = certificate.get("subjectAltName", ())
    return PeerNames(
        uris=tuple(value for kind, value in alternatives if kind == "URI"),
        dns=tuple(value for kind, value in alternatives if kind == "DNS"),
        common_names=tuple(
            value for part in certificate.get("subject", ()) for name, value in part if name == "commonName"
        ),
    )
