"""``autometa info``: what a metadata base holds, and whether it is sound."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from autometa.cli._inputs import add_json_argument
from autometa.cli._terminal import is_quiet, say, show_json, show_sections
from autometa.progress import Bar
from autometa.report import Section
from autometa.wording import counted

if TYPE_CHECKING:
    from autometa.training import Verification

_SECONDS_BETWEEN_LINES: Final = (
    15.0  # of a log, where no line can be drawn over: a minute of checks makes four
)
EXAMPLES: Final = (
    ("what autometa has seen", "autometa info"),
    ("whether files are whole and every configuration fits", "autometa info --verify"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("--metabase", metavar="DIR", help="the bundled one by default")
    parser.add_argument(
        "--verify",
        action="store_true",
        help="check files, content, and that the configurations fit; exit code 1 if something is wrong",
    )
    add_json_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    from autometa import __version__
    from autometa.metabase import metabase_directory, read_manifest

    directory = metabase_directory(args.metabase)
    manifest = read_manifest(directory)
    own = _own_base() if args.metabase is None else None
    verification = _verify(args.metabase) if args.verify else None
    if args.json:
        show_json(
            {
                "schema": "autometa/info/1",
                "version": __version__,
                "metabase": str(directory),
                **{key: value for key, value in manifest.items() if key != "schema"},
                "metabase_schema": manifest["schema"],
                "own": own,
                "problems": verification and verification.problems,
                "fitted": verification and verification.n_fitted,
            }
        )
    else:
        sections = _sections(str(directory), __version__, manifest, verification)
        if own is not None:
            rows = [(name, *_counts(value)) for name, value in own["summary"].items()]
            lines = [f"in {own['path']}", *own["problems"]]
            sections.append(
                Section("Your own metadata base", lines, ("what", "total", "of which"), rows, "<><")
            )
        show_sections(sections)
    return 1 if verification and verification.problems else 0


def _own_base() -> dict[str, Any] | None:
    """Return path, content and problems of what was learned on this machine; None where nothing was."""
    from autometa.errors import StorageError, with_code
    from autometa.experience import newest, read
    from autometa.metabase import read_manifest

    folder = newest()
    if folder is None:
        return None
    try:
        read(folder)
        return {"path": str(folder), "summary": read_manifest(folder)["summary"], "problems": []}
    except StorageError as error:
        return {"path": str(folder), "summary": {}, "problems": [with_code(error)]}


def _verify(path: str | None) -> Verification:
    from autometa.training import verify

    with Bar(False if is_quiet() else None, every=_SECONDS_BETWEEN_LINES, tell=say) as bar:
        return verify(
            path,
            on_progress=lambda done, total: bar.update(
                done / max(total, 1), f"{done} of {total}, building and fitting configurations"
            ),
        )


def _sections(
    directory: str, version: str, manifest: Mapping[str, Any], verification: Verification | None
) -> list[Section]:
    libraries = ", ".join(f"{name} {number}" for name, number in manifest.get("libraries", {}).items())
    about = [
        f"autometa {version}; metadata base in {directory}",
        f"schema {manifest['schema']}, search space {manifest.get('space_version', '?')}, "
        f"meta-features {manifest.get('metafeatures_version', '?')}; made with {libraries or 'unknown libraries'}",
        f"{len(manifest.get('sha256', {}))} data files",
    ]
    rows = [(name, *_counts(value)) for name, value in manifest.get("summary", {}).items()]
    sections = [
        Section("Metadata base", about),
        Section("Content", (), ("what", "total", "of which"), rows, "<><"),
    ]
    if verification is not None:
        sections.append(Section("Check", _findings(verification)))
    return sections


def _findings(verification: Verification) -> list[str]:
    fitted = ", ".join(
        f"{n_fitted:,} of {total:,} {name} ones"
        for name, (n_fitted, total) in verification.n_fitted.items()
        if total
    )
    what = (
        f"{counted(verification.n_built, 'configuration')} built; fitted on small tables: {fitted or 'none'}"
    )
    if not verification.problems:
        return ["files and content are sound, and every configuration fits", what]
    return [*verification.problems, f"{counted(len(verification.problems), 'problem')}; {what}"]


def _counts(value: Any) -> tuple[str, str]:
    if isinstance(value, dict):
        parts = ", ".join(f"{name} {count:,}" for name, count in value.items() if name != "total")
        return f"{value.get('total', sum(value.values())):,}", parts
    if isinstance(value, list):
        return str(len(value)), ", ".join(map(str, value))
    return f"{value:,}" if isinstance(value, int) else str(value), ""
