"""Documentation that cannot drift: links lead somewhere, tables equal the code, commands are those of the contract."""

from __future__ import annotations

import re
import runpy
from urllib.parse import urlsplit

import pytest

import autometa

PAGES = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "docs", "metadata"]


@pytest.fixture(scope="module")
def pages(root):
    paths = [
        path
        for name in PAGES
        for path in ([root / name] if name.endswith(".md") else (root / name).rglob("*.md"))
    ]
    return {path: path.read_text(encoding="utf-8") for path in paths}


LINK = re.compile(r"\]\(([^)\s]+)\)")


def test_every_link_leads_to_a_file_and_a_heading(pages):
    for path, text in pages.items():
        for link in LINK.findall(without_code(text)):
            target, _, anchor = link.partition("#")
            # The gallery is made when the site is built.
            if link.startswith(("https://", "http://")) or target.endswith("gallery/index.rst"):
                continue
            to = (path.parent / target).resolve() if target else path
            assert to.exists(), f"{path.name}: {link}"
            assert not anchor or anchor in headings(to.read_text(encoding="utf-8")), f"{path.name}: {link}"


def test_links_to_elsewhere_are_addresses(root, pages):
    """Their form alone: tests have no network."""
    texts = [
        *pages.values(),
        (root / "CITATION.cff").read_text("utf-8"),
        (root / "pyproject.toml").read_text("utf-8"),
    ]
    links = {link for text in texts for link in re.findall(r"https?:[^\s)>`\"'|]*", text)}
    assert len(links) > 5
    for link in links:
        address = urlsplit(link.rstrip(".,;:"))
        assert address.scheme == "https", link
        assert re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)+", address.netloc), link
        assert re.fullmatch(r"[\w./~%+,-]*", address.path), link


def without_code(text: str) -> str:
    """Return a page without blocks of code."""
    return re.sub(r"^ *```.*?^ *```", "", text, flags=re.DOTALL | re.MULTILINE)


def headings(text: str) -> set[str]:
    """Return the anchors of the headings of a page, as they are made on the site and on GitHub."""
    found = re.findall(r"^#+ (.+)$", without_code(text), flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in found}


def test_every_page_can_be_reached_from_the_index(root, pages):
    index = root / "docs" / "index.md"
    entries = re.findall(r"^([a-z-]+(?:/[a-z-]+)*)$", pages[index], flags=re.MULTILINE)
    assert {path for path in pages if path.is_relative_to(index.parent) and path != index} == {
        (index.parent / f"{entry}.md").resolve() for entry in entries if entry != "gallery/index"
    }


def test_the_reference_has_every_public_name_once(root, pages):
    page = pages[root / "docs" / "reference" / "api.md"]
    names = re.findall(r"^\.\. auto\w+:: (\w+)$", page, flags=re.MULTILINE)
    assert sorted([*names, "__version__"]) == sorted(autometa.__all__)


def test_the_reference_has_what_the_pages_import(root, pages):
    """Names that pages and gallery take from a module of autometa, beside the public ones."""
    texts = [*pages.values(), *[p.read_text("utf-8") for p in (root / "examples" / "gallery").glob("*.py")]]
    imports = [
        found for text in texts for found in re.findall(r"^from (autometa\.[\w.]+) import (.+)$", text, re.M)
    ]
    used = {f"{module}.{name.strip()}" for module, names in imports for name in names.split(",")}
    page = pages[root / "docs" / "reference" / "api.md"]
    shown = set(re.findall(r"^\.\. auto\w+:: (autometa\.[\w.]+)$", page, flags=re.MULTILINE))
    assert used == shown


def test_sentences_are_short(root):
    """Fewer than one in ten sentences of README and docs is longer than 25 words; one in five of any one page."""
    count = runpy.run_path(str(root / "docs" / "count_sentences.py"))
    found = {page: count["split_sentences"](page.read_text(encoding="utf-8")) for page in count["pages"]()}
    long = {page: sum(map(count["is_long"], sentences)) for page, sentences in found.items()}
    n_sentences = sum(map(len, found.values()))
    assert n_sentences > 800
    assert sum(long.values()) < n_sentences / 10, long
    for page, sentences in found.items():
        assert long[page] <= max(2, len(sentences) / 5), page


def test_a_long_sentence_is_counted(root):
    count = runpy.run_path(str(root / "docs" / "count_sentences.py"))
    text = "Short is good here. " + " ".join(["word"] * 26) + ".\n\n| a table " + "is left out " * 20 + "|\n"
    assert [count["is_long"](s) for s in count["split_sentences"](text)] == [False, True]


