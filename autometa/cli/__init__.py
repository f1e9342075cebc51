"""The command line: the only place that prints. One file per command, each imported when it is called."""

from __future__ import annotations

import argparse
import difflib
import io
import os
import re
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from typing import Any, Final, NoReturn

from autometa import __version__
from autometa.cli._terminal import complain, one_line, paint, set_volume
from autometa.errors import AutometaError, UsageError, with_code, without_passwords

DONE: Final = 0
FAILED: Final = 1
WRONG_USAGE: Final = 2
INTERRUPTED: Final = 130

COMMANDS: Final = {
    "recommend": "rank pipelines for a table, without fitting any",
    "tune": "search from the recommendations on, and fit the best",
    "predict": "apply a model that tune has saved to new rows",
    "describe": "show meta-features, data checks and the nearest known tasks",
    "collect": "run configurations on many tasks into a storage",
    "learn": "take finished searches into your own metadata base",
    "train": "make a metadata base and a meta-model, with a report",
    "info": "show what the metadata base holds, and check it",
    "completion": "print what your shell needs to complete commands and options",
}

EXAMPLES: Final = (
    ("which pipelines to try, in seconds", "autometa recommend data.csv --target price"),
    ("the best model within a minute", "autometa tune data.csv --target price --output model.skops"),
    ("predictions for new rows", "autometa predict model.skops new.csv > predictions.csv"),
)
_START: Final = "autometa --help lists all commands; autometa COMMAND --help shows options and examples."


class _Help(argparse.HelpFormatter):
    """Help with the names and their meanings side by side."""

    def __init__(self, prog: str, **options: Any) -> None:
        super().__init__(prog, **{"max_help_position": 30, **options})


class _Parser(argparse.ArgumentParser):
    """A parser whose help leads with examples, and whose errors are raised, in one line, with what was meant."""

    examples: Sequence[tuple[str, str]] = ()

    def format_help(self) -> str:
        return (
            f"{show_examples(self.examples)}\n{super().format_help()}"
            if self.examples
            else super().format_help()
        )

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        self._given = list(sys.argv[1:] if args is None else args)
        parsed, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return parsed, unknown

    def error(self, message: str) -> NoReturn:
        known = [*self._option_string_actions, *(COMMANDS if self._subparsers else ())]
        words = [word.split("=")[0] for word in self._given if word.startswith("--") or self._subparsers]
        unknown = [word for word in words if word not in known and word != "--"][:1]
        if wrong := re.search(r"invalid choice: '(.*?)' \(choose from (.*)\)", message):
            unknown, known = [wrong[1]], re.findall(r"[\w-]+", wrong[2])
        close = [match for word in unknown for match in difflib.get_close_matches(word, known, n=1)]
        hint = f"Did you mean {close[0]} for {unknown[0]}?" if close else f"See {self.prog} --help."
        raise UsageError("AM530", f"{message[:1].lower()}{message[1:].rstrip('.')}.", hint)


def show_examples(examples: Sequence[tuple[str, str]]) -> str:
    """Return commands under what each of them is for."""
    return "".join(f"{what}:\n  {command}\n" for what, command in examples)


def build_parser(commands: Sequence[str] = tuple(COMMANDS)) -> argparse.ArgumentParser:
    """Make the parser, with the arguments of the named commands; the others are only listed."""
    parser = _Parser(
        prog="autometa",
        description="Recommends machine-learning pipelines for a table, and searches from there.",
        epilog="Each command has its own --help, which begins with examples.",
        formatter_class=_Help,
        allow_abbrev=False,
    )
    parser.examples = EXAMPLES
    parser.add_argument("-V", "--version", action="version", version=f"autometa {__version__}")
    common = _Parser(add_help=False)
    volume = common.add_mutually_exclusive_group()
    volume.add_argument(
        "-q", "--quiet", dest="volume", action="store_const", const=-1, default=0, help="tell errors only"
    )
    volume.add_argument(
        "-v",
        "--verbose",
        dest="volume",
        action="store_const",
        const=1,
        help="tell what is being done as well",
    )
    common.add_argument("--debug", action="store_true", help="show the traceback of an error")
    subparsers = parser.add_subparsers(
        title="commands", dest="command", metavar="COMMAND", required=True, parser_class=_Parser
    )
    for name, text in COMMANDS.items():
        description = f"{text[0].upper()}{text[1:]}."
        child = subparsers.add_parser(
            name,
            help=text,
            description=description,
            parents=[common],
            formatter_class=_Help,
            allow_abbrev=False,
        )
        if name in commands:
            module = import_module(f"autometa.cli.{name}")
            child.examples = module.EXAMPLES
            module.add_arguments(child)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments without the program's name; those of the process by default.

    Returns
    -------
    int
        0 done, 1 the data or the job failed, 2 wrong usage, 130 interrupted.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    set_volume(0)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # What its encoding lacks is shown as escapes.
            stream.reconfigure(errors="backslashreplace")
    try:
        return _run(arguments)
    except BrokenPipeError:
        # Whoever read the output has seen enough, as in `autometa ... | head`.
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 (the process ends with it)
        return DONE
    except KeyboardInterrupt:
        complain("interrupted; what was finished is kept")
        return INTERRUPTED
    except Exception as error:
        if "--debug" in arguments:
            complain(without_passwords(traceback.format_exc()).rstrip())
        _report(error)
        return WRONG_USAGE if isinstance(error, UsageError) else FAILED


def _run(arguments: list[str]) -> int:
    if not arguments:
        complain(
            f"Start with a table of your own in place of data.csv:\n\n{show_examples(EXAMPLES)}\n{_START}"
        )
        return WRONG_USAGE
    named = [word for word in arguments if word in COMMANDS]
    try:
        args = build_parser(named[:1]).parse_args(arguments)
    except SystemExit as end:  # --help and --version
        return int(end.code or DONE)
    set_volume(args.volume)
    code: int = import_module(f"autometa.cli.{args.command}").run(args)
    sys.stdout.flush()
    return code


def _report(error: Exception) -> None:
    if isinstance(error, AutometaError):
        text = with_code(error)
    elif isinstance(error, MemoryError):
        text = "out of memory. Take a sample of the rows."
    else:
        text = f"unexpected {type(error).__name__}: {error} (run it again with --debug for the traceback)"
    complain(f"{paint('error:', 'red', sys.stderr)} {one_line(without_passwords(text))}")
