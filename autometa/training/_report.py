"""The replay of every known task as if it were new, its family left out, and what it says: as numbers and as a page.

Mean regrets with their errors, paired differences and ranks, in all and by slices.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from autometa.metamodel import MetaModel, Neighbourhood, greedy_portfolio
from autometa.metamodel.known import KnownTasks
from autometa.report import Dot, Point, Section, render_report
from autometa.report.recommendations import TaskMap

IntArray = NDArray[np.intp]
Ranker = Callable[[KnownTasks, int, str, IntArray], list[int]]

DEPTHS: Final = (
    1,
    3,
    5,
    10,
)  # trials after which regret is reported: the first pick to what is recommended by default
TREE_ENSEMBLES: Final = ("lightgbm", "hist_gradient_boosting", "random_forest", "extra_trees")
DEFAULTS_ROW: Final = "best of four tree ensembles' defaults"
PRODUCT: Final = "autometa"
# Of the baseline of nearest tasks; few, or it would be the static portfolio.
N_NEAREST: Final = 5


def replay(
    part: KnownTasks, rankers: Mapping[str, Ranker] | None = None, only: Collection[str] | None = None
) -> pd.DataFrame:
    """Replay ways of choosing configurations on every task, its family left out.

    On each task, only the configurations that were run on it can be chosen.

    Parameters
    ----------
    part : KnownTasks
    rankers : mapping of str to callable, optional
        Each takes the part, the position of a task, a metric and the columns to choose from, and returns columns,
        best first. By default :func:`standard_rankers`.
    only : collection of str, optional
        Ids of the tasks; all by default.

    Returns
    -------
    DataFrame
        target, metric, method, task_id, family, and the regret of the best of the first 1, 3, 5 and 10.
    """
    rankers = standard_rankers() if rankers is None else rankers
    rows = []
    for metric, table in part.regrets.items():
        for i, task_id in enumerate(part.tasks["task_id"]):
            candidates = np.flatnonzero(np.isfinite(table[i]))
            if not len(candidates) or (only is not None and task_id not in only):
                continue
            for name, ranker in rankers.items():
                order = ranker(part, i, metric, candidates)
                depths = [len(order)] * len(DEPTHS) if name == DEFAULTS_ROW else DEPTHS
                best = [table[i, order[:depth]].min() if order else np.nan for depth in depths]
                rows.append([part.target, metric, name, task_id, str(part.families[i]), *best])
    columns = ["target", "metric", "method", "task_id", "family", *(f"regret@{depth}" for depth in DEPTHS)]
    return pd.DataFrame(rows, columns=columns)


def standard_rankers() -> dict[str, Ranker]:
    """Return the product and its baselines, by name."""
    return {
        PRODUCT: recommended(),
        "lightgbm default": defaults_of("lightgbm"),
        "random_forest default": defaults_of("random_forest"),
        DEFAULTS_ROW: defaults_of(*TREE_ENSEMBLES),
        "portfolio": static_portfolio(),
        "nearest": nearest_tasks(),
    }


def defaults_of(*algorithms: str) -> Ranker:
    """Choose the library defaults of some algorithms, in their order."""

    def rank(part: KnownTasks, task: int, metric: str, candidates: IntArray) -> list[int]:
        configurations = list(part.configurations.values())
        allowed = set(candidates.tolist()) & set(part.defaults)
        found = {configurations[i].algorithm: i for i in allowed}
        return [found[name] for name in algorithms if name in found]

    return rank


def static_portfolio() -> Ranker:
    """Choose the set that is best on average over the tasks of all other families."""
    known: dict[tuple[str, str, bytes], list[int]] = {}

    def rank(part: KnownTasks, task: int, metric: str, candidates: IntArray) -> list[int]:
        key = (metric, str(part.families[task]), candidates.tobytes())
        if key not in known:
            others = part.regrets[metric][part.families != part.families[task]][:, candidates]
            known[key] = candidates[greedy_portfolio(others, max(DEPTHS))].tolist()
        return known[key]

    return rank


def nearest_tasks() -> Ranker:
    """Choose the set that is best on the five tasks that are nearest in standardised meta-features."""

    def rank(part: KnownTasks, task: int, metric: str, candidates: IntArray) -> list[int]:
        others = np.flatnonzero(part.families != part.families[task])
        distance = part.similarity.distances(part.metafeatures[task])[others]
        nearest = np.argsort(distance, kind="stable")[:N_NEAREST]
        table = part.filled[metric][0][np.ix_(others[nearest], candidates)]
        # A task that is the same in all respects counts no more than thrice as much as one at the usual distance.
        chosen = greedy_portfolio(table, max(DEPTHS), weights=1.0 / (0.1 + distance[nearest]))
        return candidates[chosen].tolist()

    return rank


def recommended(other: KnownTasks | None = None) -> Ranker:
    """Choose as autometa does.

    Parameters
    ----------
    other : KnownTasks, optional
        What to ask in place of the part; it chooses among the configurations that it knows.
    """
    known: dict[int, Neighbourhood] = {}

    def rank(part: KnownTasks, task: int, metric: str, candidates: IntArray) -> list[int]:
        model = other or part
        columns = pd.Index(list(model.configurations)).get_indexer(
            np.array(list(part.configurations))[candidates]
        )
        candidates, columns = candidates[columns >= 0], columns[columns >= 0]
        if not len(columns):
            return []
        if task not in known:
            x = model.row(pd.Series(part.metafeatures[task], index=part.metafeature_names))
            known[task] = Neighbourhood(model, x, (str(part.families[task]),))
        prediction = known[task].predict(metric, part.sizes[task].tolist())
        allowed = np.zeros(len(model.configurations), dtype=bool)
        allowed[columns] = True
        place = dict(zip(columns.tolist(), candidates.tolist(), strict=True))
        return [place[column] for column in prediction.portfolio(max(DEPTHS), allowed)]

    return rank


OWN: Final = "with your runs"
WITHOUT_OWN: Final = "without your runs"
LABELS: Final = {
    "portfolio": "static portfolio (without meta-features)",
    "nearest": "nearest tasks (raw meta-features)",
}
SLICES: Final = {"all": (), "kind": ("kind",), "rows": ("rows",), "metric": ("metric",)}
# Thirds of the bundled tasks, roughly.
ROW_LIMITS: Final = (500, 2000)


@dataclass(frozen=True, eq=False)
class TrainingReport:
    """Normalised regret on families that were left out of the training.

    Attributes
    ----------
    regrets : DataFrame
        A row per target, metric, method and task; columns family, kind, rows (the size as a class), ``regret@1``,
        ``regret@3``, ``regret@5``, ``regret@10``.
    coverage : dict of str to dict of str to float
        Share of the left-out results inside the 80 % interval, by target and metric.
    own : DataFrame or None
        Likewise, on the tasks of one's own, from the known base alone and with one's own runs added.
    """

    regrets: pd.DataFrame
    coverage: dict[str, dict[str, float]]
    own: pd.DataFrame | None = None

    def to_frame(self, by: Sequence[str] = ("target", "method")) -> pd.DataFrame:
        """Return mean regrets, paired differences to autometa, mean ranks, and the number of tasks.

        Metrics of one task count as one: they are averaged before the errors are taken. Standard errors (``_se``)
        count the tasks of a family as one draw.

        Parameters
        ----------
        by : sequence of str, default=("target", "method")
            Columns of `regrets`.

        Returns
        -------
        DataFrame
            ``regret@k``; ``more@k``, how much more than autometa's; ``rank@k`` among the methods of a task.
        """
        return summarise(self.regrets, PRODUCT, by)

    def slices(self) -> pd.DataFrame:
        """Return the table of :meth:`to_frame` for all tasks, by kind, by rows and by metric, one below the other."""
        tables = []
        for name, columns in SLICES.items():
            table = self.to_frame(("target", *columns, "method"))
            value = table[columns[0]] if columns else "all"
            table = table.drop(columns=list(columns))
            table.insert(1, "slice", name)
            table.insert(2, "value", value)
            tables.append(table)
        return pd.concat(tables, ignore_index=True)

    @property
    def text(self) -> str:
        """The report as plain text."""
        lines = [
            "Mean normalised regret on left-out families (0 best known, 1 median of the library defaults), +- its",
            "standard error; for the first pick, how much more it is than autometa's, paired, and the mean rank",
        ]
        for target, rows in self.to_frame().groupby("target", sort=False):
            lines.append(f"\n{target}, {int(rows['n_tasks'].max())} tasks, mean over metrics")
            lines.append(
                f"{'':42s}{'first 1':>15s}{'3':>8s}{'5':>8s}{'10':>8s}{'first 1, more':>16s}{'rank':>7s}"
            )
            lines += [_line(row) for row in rows.to_dict("records")]
            covered = ", ".join(f"{m} {share:.0%}" for m, share in self.coverage[str(target)].items())
            lines.append(f"80 % intervals hold: {covered}")
        return "\n".join([*lines, *self.own_lines()])

    def own_lines(self) -> list[str]:
        """Say whether the runs of one's own help on tasks like them."""
        title = "Do your runs help? Regret on your tasks, each family left out in turn"
        return [] if self.own is None else _compare(title, self.own, OWN, WITHOUT_OWN)

    def to_dict(self) -> dict[str, Any]:
        """Return the table and the coverage as plain JSON types."""
        table = self.to_frame().round(5)
        return {"table": table.to_dict("records"), "coverage": self.coverage}


