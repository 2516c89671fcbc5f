"""The YANG modules of notifications and subscriptions, and the schema of their state.

Rule of this file: their state is written down by hand and their text comes from pyang's folder, so that a
server need not load them (and interfaces, ip, network-instance, which they import) into a YANG library.
"""

from collections.abc import Callable, Sequence

from keyweave_core.netconf.data.nodes import DataNode, container, leaf_list, list_of, state_leaves
from keyweave_core.netconf.ports import Kind, ModuleInfo, SchemaNode
from keyweave_core.netconf.protocol.messages import PUSH, SUBSCRIBED

NOTICES = "urn:ietf:params:xml:ns:yang:ietf-netconf-notifications"
_YANG = "urn:ietf:params:xml:ns:yang:"

PUSH_NAMESPACES = frozenset({SUBSCRIBED, PUSH, NOTICES})

# name, revision, yang-version, features; the namespace is made of the name
_IMPLEMENTED = (
    ("ietf-netconf-notifications", "2012-02-06", "1", ()),
    ("ietf-subscribed-notifications", "2019-09-09", "1.1", ("encode-xml", "replay", "subtree", "xpath")),
    ("ietf-yang-push", "2019-09-09", "1.1", ("on-change",)),
)
_IMPORTED = (
    ("ietf-datastores", "2018-02-14", "1.1", ()),
    ("ietf-inet-types", "2013-07-15", "1", ()),
    ("ietf-interfaces", "2018-02-20", "1.1", ()),
    ("ietf-ip", "2018-02-22", "1.1", ()),
    ("ietf-netconf-acm", "2018-02-14", "1", ()),
    ("ietf-network-instance", "2019-01-21", "1.1", ()),
    ("ietf-restconf", "2017-01-26", "1.1", ()),
    ("ietf-yang-patch", "2017-02-22", "1.1", ()),
    ("ietf-yang-schema-mount", "2019-01-14", "1.1", ()),
    ("ietf-yang-types", "2013-07-15", "1", ()),
)


def push_modules(present: frozenset[str], text_of: Callable[[str], str]) -> Sequence[ModuleInfo]:
    """The modules of this file whose names are not `present`; `text_of` finds the source of a module."""
    return [
        ModuleInfo(
            name=name,
            revision=revision,
            namespace=f"{_YANG}{name}",
            yang_version=version,
            implemented=implemented,
            features=features,
            text=text_of(name),
        )
        for implemented, rows in ((True, _IMPLEMENTED), (False, _IMPORTED))
        for name, revision, version, features in rows
        if name not in present
    ]


def push_nodes() -> Sequence[SchemaNode]:
    """Schema nodes of `streams` and `subscriptions`; new objects at each call."""
    pushed = (
        *state_leaves("datastore datastore-xpath-filter"),
        DataNode("datastore-subtree-filter", Kind.ANYDATA),
        container("periodic", *state_leaves("period anchor-time")),
        container("on-change", *state_leaves("dampening-period sync-on-start"), leaf_list("excluded-change")),
    )
    streams = container(
        "streams",
        list_of(
            "stream",
            "name",
            *state_leaves("name description replay-support replay-log-creation-time replay-log-aged-time"),
        ),
        config=False,
    )
    subscription = list_of(
        "subscription",
        "id",
        *state_leaves("id stream stream-xpath-filter replay-start-time stop-time encoding"),
        DataNode("stream-subtree-filter", Kind.ANYDATA),
        container(
            "receivers",
            list_of(
                "receiver", "name", *state_leaves("name sent-event-records excluded-event-records state")
            ),
        ),
        *(node.augmenting(PUSH, "ietf-yang-push") for node in pushed),
    )
    tops = (streams, container("subscriptions", subscription, config=False))
    return [node.bind(SUBSCRIBED, "ietf-subscribed-notifications") for node in tops]
