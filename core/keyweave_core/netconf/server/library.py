"""What a server says it can do: capabilities of its hello, and its YANG library (RFC 8525).

Rule of this file: hello, `yang-library`, `modules-state` and the schema list of RFC 6022 are told from one
set of modules. YANG 1 modules stand in the hello (RFC 6020 clause 5.6.4), YANG 1.1 modules only in the
library (RFC 7950 clause 5.6.4).
"""

import hashlib
from collections.abc import Sequence

from lxml import etree

from keyweave_core.netconf.ports import ModuleInfo
from keyweave_core.netconf.protocol.elements import element
from keyweave_core.netconf.protocol.messages import BASE_1_0, BASE_1_1, YANG_LIBRARY
from keyweave_core.netconf.server.features import ServerFeatures

_CAPABILITY = "urn:ietf:params:netconf:capability:"
_DATASTORES = "urn:ietf:params:xml:ns:yang:ietf-datastores"
_SET = "all"
_DEFAULTS = "basic-mode=explicit&also-supported=report-all,report-all-tagged,trim"


def content_id(schema_id: str, modules: Sequence[ModuleInfo]) -> str:
    """An id of the module set of the server, which is the schema's and the protocol's together."""
    told = [schema_id, *(f"{m.name}@{m.revision}:{m.implemented}:{','.join(m.features)}" for m in modules)]
    return hashlib.sha256("\n".join(told).encode()).hexdigest()[:16]


def capabilities(modules: Sequence[ModuleInfo], library_id: str, features: ServerFeatures) -> tuple[str, ...]:
    """The capability URIs of the server's hello."""
    protocol = (
        BASE_1_0,
        BASE_1_1,
        f"{_CAPABILITY}writable-running:1.0",
        f"{_CAPABILITY}candidate:1.0",
        f"{_CAPABILITY}confirmed-commit:1.1",
        f"{_CAPABILITY}rollback-on-error:1.0",
        f"{_CAPABILITY}validate:1.0",
        f"{_CAPABILITY}validate:1.1",
        *((f"{_CAPABILITY}startup:1.0",) if features.startup else ()),
        f"{_CAPABILITY}xpath:1.0",
        f"{_CAPABILITY}with-defaults:1.0?{_DEFAULTS}",
        f"{_CAPABILITY}with-operational-defaults:1.0?{_DEFAULTS}",
        f"{_CAPABILITY}notification:1.0",
        f"{_CAPABILITY}interleave:1.0",
        f"{_CAPABILITY}yang-library:1.0?revision=2019-01-04&module-set-id={library_id}",
        f"{_CAPABILITY}yang-library:1.1?revision=2019-01-04&content-id={library_id}",
    )
    return protocol + tuple(
        _module_uri(module) for module in modules if module.yang_version == "1" and module.implemented
    )


def _module_uri(module: ModuleInfo) -> str:
    # netopeer2-cli refuses a server whose base namespace does not carry its module this way.
    uri = f"{module.namespace}?module={module.name}"
    if module.revision:
        uri += f"&revision={module.revision}"
    if module.features:
        uri += f"&features={','.join(module.features)}"
    return uri


def yang_library(modules: Sequence[ModuleInfo], library_id: str, stores: Sequence[str]) -> etree._Element:
    """The `yang-library` container: one module set and one schema for all datastores.

    `stores` are the configuration datastores; intended and operational are there besides (RFC 8342).
    """
    root = element(f"{{{YANG_LIBRARY}}}yang-library", {None: YANG_LIBRARY})
    module_set = _sub(root, "module-set")
    _sub(module_set, "name", _SET)
    for module in (m for m in modules if m.implemented):
        entry = _sub(module_set, "module")
        _identify(entry, module)
        for feature in module.features:
            _sub(entry, "feature", feature)
    for module in (m for m in modules if not m.implemented):
        _identify(_sub(module_set, "import-only-module"), module)
    schema = _sub(root, "schema")
    _sub(schema, "name", _SET)
    _sub(schema, "module-set", _SET)
    for name in (*stores, "intended", "operational"):
        datastore = _sub(root, "datastore")
        leaf = etree.SubElement(datastore, f"{{{YANG_LIBRARY}}}name", nsmap={"ds": _DATASTORES})
        leaf.text = f"ds:{name}"
        _sub(datastore, "schema", _SET)
    _sub(root, "content-id", library_id)
    return root


def modules_state(modules: Sequence[ModuleInfo], library_id: str) -> etree._Element:
    """The older `modules-state` container (RFC 7895), which clients still read first."""
    root = element(f"{{{YANG_LIBRARY}}}modules-state", {None: YANG_LIBRARY})
    _sub(root, "module-set-id", library_id)
    for module in modules:
        entry = _sub(root, "module")
        _sub(entry, "name", module.name)
        _sub(entry, "revision", module.revision)
        _sub(entry, "namespace", module.namespace)
        for feature in module.features:
            _sub(entry, "feature", feature)
        _sub(entry, "conformance-type", "implement" if module.implemented else "import")
    return root


def _identify(entry: etree._Element, module: ModuleInfo) -> None:
    _sub(entry, "name", module.name)
    # Here an unknown revision is left out, but it is a key of the import-only list, where it is ''.
    if module.revision or not module.implemented:
        _sub(entry, "revision", module.revision)
    _sub(entry, "namespace", module.namespace)


def _sub(parent: etree._Element, name: str, text: str | None = None) -> etree._Element:
    element = etree.SubElement(parent, f"{{{YANG_LIBRARY}}}{name}")
    element.text = text
    return element
