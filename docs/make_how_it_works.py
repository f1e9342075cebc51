"""Draw the two loops: ``python docs/make_how_it_works.py`` writes ``docs/figures/how-it-works.svg``."""

from __future__ import annotations

from pathlib import Path

PATH = Path(__file__).parent / "figures" / "how-it-works.svg"
BLUE, ORANGE, INK = "#0b65c2", "#b4540a", "#17202a"

# x, y, width, first line, second line, colour
BOXES = (
    (20, 60, 150, "many tables", "meta-features x", BLUE),
    (220, 60, 150, "many runs", "regret of each", BLUE),
    (420, 60, 170, "meta-model", "weights w(x)", BLUE),
    (20, 230, 150, "a new table", "meta-features x", ORANGE),
    (220, 230, 150, "recommend", "nothing is fitted", ORANGE),
    (420, 230, 170, "tune", "adapts to each trial", ORANGE),
    (640, 230, 140, "model", "an ensemble", ORANGE),
)
ARROWS = (
    ("M170,88 H212", BLUE),
    ("M370,88 H412", BLUE),
    ("M170,258 H212", ORANGE),
    ("M370,258 H412", ORANGE),
    ("M590,258 H632", ORANGE),
    ("M470,116 C470,170 330,160 300,222", INK),
    ("M530,116 V222", INK),
    ("M505,286 V302 Q505,326 481,326 H31 Q7,326 7,302 V98 Q7,88 17,88", INK),
)
TEXTS = (
    (20, 36, "Outer loop: across tasks, once", BLUE, 700),
    (20, 206, "Inner loop: on one task", ORANGE, 700),
    (250, 158, "initialisation", INK, 400),
    (540, 176, "exploration", INK, 400),
    (200, 346, "learn: a finished search becomes experience", INK, 400),
)


def draw() -> str:
    """Return the drawing."""
    heads = "".join(
        f'<marker id="{name}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
        f'<path d="M0,0 8,4 0,8z" fill="{colour}"/></marker>'
        for name, colour in (("b", BLUE), ("o", ORANGE), ("i", INK))
    )
    mark = {BLUE: "b", ORANGE: "o", INK: "i"}
    boxes = "".join(
        f'<rect x="{x}" y="{y}" width="{w}" height="56" rx="8" fill="#fff" stroke="{colour}" stroke-width="2"/>'
        f'<text x="{x + w / 2:g}" y="{y + 24}" text-anchor="middle" font-weight="700" fill="{INK}">{first}</text>'
        f'<text x="{x + w / 2:g}" y="{y + 43}" text-anchor="middle" fill="#52606d">{second}</text>\n'
        for x, y, w, first, second, colour in BOXES
    )
    arrows = "".join(
        f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="2" marker-end="url(#{mark[colour]})"/>\n'
        for path, colour in ARROWS
    )
    texts = "".join(
        f'<text x="{x}" y="{y}" fill="{colour}" font-weight="{weight}">{text}</text>\n'
        for x, y, text, colour, weight in TEXTS
    )
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 800 360" font-family="Arial, sans-serif" '
        'font-size="14">\n'
        f'<rect width="800" height="360" fill="#fff"/>\n<defs>{heads}</defs>\n{boxes}{arrows}{texts}</svg>\n'
    )


if __name__ == "__main__":
    PATH.write_text(draw(), encoding="utf-8")