def _compare(title: str, regrets: pd.DataFrame, method: str, reference: str) -> list[str]:
    """Return lines on a method against one without something, for each target and depth."""
    table = summarise(regrets, reference, ("target", "method")).set_index(["target", "method"])
    lines = [f"\n{title}"]
    for target in table.index.unique("target"):
        own, without = table.loc[(target, method)], table.loc[(target, reference)]
        lines.append(f"{target}, {counted_tasks(int(own['n_tasks']))}")
        for depth in DEPTHS:
            more, error = own[f"more@{depth}"], own[f"more@{depth}_se"]
            means = f"without {without[f'regret@{depth}']:.3f}, with {own[f'regret@{depth}']:.3f}"
            lines.append(
                f"  first {depth:<3d} {means}: {with_error(more, error, '+.3f')}, {verdict(more, error)}"
            )
    return lines


def _line(row: dict[Any, Any]) -> str:
    first, *others = DEPTHS
    regrets = with_error(row[f"regret@{first}"], row[f"regret@{first}_se"]).rjust(15)
    regrets += "".join(f"{row[f'regret@{depth}']:8.3f}" for depth in others)
    more = "" if row["method"] == PRODUCT else with_error(row["more@1"], row["more@1_se"], "+.3f")
    rank = "" if np.isnan(row["rank@1"]) else f"{row['rank@1']:.1f}"
    return f"{LABELS.get(row['method'], row['method']):42s}{regrets}{more:>16s}{rank:>7s}".rstrip()


