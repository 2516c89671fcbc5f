"""From the URIs of OPEN_CONNECT to the ids of applications (SAEs). Pure.

004 wants source and destination as URIs and leaves open what they name. A table of the settings decides
first; for what is not in it a rule does:

    rule   urn:sae:bob     qkd://token@alice:7000/x?y     alice
    auto   urn:sae:bob     alice                          no URI
    host   no host         alice                          no URI
    whole  urn:sae:bob     the whole text                 no URI

Rule of this file: nothing is guessed. A text without a scheme is no URI; a host is taken as written (its case
is kept, %XX is decoded), and what stands around it (tokens, port, path, query) is neither looked at nor told.
"""

import re
from collections.abc import Mapping
from typing import Literal
from urllib.parse import unquote

from keyweave_agents.service.callers import is_sae_id
from keyweave_core.errors import InvalidInput
from keyweave_core.model.ids import SaeId

UriRule = Literal["auto", "host", "whole"]
"""How an application is found in a URI."""

_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:(?P<authority>//(?:[^/?#]*@)?(?P<host>[^/?#@]*))?.*\Z", re.DOTALL)
_PORT = re.compile(r":[0-9]*\Z")


def sae_of_uri(uri: str, rule: UriRule, table: Mapping[str, SaeId]) -> SaeId:
    """The application that `uri` names. Raises InvalidInput: no URI, or one that names none by the rule."""
    if uri in table:
        return table[uri]
    found = _URI.match(uri)
    if found is None:
        raise InvalidInput("a text without a scheme is no URI")
    if rule == "whole" or (rule == "auto" and found["authority"] is None):
        name = uri
    else:
        name = unquote(_PORT.sub("", found["host"] or ""))
    if not is_sae_id(name):
        raise InvalidInput(f"a URI of scheme {uri.partition(':')[0][:20]!r} names no application")
    return SaeId(name)
