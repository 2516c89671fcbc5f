"""`python -m keyweave_controller --config controller.toml`: one controller as a process.

Exit status: 0 stopped by a signal (or settings are good, with --check-config); 2 the settings are wrong;
1 it could not go on. Every failure is one line on standard error.
"""

import argparse
import asyncio
import dataclasses
import gc
import json
import os
import random
import sys
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from keyweave_controller.settings import read_controller_settings
from keyweave_core.errors import KeyweaveError, SettingsError
from keyweave_core.runtime.clock import SystemClock
from keyweave_core.runtime.log import configure_logging

if TYPE_CHECKING:
    from keyweave_controller.app import Listening


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; the exit status."""
    parser = argparse.ArgumentParser(prog="keyweave-controller", description="The SDN controller.")
    parser.add_argument("--config", type=Path, required=True, help="settings file (TOML)")
    parser.add_argument("--ready-file", type=Path, help="written, as one line of JSON, once all answers")
    parser.add_argument("--check-config", action="store_true", help="read the settings and end")
    options = parser.parse_args(arguments)
    try:
        settings = read_controller_settings(options.config)
        if options.check_config:
            sys.stdout.write(f"{options.config}: correct\n")
            return 0
        configure_logging(level=settings.log.level, form=settings.log.form)

        # Signals are blocked from killing us only once the loop runs; imports of the app are the slow part.
        from keyweave_controller.app import Chance, Listening, run_controller

        def listening(where: Listening) -> None:
            # What was restored stays: a collection need not look at it, least of all in a storm.
            gc.collect()
            gc.freeze()
            if options.ready_file is not None:
                _write_ready(options.ready_file, where)

        chance = Chance(uniform=random.SystemRandom().random, new_id=lambda: str(uuid.uuid4()))
        asyncio.run(run_controller(settings, clock=SystemClock(), chance=chance, listening=listening))
    except SettingsError as error:
        return _fail(2, error)
    except KeyweaveError as error:
        return _fail(1, error)
    except KeyboardInterrupt:
        return 0
    return 0


def _write_ready(path: Path, where: "Listening") -> None:
    """Write the ready file whole or not at all: whoever waits for it may read at once."""
    ports = {name: port for name, port in dataclasses.asdict(where).items() if port is not None}
    ready: dict[str, object] = {"ready": True, **ports}
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        draft.write_text(json.dumps(ready) + "\n", encoding="utf-8")
        draft.replace(path)
    except OSError as error:
        raise SettingsError(f"{path}: cannot write the ready file: {error.strerror or error}") from error


def _fail(status: int, error: KeyweaveError) -> int:
    sys.stderr.write(f"keyweave-controller: {' '.join(str(error).split())}\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
