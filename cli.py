"""The command ``autometa`` from a checkout: ``python cli.py recommend ...``."""

import sys

from autometa.__main__ import run

if __name__ == "__main__":
    sys.exit(run())
