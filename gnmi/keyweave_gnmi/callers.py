"""Who calls: from the certificate that TLS has proved to the user whose rights count.

Rule of this file: the name comes from the certificate and never from a message or a header, by the same
cert-to-name entries as for NETCONF over TLS. A certificate of the right authority is not enough: the name
must be that of a user.
"""

import ssl
from collections.abc import Iterable, Mapping

from keyweave_core.netconf.server.access import User
from keyweave_core.netconf.tls.names import NameMap
from keyweave_gnmi.faults import NotAllowed

Properties = Mapping[str, Iterable[bytes]]
"""The authentication context of a gRPC call."""

_REMEMBERED = 256


class Callers:
    """The users of one server: names with their groups; nothing is denied to those of `recovery`."""

    def __init__(
        self,
        names: NameMap,
        groups: Mapping[str, frozenset[str]],
        *,
        recovery: frozenset[str] = frozenset(),
    ) -> None:
        self._names = names
        self._users = {
            name: User(name, groups=members, recovery=name in recovery) for name, members in groups.items()
        }
        self._known: dict[bytes, str | None] = {}

    def identify(self, properties: Properties) -> User:
        """The user behind a call; NotAllowed when the certificate gives no name, or that of nobody."""
        pem = next(iter(properties.get("x509_pem_cert", ())), b"")
        name = self._name(pem) if pem else None
        if name is None:
            raise NotAllowed("the client certificate gives no name")
        user = self._users.get(name)
        if user is None:
            raise NotAllowed(f"certificate {name[:100]!r}: not on the list of users")
        return user

    def _name(self, pem: bytes) -> str | None:
        """The name in a certificate; those seen before are not read again."""
        if pem not in self._known:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            try:
                self._known[pem] = self._names.user_of(ssl.PEM_cert_to_DER_cert(pem.decode("ascii")))
            except ValueError:  # a certificate that OpenSSL takes and our parser does not
                self._known[pem] = None
        return self._known[pem]
