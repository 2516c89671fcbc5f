"""Sections A and C of the list: modules in hello, in the library, and as texts (RFC 6022, 7950, 8525)."""

import re
from dataclasses import dataclass

from keyweave_lab.conform.bench import Bench, Module
from keyweave_lab.conform.check import NotApplicable, check, require
from keyweave_lab.conform.checks_monitoring import state
from keyweave_lab.conform.talk import Talk
from keyweave_lab.conform.xml import BASE, LIBRARY, MONITORING, local, text_of

_TEXTS = ("module:ietf-netconf-monitoring",)
_FEATURES = {
    "writable-running": "writable-running",
    "candidate": "candidate",
    "confirmed-commit": "confirmed-commit",
    "rollback-on-error": "rollback-on-error",
    "validate": "validate",
    "startup": "startup",
    "url": "url",
    "xpath": "xpath",
}


@dataclass(frozen=True, slots=True)
class Schema:
    """One entry of netconf-state/schemas."""

    name: str
    version: str
    format: str


@check("A12", "RFC 6020 5.6.4", "the hello names module ietf-netconf with its namespace and revision")
async def base_module(bench: Bench) -> str:
    if not bench.modules:
        raise NotApplicable("the server announces no YANG module at all")
    module = bench.in_hello.get("ietf-netconf")
    require(module is not None and module.namespace == BASE and module.revision, f"{module or 'not there'}")
    return f"{module.namespace}?module=ietf-netconf&revision={module.revision}" if module else ""


@check("A12.features", "RFC 6241 C", "the features of ietf-netconf in the hello agree with the capabilities")
async def base_features(bench: Bench) -> str:
    module = bench.in_hello.get("ietf-netconf")
    if module is None:
        raise NotApplicable("the hello does not name ietf-netconf")
    announced = {feature for feature, name in _FEATURES.items() if bench.capability(name)}
    listed = set(module.features) & set(_FEATURES)
    require(listed == announced, f"features {sorted(listed)}, capabilities {sorted(announced)}")
    return ", ".join(sorted(listed))


@check(
    "A13.library", "RFC 7950 5.6.4", "a server with a YANG library announces it with the id the library tells"
)
async def library_capability(bench: Bench) -> str:
    if "ietf-yang-library" not in bench.modules:
        raise NotApplicable("module ietf-yang-library is not announced")
    uri = bench.capability("yang-library")
    require(uri, "no capability yang-library")
    told = [text for text in await _ids(await bench.steady()) if text]
    require(told and any(f"={one}" in str(uri) for one in told), f"{uri}; the library tells {told}")
    return str(uri)


@check("A13.hello", "RFC 8525 4", "every module of the hello is in the library, same revision and namespace",
       needs=("module:ietf-yang-library",))  # fmt: skip
async def hello_in_library(bench: Bench) -> str:
    library = await _library(await bench.steady())
    for module in bench.in_hello.values():
        same = [m for m in library if (m.name, m.namespace) == (module.name, module.namespace)]
        require(same, f"{module.name} is not in the library")
        revisions = [m.revision for m in same]
        require(module.revision in revisions, f"{module.name}: hello {module.revision}, library {revisions}")
    return f"{len(bench.in_hello)} of the hello among {len(library)}"


@check("A13.yang-1", "RFC 7950 5.6.4, RFC 6020 5.6.4", "every implemented YANG 1 module is in the hello",
       needs=("module:ietf-yang-library", *_TEXTS))  # fmt: skip
async def old_modules(bench: Bench) -> str:
    talk = await bench.steady()
    missing = []
    for module in await _library(talk):
        if module.implemented and module.name not in bench.in_hello:
            text = await _text(bench, talk, module.name, module.revision)
            if text and not re.search(r"^\s*yang-version\s+[\"']?1\.1", text, re.MULTILINE):
                missing.append(module.name)
    require(not missing, f"not there: {', '.join(sorted(missing))}")
    return f"{len(bench.in_hello)} modules"


@check("C10.all", "RFC 6022 3.1", "get-schema returns every schema that netconf-state lists", needs=_TEXTS)
async def every_schema(bench: Bench) -> str:
    talk = await bench.steady()
    listed = [schema for schema in await _schemas(talk) if schema.format.endswith("yang")]
    require(listed, "no schema listed")
    for schema in listed:
        text = await _text(bench, talk, schema.name, schema.version)
        named = re.search(rf"^\s*(sub)?module\s+[\"']?{re.escape(schema.name)}[\"'\s{{]", text, re.MULTILINE)
        require(named, f"{schema.name}@{schema.version}: {text[:60]!r}")
        dated = not schema.version or f"{schema.version}" in text
        require(dated, f"{schema.name}: revision {schema.version} is not in its text")
    return f"{len(listed)} schemas"


