"""Values that are XPath keep their namespaces on their way into a store, and are other values with others."""

from lxml import etree

from keyweave_core.netconf.data.changes import ChangeKind, changes
from keyweave_core.netconf.data.edit import edit
from keyweave_core.netconf.data.prefixes import prefixes_in

TINY = "urn:test:tiny"


def config(value: str, declared: str, inner: str = "version") -> etree._Element:
    return etree.fromstring(
        f'<c {declared}><node xmlns="{TINY}"><id>n</id><{inner}>{value}</{inner}></node></c>'
    )


def test_prefixes_bound_around_a_value_come_with_it(places) -> None:
    (node,) = edit(
        (), config("/p:a[q:b='x:y']", 'xmlns:p="urn:p" xmlns:q="urn:q" xmlns:r="urn:r"'), schema=places
    )
    version = node.find(f"{{{TINY}}}version")
    assert version.nsmap == {None: TINY, "p": "urn:p", "q": "urn:q"}
    assert prefixes_in(version) == {"p": "urn:p", "q": "urn:q"}
    assert prefixes_in(etree.fromstring("<a>12:30 p::x q:</a>")) == {}


def test_the_same_text_with_other_namespaces_is_another_value(places) -> None:
    one = edit((), config("/p:a", 'xmlns:p="urn:p"'), schema=places)
    two = edit(one, config("/p:a", 'xmlns:p="urn:q"'), schema=places)
    assert [(change.kind, change.path) for change in changes(one, two, places)] == [
        (ChangeKind.REPLACE, "/tiny:node/tiny:version")
    ]
    # A declaration that the value does not use makes no difference.
    three = edit(one, config("/p:a", 'xmlns:p="urn:p" xmlns:z="urn:z"'), schema=places)
    assert changes(one, three, places) == []