def test_how_it_works_is_one_page(root, pages):
    page = pages[root / "docs" / "how-it-works.md"]
    prose = re.sub(r"```.*?```|\$\$.*?\$\$", "", page, flags=re.DOTALL)
    assert len(prose.split()) <= 600
    assert page.count("```{image}") == 1


def test_the_readme_is_one_screen(root, pages):
    """A picture of what comes out, install, six lines of Python, three commands, a chart, and where to read on."""
    page = pages[root / "README.md"]
    (python,) = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    assert len([line for line in python.splitlines() if line.strip()]) == 6
    assert len(re.findall(r"^autometa ", page, flags=re.MULTILINE)) == 3
    assert re.findall(r"!\[[^\]]*\]\(([^)]*)\)", page) == [
        "docs/figures/report.png",
        "docs/figures/headline.svg",
    ]
    assert len(page.split()) < 500


@pytest.mark.parametrize("script", ["make_how_it_works.py", "make_layers.py"])
def test_figures_are_what_their_scripts_draw(root, script):
    made = runpy.run_path(str(root / "docs" / script))
    assert made["PATH"].read_text(encoding="utf-8") == made["draw"]()


def test_the_measured_tables_are_what_their_results_say(root, pages):
    """To regenerate them: ``python docs/make_comparisons.py``."""
    made = runpy.run_path(str(root / "docs" / "make_comparisons.py"))
    for path, parts in made["make"]().items():
        assert made["replace"](pages[path], parts) == pages[path]
    with pytest.raises(ValueError, match="marks of 'x'"):
        made["replace"]("<!-- x: begin -->\n", {"x": "text"})


@pytest.mark.parametrize("name", ["comparisons.md", "how-it-works.md"])
def test_pages_of_results_have_no_figure_that_no_result_says(root, pages, name):
    """Beside the marks there are counts of what was asked for, and no measurements: shares, parts of one, errors."""
    page = pages[root / "docs" / name]
    prose = re.sub(r"<!-- ([\w -]+): begin -->.*?<!-- \1: end -->", "", without_code(page), flags=re.DOTALL)
    prose = " ".join(prose.split()).replace("+- standard error", "").replace("+- is a standard error", "")
    assert len(prose.split()) > 300
    assert re.findall(r"\d* ?%|(?<!\d)\.\d+|\d+\.\d+|\+-", prose) == []


def test_versions_of_the_citation_and_the_package_agree(root):
    assert f"\nversion: {autometa.__version__}\n" in (root / "CITATION.cff").read_text(encoding="utf-8")


def test_examples_in_python_are_valid(pages):
    for path, text in pages.items():
        for block in re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL):
            compile(block, str(path), "exec")


def test_the_page_on_the_space_shows_it_as_it_is(root, pages):
    """To regenerate it: ``python docs/make_space.py``."""
    made = runpy.run_path(str(root / "docs" / "make_space.py"))
    assert made["render"](pages[made["PAGE"]]) == pages[made["PAGE"]]
    with pytest.raises(ValueError, match="marks of 'version'"):
        made["render"]("no marks")


DIRECTION = re.compile(
    r"(?:lower|higher|less|more)[ -]is[ -]better|1 is (?:the )?best|0 is (?:at )?the best|0 best known",
    flags=re.IGNORECASE,
)


def figure_tables(text: str) -> list[tuple[str, str]]:
    """Return the tables of measurements of a page, each with the text of its section above it."""
    found = []
    for section in re.split(r"^(?=## )", text, flags=re.MULTILINE):
        for match in re.finditer(r"(?:^ *\|.*\n?)+", section, flags=re.MULTILINE):
            rows = [line.strip(" |").split("|") for line in match[0].splitlines()][2:]
            cells = [cell.strip(" *") for row in rows for cell in row[1:]]
            numbers = [cell for cell in cells if re.match(r"[+-]?\d*\.\d", cell)]
            if len(numbers) > len(cells) / 2:
                found.append((match[0], section[: match.end()]))
    return found


def test_every_table_of_figures_says_which_way_is_better(pages):
    """In its head, or in the text of its section above it; a page may say it once at its top."""
    tables = [
        (path, table, above, text.partition("\n## ")[0])
        for path, text in pages.items()
        for table, above in figure_tables(text)
    ]
    assert len(tables) > 8
    silent = [
        f"{path.name}: {table.splitlines()[0]}"
        for path, table, above, top in tables
        if not DIRECTION.search(" ".join((above + " " + top).split()))
    ]
    assert not silent