def summarise(regrets: pd.DataFrame, reference: str, by: Sequence[str]) -> pd.DataFrame:
    """Return what :meth:`TrainingReport.to_frame` does, with the differences to any method."""
    columns = [f"regret@{depth}" for depth in DEPTHS]
    task = [*(name for name in by if name != "method"), "task_id", "family"]
    table = regrets.groupby([*task, "method"], sort=False)[columns].mean().reset_index()
    others = table[table["method"] == reference].drop(columns="method")
    table = table.merge(others, on=task, how="left", suffixes=("", " of reference"))
    for depth in DEPTHS:
        table[f"more@{depth}"] = table[f"regret@{depth}"] - table[f"regret@{depth} of reference"]
        table[f"rank@{depth}"] = table.groupby(task, sort=False)[f"regret@{depth}"].rank()
    return pd.DataFrame(
        [
            dict(zip(by, key, strict=True)) | _means(group)
            for key, group in table.groupby(list(by), sort=False)
        ]
    )


def _means(group: pd.DataFrame) -> dict[str, float]:
    found: dict[str, float] = {}
    for name in ("regret", "more", "rank"):
        for depth in DEPTHS:
            values = group[f"{name}@{depth}"]
            found[f"{name}@{depth}"] = float(values.mean())
            if name != "rank":
                found[f"{name}@{depth}_se"] = clustered_error(values, group["family"])
    return {**found, "n_tasks": len(group)}


def clustered_error(values: pd.Series, families: pd.Series) -> float:
    """Return the standard error of a mean whose values are alike within families (Liang and Zeger 1986)."""
    known = values.notna().to_numpy()
    x = values.to_numpy()[known]
    sums = np.bincount(pd.factorize(families[known])[0], x - x.mean()) if len(x) else x
    if len(sums) < 2:
        return float("nan")
    return float(np.sqrt((sums**2).sum() * len(sums) / (len(sums) - 1)) / len(x))


