"""Schemas of modules that a test writes itself."""

from pathlib import Path

from keyweave_yang.catalogue import Wanted
from keyweave_yang.schema import ModelSchema, build_schema
from keyweave_yang.sources import ietf_folder


def schema_of(folder: Path, **texts: str) -> ModelSchema:
    """The schema of the modules `texts` (by name, '_' for '-'), which may import what NACM and types need."""
    wanted = []
    for name, text in texts.items():
        module = name.replace("_", "-")
        (folder / f"{module}.yang").write_text(text)
        wanted.append(Wanted(name=module))
    wanted.append(Wanted(name="ietf-netconf-acm", implemented=False))
    wanted += [Wanted(name=f"ietf-{kind}-types", implemented=False) for kind in ("inet", "yang")]
    return build_schema("made", tuple(wanted), (folder, ietf_folder()))
