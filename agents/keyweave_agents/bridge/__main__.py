"""`keyweave-bridge --config bridge.toml`: one bridge as a process.

Exit status: 0 stopped in order, 1 a fault, 2 the settings are wrong (one line on standard error says why).
"""

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from keyweave_agents.bridge.app import BridgeReady, run
from keyweave_agents.bridge.settings import read_bridge_settings
from keyweave_core.errors import KeyweaveError, SettingsError
from keyweave_core.runtime.log import configure_logging, get_logger


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command with `arguments` (the process's own by default); returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="keyweave-bridge", description="Keep secrets of a KMS rotated from QKD keys."
    )
    parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="settings (TOML)")
    parser.add_argument("--ready-file", type=Path, metavar="FILE", help="where to write one JSON line")
    parser.add_argument("--check-config", action="store_true", help="read the settings, say what is wrong")
    options = parser.parse_args(arguments)
    try:
        settings = read_bridge_settings(options.config)
        if options.check_config:
            sys.stdout.write(f"{options.config}: correct\n")
            return 0
        configure_logging(level=settings.log.level, form=settings.log.form)
        asyncio.run(run(settings, ready=lambda facts: _ready(facts, options.ready_file)))
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except KeyweaveError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:  # before the signal handlers stood
        return 0
    except Exception:  # noqa: BLE001 - the last fence: a fault of ours, told whole
        get_logger("bridge").exception("fault")
        return 1
    return 0


def _ready(facts: BridgeReady, file: Path | None) -> None:
    if file is None:
        return
    beside = file.with_name(f"{file.name}.{os.getpid()}")
    try:
        beside.write_text(json.dumps({"ready": True, **asdict(facts)}) + "\n", encoding="utf-8")
        beside.replace(file)
    except OSError as error:
        raise SettingsError(f"{file}: cannot write the ready file: {error}") from error


if __name__ == "__main__":
    sys.exit(main())
