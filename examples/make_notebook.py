"""Make and run the notebook of the examples: ``python examples/make_notebook.py``; with ``--check``, compare.

The cells stand here; the notebook holds them with what came out. Needs nbclient and ipykernel (the extra ``docs``).
"""

from __future__ import annotations

import sys
from pathlib import Path

FOLDER = Path(__file__).parent
PATH = FOLDER / "start.ipynb"
CELLS: tuple[tuple[str, str], ...] = (
    (
        "markdown",
        "# autometa in a notebook\n\nA table of 1,200 customers, some of whom left. The last line of a cell is shown "
        "as a card: facts, a table, and what can be opened.",
    ),
    (
        "code",
        'import pandas as pd\n\nimport autometa\n\ndata = pd.read_csv("subscriptions.csv")\n'
        'X, y = data.drop(columns="churned"), data["churned"]\nX.head(3)',
    ),
    (
        "markdown",
        "## What to try first\n\nNothing is fitted. Open *Why these* for the reasons in sentences.",
    ),
    ("code", "found = autometa.recommend(X, y, k=5)\nfound"),
    (
        "markdown",
        "## A search\n\nWhile it runs, a line shows what is done, the time left, the best so far and what is fitted "
        "now. `progress=False` keeps it quiet.",
    ),
    ("code", "result = autometa.tune(X, y, n_trials=12, random_state=0)\nresult"),
    ("markdown", "## The model\n\nIt takes the table as it is and gives the labels as they were."),
    ("code", "result.model.predict_proba(X.head(3)).round(3)"),
    ("markdown", "The page to send to a colleague (with the extra `autometa-learn[report]`):"),
    ("code", 'result.report("report.html")'),
    (
        "markdown",
        "## Your own Optuna study\n\nWhat of the recommendations fits your search space is enqueued; the report says "
        "what was changed, and why.",
    ),
    (
        "code",
        "import optuna\n\noptuna.logging.set_verbosity(optuna.logging.WARNING)\n"
        'study = optuna.create_study(direction="maximize")\n'
        'autometa.warm_start(study, X, y, k=3, algorithm="lightgbm")',
    ),
    ("markdown", "## What autometa sees in the table"),
    ("code", "autometa.extract_metafeatures(X, y)"),
    (
        "markdown",
        "## In scikit-learn\n\nAn estimator like any other, here without a search: the mean of the first "
        "recommendations.",
    ),
    (
        "code",
        "model = autometa.AutoMetaClassifier(n_trials=0, random_state=0).fit(X, y)\nmodel",
    ),
)


def make() -> object:
    """Return the notebook with what its cells gave."""
    import nbformat
    from nbclient import NotebookClient

    makers = {"markdown": nbformat.v4.new_markdown_cell, "code": nbformat.v4.new_code_cell}
    cells = [makers[kind](text, id=f"cell-{i}") for i, (kind, text) in enumerate(CELLS)]
    notebook = nbformat.v4.new_notebook(cells=cells)
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    try:
        NotebookClient(
            notebook, timeout=600, iopub_timeout=60, resources={"metadata": {"path": str(FOLDER)}}
        ).execute()
    finally:
        (FOLDER / "report.html").unlink(missing_ok=True)
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        # The line that moves while a cell runs is of no use in a file.
        if "outputs" in cell:
            cell.outputs = [output for output in cell.outputs if output.output_type != "display_data"]
    notebook.metadata.pop("widgets", None)
    return notebook


def read_sources(path: Path) -> list[tuple[str, str]]:
    """Return kind and text of the cells of a notebook."""
    import nbformat

    return [(cell.cell_type, cell.source) for cell in nbformat.read(path, as_version=4).cells]


def main() -> None:
    """Make the notebook, or check the one that is there: its cells are these, and they run."""
    import nbformat

    if "--check" in sys.argv and read_sources(PATH) != list(CELLS):
        sys.exit(f"{PATH.name} has other cells: python examples/make_notebook.py")
    notebook = make()
    if "--check" not in sys.argv:
        nbformat.write(notebook, PATH)


if __name__ == "__main__":
    main()
