"""The YANG modules that make up the protocol: what the server adds to its schema's own set.

Rule of this file: a module that the schema has is announced as the schema says (with our features for
ietf-netconf, which only the server knows); one that it lacks is taken from the modules that come with
pyang, when they are installed, and is announced without text otherwise.
"""

import dataclasses
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from keyweave_core.netconf.data.defaults import WITH_DEFAULTS
from keyweave_core.netconf.data.nodes import DataNode, container, leaf, leaf_list, list_of, state_leaves
from keyweave_core.netconf.data.origin import ORIGIN
from keyweave_core.netconf.ports import ModuleInfo, Schema, SchemaNode
from keyweave_core.netconf.protocol.messages import (
    MONITORING,
    NETMOD_NOTIFICATION,
    NMDA,
    NOTIFICATION,
    YANG_LIBRARY,
)
from keyweave_core.netconf.protocol.rpc_errors import BASE
from keyweave_core.netconf.server.features import ServerFeatures
from keyweave_core.netconf.server.push_modules import PUSH_NAMESPACES, push_modules, push_nodes

_METADATA = "urn:ietf:params:xml:ns:yang:ietf-yang-metadata"  # imported for its extension alone

OWN_NAMESPACES = PUSH_NAMESPACES | {
    BASE,
    MONITORING,
    NETMOD_NOTIFICATION,
    NMDA,
    NOTIFICATION,
    ORIGIN,
    WITH_DEFAULTS,
    YANG_LIBRARY,
}
"""What the modules of these namespaces describe is made by the server, even where the schema has them too."""

# name, revision, namespace, yang-version, features
_MODULES: tuple[tuple[str, str, str, str, tuple[str, ...]], ...] = (
    ("ietf-netconf", "2011-06-01", BASE, "1", ()),
    ("ietf-netconf-monitoring", "2010-10-04", MONITORING, "1", ()),
    ("ietf-netconf-nmda", "2019-01-07", NMDA, "1.1", ("origin", "with-defaults")),
    ("ietf-netconf-with-defaults", "2011-06-01", WITH_DEFAULTS, "1", ()),
    ("ietf-origin", "2018-02-14", ORIGIN, "1.1", ()),
    ("ietf-yang-library", "2019-01-04", YANG_LIBRARY, "1.1", ()),
    ("ietf-yang-metadata", "2016-08-05", _METADATA, "1", ()),
    ("nc-notifications", "2008-07-14", NETMOD_NOTIFICATION, "1", ()),
    ("notifications", "2008-07-14", NOTIFICATION, "1", ()),
)


def all_modules(schema: Schema, features: ServerFeatures) -> tuple[ModuleInfo, ...]:
    """The schema's modules and those of the protocol, each once, by name and revision."""
    found = {(module.name, module.revision): module for module in schema.modules}
    names = {module.name for module in schema.modules}
    files = _installed_files()
    for module in push_modules(frozenset(names), lambda name: _text(files.get(name))):
        found[module.name, module.revision] = module
    for name, revision, namespace, version, supported in _MODULES:
        if name not in names:
            found[name, revision] = ModuleInfo(
                name=name,
                revision=revision,
                namespace=namespace,
                yang_version=version,
                implemented=namespace != _METADATA,
                features=supported,
                text=_text(files.get(name)),
            )
    return tuple(
        dataclasses.replace(module, features=features.netconf) if module.name == "ietf-netconf" else module
        for _, module in sorted(found.items())
    )


def _installed_files() -> Mapping[str, Path]:
    """Where the sources of modules are among pyang's data files, by name; none when it is not installed."""
    root = Path(sys.prefix) / "share" / "yang" / "modules"
    if root.is_dir():
        return {path.stem: path for path in sorted(root.glob("*/*.yang"))}
    import importlib.metadata  # a megabyte: only where the files lie elsewhere

    try:
        files = importlib.metadata.files("pyang") or ()
    except importlib.metadata.PackageNotFoundError:
        return {}
    sources = [file for file in files if file.suffix == ".yang" and "modules" in file.parts]
    return {file.stem: Path(str(file.locate())) for file in sources}


def _text(path: Path | None) -> str:
    try:
        return "" if path is None else path.read_text(encoding="utf-8")
    except OSError:
        return ""


def protocol_nodes() -> Sequence[SchemaNode]:
    """Schema nodes of the state that the server itself has; new objects at each call."""
    counters = "in-rpcs in-bad-rpcs out-rpc-errors out-notifications"
    monitoring = container(
        "netconf-state",
        container("capabilities", leaf_list("capability")),
        container(
            "datastores",
            list_of(
                "datastore",
                "name",
                leaf("name"),
                container("locks", container("global-lock", *state_leaves("locked-by-session locked-time"))),
            ),
        ),
        container(
            "schemas",
            list_of(
                "schema",
                "identifier version format",
                *state_leaves("identifier version format namespace"),
                leaf_list("location"),
            ),
        ),
        container(
            "sessions",
            list_of(
                "session",
                "session-id",
                *state_leaves(f"session-id transport username source-host login-time {counters}"),
            ),
        ),
        container(
            "statistics",
            *state_leaves(f"netconf-start-time in-bad-hellos in-sessions dropped-sessions {counters}"),
        ),
        config=False,
    )
    library = container(
        "yang-library",
        list_of(
            "module-set",
            "name",
            leaf("name"),
            list_of("module", "name", *state_leaves("name revision namespace"), leaf_list("feature")),
            list_of("import-only-module", "name revision", *state_leaves("name revision namespace")),
        ),
        list_of("schema", "name", leaf("name"), leaf_list("module-set")),
        list_of("datastore", "name", *state_leaves("name schema")),
        leaf("content-id"),
        config=False,
    )
    legacy = container(
        "modules-state",
        leaf("module-set-id"),
        list_of(
            "module",
            "name revision",
            *state_leaves("name revision namespace conformance-type"),
            leaf_list("feature"),
        ),
        config=False,
    )
    streams = container(
        "netconf",
        container(
            "streams",
            list_of("stream", "name", *state_leaves("name description replaySupport replayLogCreationTime")),
        ),
        config=False,
    )
    bound: list[tuple[DataNode, str, str]] = [
        (monitoring, MONITORING, "ietf-netconf-monitoring"),
        (library, YANG_LIBRARY, "ietf-yang-library"),
        (legacy, YANG_LIBRARY, "ietf-yang-library"),
        (streams, NETMOD_NOTIFICATION, "nc-notifications"),
    ]
    return [*(node.bind(namespace, module) for node, namespace, module in bound), *push_nodes()]
