"""Who calls, and what the caller may do.

Rule of this file: identity comes from the client certificate that TLS has already proved, never from a
message. A caller is known by the common name of its certificate (or, without one, its first alternative
name).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from keyweave_controller.settings import CallerRole, CallerSettings
from keyweave_core.errors import Refused


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """One caller of the northbound."""

    name: str
    role: CallerRole


class Access:
    """The rules about callers. Without rules every proved certificate is an operator."""

    def __init__(self, callers: Iterable[CallerSettings] = ()) -> None:
        self._roles = {caller.name: caller.role for caller in callers}

    def identify(self, properties: Mapping[str, Iterable[bytes]]) -> Caller:
        """The caller behind the properties of an authenticated connection (gRPC's auth context).

        Raises Refused when the certificate carries no name or the name is not on the list.
        """
        name = _certificate_name(properties)
        if not name:
            raise Refused("the client certificate carries no name")
        if not self._roles:
            return Caller(name=name, role=CallerRole.OPERATOR)
        role = self._roles.get(name)
        if role is None:
            raise Refused(f"caller {name!r} is not on this controller's list")
        return Caller(name=name, role=role)


def may_change(caller: Caller) -> None:
    """Return when the caller may change the network; Refused otherwise."""
    if caller.role is not CallerRole.OPERATOR:
        raise Refused(f"caller {caller.name!r} is a {caller.role.value} and may look, not change")


def _certificate_name(properties: Mapping[str, Iterable[bytes]]) -> str:
    for key in ("x509_common_name", "x509_subject_alternative_name"):
        for value in properties.get(key, ()):
            name = value.decode("utf-8", errors="replace").strip()
            if name:
                return name
    return ""
