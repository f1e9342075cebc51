"""The site: ``pip install -e '.[docs]' && sphinx-build -W --keep-going docs build/docs``."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from pathlib import Path

from docutils.nodes import SkipNode
from latex2mathml.converter import convert

ROOT = Path(__file__).parents[1]
# The command-line pages and the gallery see the bundled base alone, whoever builds them.
os.environ["AUTOMETA_HOME"] = tempfile.mkdtemp(prefix="autometa-docs-")
sys.path.insert(0, str(ROOT))

project = "autometa"
author = "the autometa developers"
copyright = "the autometa developers"
version = release = re.search(r'__version__ = "(.*)"', (ROOT / "autometa/__init__.py").read_text("utf-8"))[1]

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_gallery.gen_gallery",
]
root_doc = "index"
exclude_patterns = ["_build", "**/*.py", "gallery/**/*.ipynb", "**/sg_execution_times.rst"]
myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 3
# Pages of the repository that stand outside docs/ are read where they are: see reference/data-card.md and changelog.md.
suppress_warnings = ["config.cache"]

html_theme = "furo"
html_title = f"autometa {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_math_renderer = "mathml"

autosummary_generate = False
autodoc_typehints = "none"
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False

sphinx_gallery_conf = {
    "examples_dirs": "../examples/gallery",
    "gallery_dirs": "gallery",
    "filename_pattern": r"/\d\d_",
    "within_subsection_order": "FileNameSortKey",
    "image_scrapers": (),
    "abort_on_example_error": True,
    "download_all_examples": False,
    "show_memory": False,
    "remove_config_comments": True,
    "write_computation_times": False,
    "reset_modules": (),
}


def show_inline(translator, node):
    """Write a formula as MathML: browsers draw it without a script, and a page loads nothing from elsewhere."""
    translator.body.append(convert(node.astext()))
    raise SkipNode


def show_block(translator, node):
    """Write a formula on a line of its own."""
    translator.body.append(f"<p>{convert(node.astext(), display='block')}</p>\n")
    raise SkipNode


def setup(app):
    """Tell Sphinx how formulas are written."""
    app.add_html_math_renderer("mathml", (show_inline, None), (show_block, None))
