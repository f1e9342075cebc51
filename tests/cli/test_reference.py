"""The page about the command line says what the parser says."""

from __future__ import annotations

import importlib.util


def test_the_page_is_what_the_parser_says(root):
    """If this fails, run: python docs/make_cli.py."""
    spec = importlib.util.spec_from_file_location("make_cli", root / "docs" / "make_cli.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    assert script.PAGE.read_text(encoding="utf-8") == script.render()
