"""``autometa info``: what a metadata base holds, and whether it is sound."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from autometa.cli._inputs import add_json_argument
from autometa.cli._terminal import show_json, show_sections
from autometa.report import Section


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("--metabase", metavar="DIR", help="the bundled one by default")
    parser.add_argument(
        "--verify", action="store_true", help="check files and content; exit code 1 if something is wrong"
    )
    add_json_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    from autometa import __version__
    from autometa.metabase import MetaBase, metabase_directory, read_manifest, verify_files

    directory = metabase_directory(args.metabase)
    manifest = read_manifest(directory)
    problems: list[str] | None = None
    if args.verify:
        problems = [*verify_files(directory), *MetaBase.load(args.metabase).verify()]
    if args.json:
        show_json(
            {
                "schema": "autometa/info/1",
                "version": __version__,
                "metabase": str(directory),
                **{key: value for key, value in manifest.items() if key != "schema"},
                "metabase_schema": manifest["schema"],
                "problems": problems,
            }
        )
    else:
        show_sections(_sections(str(directory), __version__, manifest, problems))
    return 1 if problems else 0


def _sections(
    directory: str, version: str, manifest: Mapping[str, Any], problems: list[str] | None
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
    if problems is not None:
        sections.append(Section("Check", problems or ["files and content are sound"]))
    return sections


def _counts(value: Any) -> tuple[str, str]:
    if isinstance(value, dict):
        parts = ", ".join(f"{name} {count:,}" for name, count in value.items() if name != "total")
        return f"{value.get('total', sum(value.values())):,}", parts
    if isinstance(value, list):
        return str(len(value)), ", ".join(map(str, value))
    return f"{value:,}" if isinstance(value, int) else str(value), ""
