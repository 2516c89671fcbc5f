"""Which version of the program this is."""

from importlib.metadata import PackageNotFoundError, version


def program_version() -> str:
    """The version that was installed; "unknown" when run from a source tree that never was."""
    try:
        return version("keyweave")
    except PackageNotFoundError:
        return "unknown"
