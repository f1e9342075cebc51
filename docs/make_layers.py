"""Draw the layers of the contract in pyproject.toml: ``python docs/make_layers.py`` for ``docs/figures/layers.svg``."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
PATH = ROOT / "docs" / "figures" / "layers.svg"
WIDTH, LEFT, ROW, BOX, GAP = 800, 40, 42, 30, 8
BLUE, INK, MUTED = "#0b65c2", "#17202a", "#52606d"


def layers() -> list[list[str]]:
    """Return the modules of each layer, the highest first, as import-linter is told."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contract = next(
        c for c in project["tool"]["importlinter"]["contracts"] if c.get("containers") == ["autometa"]
    )
    return [re.findall(r"\w+", layer) for layer in contract["layers"]]


def draw() -> str:
    """Return the drawing: a row for each layer, neighbours side by side, one arrow for what may import what."""
    rows = layers()
    height = ROW * len(rows) + 20
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="Arial, sans-serif" '
        f'font-size="13">\n<rect width="{WIDTH}" height="{height}" fill="#fff"/>\n'
        '<defs><marker id="a" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
        f'<path d="M0,0 8,4 0,8z" fill="{MUTED}"/></marker></defs>\n'
        f'<path d="M20,14 V{height - 14}" stroke="{MUTED}" stroke-width="2" marker-end="url(#a)"/>\n'
    ]
    for number, names in enumerate(rows):
        width = (WIDTH - LEFT - 10 - GAP * (len(names) - 1)) / len(names)
        for place, name in enumerate(names):
            x, y = LEFT + place * (width + GAP), 10 + number * ROW
            parts.append(
                f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="{BOX}" rx="6" fill="#fff" stroke="{BLUE}"/>'
                f'<text x="{x + width / 2:.1f}" y="{y + 20}" text-anchor="middle" fill="{INK}">{name}</text>\n'
            )
    return "".join([*parts, "</svg>\n"])


if __name__ == "__main__":
    PATH.write_text(draw(), encoding="utf-8")
