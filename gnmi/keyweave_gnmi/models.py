"""What a server offers: modules, encodings, extensions; and which of it a request is about (gNMI clauses 2.6,
2.7 and 3.2)."""

from collections.abc import Iterable

from keyweave_core.netconf.ports import ModuleInfo
from keyweave_gnmi.faults import BadValue, Unsupported
from keyweave_gnmi.values import ENCODINGS
from keyweave_proto.gnmi import gnmi_ext_pb2 as ext
from keyweave_proto.gnmi import gnmi_pb2 as pb

GNMI_VERSION = "0.10.0"

_ORGANIZATIONS = (
    ("ietf-", "IETF"),
    ("iana-", "IANA"),
    ("etsi-", "ETSI"),
    ("keyweave-", "Keyweave"),
    ("openconfig-", "OpenConfig"),
)


def model_data(module: ModuleInfo) -> pb.ModelData:
    """One module as Capabilities tell of it; the version is its YANG revision."""
    owner = next((name for prefix, name in _ORGANIZATIONS if module.name.startswith(prefix)), "")
    return pb.ModelData(name=module.name, organization=owner, version=module.revision)


def capabilities(modules: Iterable[ModuleInfo]) -> pb.CapabilityResponse:
    """The answer to Capabilities: the implemented modules in the order of their names."""
    served = sorted((module for module in modules if module.implemented), key=lambda module: module.name)
    return pb.CapabilityResponse(
        supported_models=[model_data(module) for module in served],
        supported_encodings=ENCODINGS,
        gNMI_version=GNMI_VERSION,
    )


def chosen_modules(asked: Iterable[pb.ModelData], modules: Iterable[ModuleInfo]) -> frozenset[str] | None:
    """The names of the modules that a request limits itself to; None when it does not.

    Raises BadValue naming a module that is not served, or not in that version.
    """
    served = {module.name: module for module in modules if module.implemented}
    names: set[str] = set()
    for model in asked:
        module = served.get(model.name)
        if module is None:
            raise BadValue(f"use_models: no module {model.name[:60]!r} is served")
        if model.version not in ("", module.revision):
            raise BadValue(
                f"use_models: {model.name} is served in version {module.revision}, not {model.version[:60]!r}"
            )
        names.add(model.name)
    return frozenset(names) or None


def check_extensions(extensions: Iterable[ext.Extension]) -> None:
    """Raise Unsupported for an extension that changes what a request means and is not offered.

    Extensions registered elsewhere may be ignored (gNMI clause 2.7), the well-known ones may not: a commit
    that nobody will undo, or data that is not of the past, would be a wrong answer.
    """
    for extension in extensions:
        kind = extension.WhichOneof("ext")
        if kind is not None and kind != "registered_ext":
            raise Unsupported(f"extension {kind} is not offered")
