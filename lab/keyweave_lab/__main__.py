"""Entry of the `keyweave` command: Ctrl-C while it is still loading ends it as quietly as later."""

import sys


def main() -> None:
    """Load the command and run it; exit status 130 after Ctrl-C."""
    try:
        from keyweave_lab.cli import main as run

        run()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
