"""Where the YANG texts lie: ours inside this package, those of the IETF in the installed pyang.

Rule of this file: texts of the IETF are found, never copied. The answer is looked up when asked for, so an
import does no work.
"""

import re
import sys
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from keyweave_core.errors import SettingsError

_OURS = ("etsi", "keyweave", "ietf-missing")
_MARK = "ietf-inet-types.yang"
_NAMESPACE = re.compile(r'^\s*namespace\s+"([^"]+)"', re.MULTILINE)
_REVISION = re.compile(r'^\s*revision\s+"?(\d{4}-\d\d-\d\d)"?', re.MULTILINE)
_VERSION = re.compile(r'^\s*yang-version\s+"?(1(?:\.1)?)"?\s*;', re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One YANG text with what its head says. `revision` is the newest, '' when there is none."""

    name: str
    revision: str
    namespace: str
    yang_version: str
    path: Path
    text: str


def our_folders() -> tuple[Path, ...]:
    """The folders of this package that hold YANG modules."""
    root = Path(str(resources.files("keyweave_yang"))) / "modules"
    return tuple(root / name for name in _OURS)


def ietf_folder() -> Path:
    """The folder in which the installed pyang keeps the modules of the IETF.

    The data folders of this interpreter first; then, for a user or a target install, the list of files that
    pyang's distribution installed (to read it costs a megabyte). Raises SettingsError naming the places
    looked at when there is none.
    """
    roots = (sys.prefix, sys.base_prefix)
    seen = [Path(root) / "share" / "yang" / "modules" / "ietf" for root in roots]
    for folder in seen:
        if (folder / _MARK).is_file():
            return folder
    import sysconfig
    from importlib import metadata

    seen.append(Path(sysconfig.get_path("data")) / "share" / "yang" / "modules" / "ietf")
    if (seen[-1] / _MARK).is_file():
        return seen[-1]
    try:
        installed = metadata.files("pyang") or []
    except metadata.PackageNotFoundError:
        installed = []
    for file in installed:
        if file.name == _MARK:
            folder = Path(str(file.locate())).resolve().parent
            seen.append(folder)
            if (folder / _MARK).is_file():
                return folder
    places = ", ".join(dict.fromkeys(str(folder) for folder in seen))
    raise SettingsError(f"the YANG modules of the IETF that pyang installs are missing; looked in {places}")


def search_path() -> tuple[Path, ...]:
    """All folders with YANG modules, ours first."""
    return (*our_folders(), ietf_folder())


def find_source(name: str, folders: tuple[Path, ...]) -> Source:
    """Read the newest text of the module `name` in the first of `folders` that has one.

    Raises SettingsError naming module and folders when none has.
    """
    for folder in folders:
        found = sorted(folder.glob(f"{name}@*.yang")) or sorted(folder.glob(f"{name}.yang"))
        if found:
            return _read(name, found[-1])
    raise SettingsError(f"YANG module {name} is missing; looked in {', '.join(map(str, folders))}")


def _read(name: str, path: Path) -> Source:
    text = path.read_text(encoding="utf-8")
    namespace = _NAMESPACE.search(text)
    if namespace is None:
        raise SettingsError(f"{path}: no namespace statement")
    version = _VERSION.search(text)
    return Source(
        name=name,
        revision=max(_REVISION.findall(text), default=""),
        namespace=namespace.group(1),
        yang_version=version.group(1) if version else "1",
        path=path,
        text=text,
    )
