"""`python -m keyweave_agents --config agent.toml`: one agent as a process.

Exit status: 0 stopped in order, 1 a fault, 2 the settings are wrong (one line on standard error says why).
"""

import argparse
import asyncio
import gc
import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from keyweave_agents.lean import leave_out_what_is_not_used
from keyweave_core.errors import KeyweaveError, SettingsError

if TYPE_CHECKING:
    from keyweave_agents.app import Ready


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command with `arguments` (the process's own by default); returns the exit status."""
    options = _parser().parse_args(arguments)
    leave_out_what_is_not_used()
    from keyweave_agents.app import check, run
    from keyweave_agents.settings import read_agent_settings
    from keyweave_core.runtime.log import configure_logging, get_logger

    try:
        settings = read_agent_settings(options.config)
        if options.check_config:
            check(settings)
            sys.stdout.write(f"{options.config}: correct\n")
            return 0
        configure_logging(level=settings.log.level, form=settings.log.form)
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(run(settings, ready=lambda facts: _ready(facts, options.ready_file)))
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except KeyweaveError as error:  # an address that is taken, say: no defect, so no traceback
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:  # before the signal handlers stood
        return 0
    except Exception:  # noqa: BLE001 - the last fence: a fault of ours, told whole
        get_logger("agent").exception("fault")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="keyweave_agents", description="Run the agent of one QKD node.")
    parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="settings (TOML)")
    parser.add_argument(
        "--ready-file", type=Path, metavar="FILE", help="where to write one JSON line once every port is open"
    )
    parser.add_argument("--check-config", action="store_true", help="read the settings, say what is wrong")
    return parser


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """The loop of uvloop where it is installed: a relay is many small messages."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def _ready(facts: "Ready", file: Path | None) -> None:
    # What was made so far stays: never look at it again when collecting, and keep its pages shared.
    gc.collect()
    gc.freeze()
    if file is None:
        return
    line = json.dumps({"ready": True, **asdict(facts)}) + "\n"
    temporary = file.with_name(f"{file.name}.{os.getpid()}")
    try:
        temporary.write_text(line, encoding="utf-8")
        temporary.replace(file)
    except OSError as error:
        raise SettingsError(f"{file}: cannot write the ready file: {error}") from error


if __name__ == "__main__":
    sys.exit(main())