@check("C10.imports", "RFC 6022 3.1", "what a schema imports or includes is listed, too", needs=_TEXTS)
async def imports(bench: Bench) -> str:
    talk = await bench.steady()
    listed = await _schemas(talk)
    names = {schema.name for schema in listed}
    wanted: dict[str, str] = {}
    for schema in listed:
        text = await _text(bench, talk, schema.name, schema.version)
        for found in re.finditer(
            r"^\s*(?:import|include)\s+[\"']?([\w.-]+)[\"']?\s*[{;]", text, re.MULTILINE
        ):
            wanted[found[1]] = schema.name
    missing = sorted(set(wanted) - names)
    require(not missing, f"{missing[:5]} (wanted by {[wanted[m] for m in missing[:5]]})")
    return f"{len(wanted)} imported"


@check(
    "C10.unknown", "RFC 6022 3.1", "get-schema of an unknown schema or version: invalid-value", needs=_TEXTS
)
async def unknown_schema(bench: Bench) -> str:
    one = (await bench.ask(_get("keyweave-conform-none"))).wants_error("invalid-value")
    (await bench.ask(_get("ietf-netconf-monitoring", "1999-01-01"))).wants_error(
        "invalid-value", what="version"
    )
    return one


@check(
    "C10.not-unique",
    "RFC 6022 3.1",
    "several revisions and none named: operation-failed, data-not-unique",
    needs=_TEXTS,
)
async def not_unique(bench: Bench) -> str:
    talk = await bench.steady()
    names = [schema.name for schema in await _schemas(talk) if schema.format.endswith("yang")]
    twice = sorted({name for name in names if names.count(name) > 1})
    if not twice:
        raise NotApplicable("no schema is listed in two revisions")
    answer = await talk.ask(_get(twice[0]))
    told = answer.wants_error("operation-failed")
    require(answer.faults[0].field("error-app-tag") == "data-not-unique", f"{told}, other app-tag")
    return f"{twice[0]}: {told}"


@check("C12.same", "RFC 8525 4", "yang-library and modules-state tell the same modules",
       needs=("module:ietf-yang-library",))  # fmt: skip
async def same_modules(bench: Bench) -> str:
    talk = await bench.steady()
    new = {(m.name, m.revision, m.implemented) for m in await _library(talk, "yang-library")}
    old = {(m.name, m.revision, m.implemented) for m in await _library(talk, "modules-state")}
    if not new or not old:
        raise NotApplicable(f"only {'modules-state' if old else 'yang-library'} is there")
    require(new == old, f"only in one: {sorted(name for name, _, _ in new ^ old)[:5]}")
    return f"{len(new)} modules in both"


@check("C12.stable", "RFC 8525 3", "the id of the module set stays the same as long as the set does",
       needs=("module:ietf-yang-library",))  # fmt: skip
async def stable_id(bench: Bench) -> str:
    first = await _ids(await bench.steady())
    async with bench.session() as other:
        second = await _ids(other)
    require(first == second and any(first), f"{first} then {second}")
    return ", ".join(one for one in first if one)


async def _ids(talk: Talk) -> list[str]:
    found = []
    for top, leaf in (("yang-library", "content-id"), ("modules-state", "module-set-id")):
        wanted = f'<{top} xmlns="{LIBRARY}"><{leaf}/></{top}>'
        answer = await talk.ask(f'<get><filter type="subtree">{wanted}</filter></get>')
        found.append("" if answer.faults else text_of(answer.data.find(f".//{{{LIBRARY}}}{leaf}")))
    return found


async def _library(talk: Talk, *tops: str) -> list[Module]:
    found = []
    for top in tops or ("yang-library", "modules-state"):
        answer = await talk.ask(f'<get><filter type="subtree"><{top} xmlns="{LIBRARY}"/></filter></get>')
        if answer.faults:
            continue
        for entry in answer.data.iter(f"{{{LIBRARY}}}module", f"{{{LIBRARY}}}import-only-module"):
            said = {local(child): text_of(child) for child in entry.iterchildren("*")}
            if "namespace" not in said:
                continue  # a reference to a module, in a deviation for one
            imported = local(entry) != "module" or said.get("conformance-type") == "import"
            found.append(
                Module(
                    name=said.get("name", ""),
                    revision=said.get("revision", ""),
                    namespace=said["namespace"],
                    implemented=not imported,
                )
            )
        if found:
            return found
    return found


async def _schemas(talk: Talk) -> list[Schema]:
    found = []
    for entry in (await state(talk, "schemas")).iterchildren("*"):
        said = {local(child): text_of(child) for child in entry.iterchildren("*")}
        found.append(Schema(said.get("identifier", ""), said.get("version", ""), said.get("format", "")))
    return found


def _get(name: str, version: str = "") -> str:
    told = f"<version>{version}</version>" if version else ""
    return f'<get-schema xmlns="{MONITORING}"><identifier>{name}</identifier>{told}</get-schema>'


async def _text(bench: Bench, talk: Talk, name: str, version: str) -> str:
    """The text of a schema, asked for once in a run."""
    if (name, version) not in bench.texts:
        answer = await talk.ask(_get(name, version))
        require(not answer.faults, f"{name}@{version}: {answer.told}")
        bench.texts[name, version] = text_of(answer.data)
    return bench.texts[name, version]
