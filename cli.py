"""The command ``autometa`` from a checkout: ``python cli.py recommend ...``."""

from __future__ import annotations

import sys

from autometa.cli import main

if __name__ == "__main__":
    sys.exit(main())
