"""Run the commands of the page Start and put what they print under them: ``python docs/make_start.py``.

Each ``text`` block that follows a ``sh`` block of ``autometa`` commands is made anew. The commands run in a folder of
their own with the bundled metadata base alone; what is longer than thirty lines is cut.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "start.md"
MOST_LINES = 30
# What stands on a line of the site.
COLUMNS = 82
BLOCK = re.compile(r"```sh\n(autometa [^`]*)\n```\n\n```text\n.*?\n```", re.DOTALL)


def shorten(text: str) -> str:
    """Return the first lines of a text."""
    lines = text.rstrip().splitlines()
    return "\n".join(lines if len(lines) <= MOST_LINES else [*lines[: MOST_LINES - 1], "..."])


def render(page: str) -> str:
    """Return the page with the output of its commands, as they are now."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(ROOT / "examples", Path(folder) / "examples")
        environment = {
            **os.environ,
            "COLUMNS": str(COLUMNS),
            "AUTOMETA_HOME": f"{folder}/home",
            "NO_COLOR": "1",
        }

        def run(match: re.Match[str]) -> str:
            words = match[1].replace("\\\n", " ").split()
            command = [sys.executable, "-m", "autometa", *words[1:]]
            done = subprocess.run(
                command, cwd=folder, env=environment, capture_output=True, text=True, check=True
            )
            return f"```sh\n{match[1]}\n```\n\n```text\n{shorten(done.stdout)}\n```"

        return BLOCK.sub(run, page)


if __name__ == "__main__":
    PAGE.write_text(render(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
