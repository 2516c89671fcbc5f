"""Who calls: from the certificate that TLS has proved to the user whose rights count.

Rule of this file: the name comes from the certificate and never from a message or a header. A certificate of
the right authority is not enough: its name must be on the list.
"""

from collections.abc import Iterable, Mapping, Sequence

from keyweave_core.netconf.server.access import User
from keyweave_gnmi.faults import NotAllowed
from keyweave_gnmi.settings import GnmiUser, NameSource

Properties = Mapping[str, Iterable[bytes]]
"""The authentication context of a gRPC call."""

_SOURCES = {
    NameSource.COMMON_NAME: "x509_common_name",
    NameSource.ALTERNATIVE_NAME: "x509_subject_alternative_name",
}


class Callers:
    """The users of one server."""

    def __init__(self, users: Sequence[GnmiUser], source: NameSource) -> None:
        self._users = {
            user.certificate_name or user.name: User(
                user.name, groups=frozenset(user.groups), recovery=user.recovery
            )
            for user in users
        }
        self._source = source

    def identify(self, properties: Properties) -> User:
        """The user behind a call; NotAllowed when the certificate has no name or none on the list."""
        names = [
            value.decode("utf-8", errors="replace").strip()
            for value in properties.get(_SOURCES[self._source], ())
        ]
        for name in names:
            user = self._users.get(name)
            if user is not None:
                return user
        shown = names[0][:100] if names and names[0] else "without a name"
        raise NotAllowed(f"certificate {shown!r}: not on the list of users")
