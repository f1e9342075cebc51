"""Count the long sentences of README and docs: ``python docs/count_sentences.py [--show]``.

A sentence ends with a full stop, and is long with more than 25 words. Code, formulas, tables, headings and quotations
are not counted. With ``--show`` the long ones are shown.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
MOST_WORDS = 25


def pages() -> list[Path]:
    """Return the pages that are written by hand."""
    docs = [p for p in sorted((ROOT / "docs").rglob("*.md")) if "gallery" not in p.parts]
    others = ["README.md", "CONTRIBUTING.md", "metadata/README.md"]
    return [*(ROOT / name for name in others), *docs]


def split_sentences(text: str) -> list[str]:
    """Return the sentences of the prose of a page."""
    prose = re.sub(r"^ *```.*?^ *```|\$\$.*?\$\$", "", text, flags=re.DOTALL | re.MULTILINE)
    prose = re.sub(r"^\s*(?:\||#|>|<!--|    ).*$", "", prose, flags=re.MULTILINE)
    prose = re.sub(r"\]\([^)]*\)", "]", prose)
    blocks = re.split(r"\n\s*\n|\n(?=\s*(?:[-*]|\d+\.) )", prose)
    found = [
        s for block in blocks for s in re.split(r"(?<=[.!?])\s+|(?<=[.!?]\*\*)\s+", " ".join(block.split()))
    ]
    return [sentence for sentence in found if len(sentence.split()) > 2]


def is_long(sentence: str) -> bool:
    """Whether a sentence has more than 25 words."""
    return len(sentence.split()) > MOST_WORDS


if __name__ == "__main__":
    n_all = n_long = 0
    for page in pages():
        sentences = split_sentences(page.read_text(encoding="utf-8"))
        long = [sentence for sentence in sentences if is_long(sentence)]
        n_all, n_long = n_all + len(sentences), n_long + len(long)
        if sentences:
            print(f"{len(long):4} of {len(sentences):4}  {page.relative_to(ROOT)}")
        if "--show" in sys.argv:
            print(*(f"        {sentence}" for sentence in long), sep="\n")
    print(f"{n_long:4} of {n_all:4}  {n_long / n_all:.1%} are longer than {MOST_WORDS} words")
