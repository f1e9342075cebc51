"""Write ``docs/reference/cli.md`` from the parser of the command line: ``python docs/make_cli.py``."""

from __future__ import annotations

import argparse
from pathlib import Path

from autometa.cli import COMMANDS, build_parser, show_examples

PAGE = Path(__file__).parent / "reference" / "cli.md"
HEAD = """# Command line

Made from the program's own help by `python docs/make_cli.py`; a test compares the two.

The result goes to standard output, everything else (notes, progress, errors) to standard error. `--json` prints one
object with `"schema"`, in which numbers are finite or `null`. An error is one line with a [code](codes.md) and its
cure; `--debug` adds the traceback. Colours are for terminals, unless `NO_COLOR` or `FORCE_COLOR` is set.

Every command takes `--quiet` (errors only), `--verbose` (what is being done, a line for each trial) and `--debug`.
Where standard error is a terminal, a search shows the time left, the best score so far and what is fitted now.

Completion of commands, options and files, in bash: `eval "$(autometa completion bash)"` in `~/.bashrc`.

| exit code | meaning |
| --- | --- |
| 0 | done |
| 1 | the data or the job failed |
| 2 | wrong usage |
| 130 | interrupted; what was finished is kept |
"""


def render() -> str:
    """Return the page."""
    parser = build_parser()
    (commands,) = (
        action.choices for action in parser._actions if isinstance(action, argparse._SubParsersAction)
    )
    return "\n".join([HEAD, *(_render_command(name, commands[name]) for name in COMMANDS)])


def _render_command(name: str, parser: argparse.ArgumentParser) -> str:
    grouped = {action.dest for group in parser._mutually_exclusive_groups for action in group._group_actions}
    rows = []
    for action in parser._actions:
        if action.dest not in ("help", "debug", "volume"):
            needed = " (required)" * (action.required and bool(action.option_strings))
            rows.append(
                f"| `{_name(action)}` | {action.help}{' (one of these)' if action.dest in grouped else needed} |"
            )
    table = ["| argument | meaning |", "| --- | --- |", *rows]
    examples = ["```text", show_examples(parser.examples).rstrip(), "```"]
    return "\n".join([f"## autometa {name}", "", f"{parser.description}", "", *examples, "", *table, ""])


def _name(action: argparse.Action) -> str:
    value = action.metavar if isinstance(action.metavar, str) else ",".join(map(str, action.choices or ()))
    more = " ..." if action.nargs == "+" else ""
    return " ".join([*action.option_strings[-1:], *([f"{value}{more}"] if action.nargs != 0 else [])])


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