def size_class(n_rows: pd.Series) -> pd.Series:
    """Name the size of tables: a few classes, so that each has many."""
    low, high = ROW_LIMITS
    names = [f"under {low:,}", f"{low:,} to {high:,}", f"over {high:,}"]
    places = np.searchsorted([low, high + 1], n_rows.fillna(0).to_numpy(dtype="float64"), side="right")
    return pd.Series(np.array(names)[places], index=n_rows.index)


def with_error(value: float, error: float, form: str = ".3f") -> str:
    """Return a number with its standard error, where there is one."""
    return f"{value:{form}} +-{error:.3f}" if np.isfinite(error) else f"{value:{form}}"


def verdict(more: float, error: float) -> str:
    """Say what a paired difference in regret means."""
    if not np.isfinite(error):
        return "too few families to tell"
    if abs(more) <= 1.96 * error:
        return "no difference proven"
    return "they help" if more < 0 else "they harm"


def counted_tasks(number: int) -> str:
    """Return a number of tasks in words."""
    return f"{number} task" if number == 1 else f"{number} tasks"


_TITLES: Final = (
    "",
    *(f"first {depth}" for depth in DEPTHS),
    "more, first",
    "more, first five",
    "rank",
    "tasks",
)


def render_training_report(report: TrainingReport, model: MetaModel | None = None) -> str:
    """Return a whole HTML document.

    Parameters
    ----------
    report : TrainingReport
    model : MetaModel, optional
        Whose map of the known tasks is drawn.
    """
    about = [
        "Mean normalised regret: 0 is the best known result on a task, 1 the median of the library defaults; lower is "
        "better. Every task was judged by what was learned without its family; metrics of a task count as one.",
        "After +- stands the standard error over families. 'More' is how much more regret than autometa's, paired, "
        "after the first pick and after five; the rank is that of the first pick among the methods on a task.",
    ]
    sections = [Section("How to read this", about), *_sections(report)]
    if own := report.own_lines():
        sections.insert(1, Section(own[0].strip(), [line.strip() for line in own[1:]]))
    if model is not None:
        sections += [_map(target, model) for target in model.parts]
    return render_report("What the meta-model learned", sections)


def _sections(report: TrainingReport) -> Iterator[Section]:
    slices = report.slices()
    for (target, name, value), table in slices.groupby(["target", "slice", "value"], sort=False):
        is_all = name == "all"
        heading = f"{target}: all tasks" if is_all else f"{target}, {name}: {value}"
        covered = ", ".join(f"{m} {share:.0%}" for m, share in report.coverage[target].items())
        lines = [f"80 % intervals hold: {covered}."] if is_all else []
        dots = (
            [Dot(_label(row), row["regret@1"], row["regret@1_se"]) for _, row in table.iterrows()]
            if is_all
            else []
        )
        rows = [_cells(row) for _, row in table.iterrows()]
        yield Section(heading, lines, _TITLES, rows, "<" + ">" * (len(_TITLES) - 1), dots)


def _map(target: str, model: MetaModel) -> Section:
    about = (
        "Each circle is a task, placed by the ranks of all configurations under all metrics: where two are near, "
        "configurations come in the same order. Its colour is the algorithm of the configuration that is best over all "
        "metrics."
    )
    known = TaskMap.of(model, target)
    table = zip(known.names, known.coordinates.tolist(), known.best_algorithms, strict=True)
    points = [Point(f"{name}: {best}", x, y, best) for name, (x, y), best in table]
    return Section(f"{target}: a map of the known tasks", [about], points=points)


def _label(row: pd.Series) -> str:
    return LABELS.get(row["method"], row["method"])


def _cells(row: pd.Series) -> list[str]:
    regrets = [with_error(row[f"regret@{d}"], row[f"regret@{d}_se"]) for d in DEPTHS]
    more = [with_error(row[f"more@{d}"], row[f"more@{d}_se"], "+.3f") for d in (1, 5)]
    rank = "" if np.isnan(row["rank@1"]) else f"{row['rank@1']:.1f}"
    return [
        _label(row),
        *regrets,
        *(("", "") if row["method"] == PRODUCT else more),
        rank,
        str(row["n_tasks"]),
    ]
