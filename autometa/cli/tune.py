"""``autometa tune``: the best model in the time given, starting from the recommendations."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from autometa.cli._inputs import (
    add_experience_arguments,
    add_json_argument,
    add_task_arguments,
    all_issues,
    check_writable,
    count,
    load_task,
    seconds,
    whole_number,
)
from autometa.cli._terminal import (
    describe_data,
    detail,
    is_quiet,
    note,
    say,
    score_title,
    show_json,
    show_sections,
    symbol,
)
from autometa.errors import UsageError, with_code
from autometa.progress import is_watched
from autometa.report import Section
from autometa.wording import brief_params, brief_seconds, counted, number

if TYPE_CHECKING:
    from autometa.metamodel import MetaModel
    from autometa.task import Task
    from autometa.tuning import TuneResult

EXAMPLES: Final = (
    ("the best model within a minute", "autometa tune data.csv --target price --output model.skops"),
    ("ten minutes on four cores, and a page about it",
     "autometa tune data.csv --target price --timeout 600 --jobs 4 --report r.html"),
    ("kept in a file, to go on later", "autometa tune data.csv --target price --storage runs.journal --study price"),
)  # fmt: skip
_ROWS_SHOWN: Final = 10
# A search that nobody gave a limit ends in a minute: most of the gain is there by then.
DEFAULT_TIMEOUT: Final = 60.0
DEFAULT_TRIALS: Final = 50


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add_task_arguments(parser)
    add_experience_arguments(parser)
    parser.add_argument(
        "--trials",
        metavar="N",
        type=count,
        help="at most so many (default: 50); 0: the mean of the first recommendations",
    )
    parser.add_argument(
        "--timeout",
        metavar="S",
        type=seconds,
        help=f"seconds for everything (default: {DEFAULT_TIMEOUT:g}, or no limit where --trials is given)",
    )
    parser.add_argument(
        "--jobs", metavar="J", type=whole_number, default=1, help="fits at a time (default: 1)"
    )
    parser.add_argument(
        "--cluster", metavar="ADDRESS", help="of a Dask scheduler, whose workers make the fits"
    )
    parser.add_argument(
        "--ensemble-size",
        metavar="N",
        type=whole_number,
        default=25,
        help="the most configurations in the model; 1 for a single pipeline (default: 25)",
    )
    parser.add_argument(
        "--storage", metavar="URL", help="keep the study: database URL, or NAME.journal for a file"
    )
    parser.add_argument("--study", metavar="NAME", help="its name there; a study of that name is continued")
    parser.add_argument("--output", metavar="MODEL", help="save the model")
    parser.add_argument("--report", metavar="FILE.html", help="write the result as a page")
    add_json_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    from autometa.experience import load_metamodel
    from autometa.persistence import save_model

    if args.report:
        from autometa.report._charts import require_charts
        from autometa.report.search import write_search

        require_charts()
    if args.study and not args.storage:
        raise UsageError(
            "AM532", "--study names a study of a storage, and there is none.", "Add --storage runs.journal."
        )
    check_writable(args.output, args.report, inputs=(args.data,))
    table, task = load_task(args)
    model = load_metamodel(args.metamodel)
    issues = all_issues(table, (*task.warnings, *model.notices))
    for issue in () if args.json else issues:
        note(with_code(issue))
    result = _search(args, task, model)
    sections = [_leaderboard(result, task, Path(args.data).name)]
    if args.json:
        show_json(
            {
                **_to_dict(result, task),
                "output": args.output,
                "warnings": [issue.to_dict() for issue in issues],
            }
        )
    else:
        show_sections(sections)
    detail(f"time: {result.deadline}")
    if args.report:
        title = f"Search on {Path(args.data).name}"
        write_search(result, args.report, title=title, model=model, issues=issues)
        say(f"wrote the report to {args.report}")
    if args.output:
        save_model(args.output, result.model, _model_info(result, task))
        say(f"wrote the model to {args.output}")
    if result.interrupted:
        say("interrupted; finished trials count" + (" and are kept in the storage" if args.storage else ""))
    return 130 if result.interrupted else 0


def _search(args: argparse.Namespace, task: Task, model: MetaModel) -> TuneResult:
    from autometa.tuning import tune

    n_trials = DEFAULT_TRIALS if args.trials is None else args.trials
    timeout = args.timeout
    if args.trials is None and timeout is None:
        timeout = DEFAULT_TIMEOUT
        say(f"searching for at most {timeout:g} seconds; --timeout S or --trials N set another limit")
    if is_watched():
        say("Ctrl-C ends the search and keeps what is finished")
    return tune(
        task,
        None,
        n_trials=n_trials,
        timeout=timeout,
        storage=args.storage,
        study_name=args.study,
        n_jobs=args.jobs,
        cluster=args.cluster,
        callbacks=[_tell_trial],
        ensemble_size=args.ensemble_size,
        algorithms=args.algorithms,
        metamodel=model,
        progress=False if is_quiet() else None,
    )


def _tell_trial(study: Any, trial: Any) -> None:
    run = trial.user_attrs["run"]
    state = f"score {number(trial.value)}" if trial.value is not None and not run["reason"] else run["reason"]
    detail(f"trial {trial.number}, {trial.params['algorithm']}: {state}, {brief_seconds(run['seconds'])} s")


def _leaderboard(result: TuneResult, task: Task, name: str) -> Section:
    board = result.leaderboard
    counts = result.trials["state"].value_counts().to_dict()
    failed = board[board["state"].isin(["failed", "memory"])]
    plus_minus = symbol("\u00b1", "+-")
    rows = [
        (
            str(row["rank"]),
            row["algorithm"],
            number(row["expected"]),
            f"{number(row['score'])} {plus_minus} {number(row['std'])}",
            f"{row['weight']:.2f}" if row["weight"] else "",
            brief_seconds(row["seconds"]),
            row["origin"],
            brief_params(row["algorithm"], row["params"], task.kind),
        )
        for row in board[board["state"] == "complete"].head(_ROWS_SHOWN).to_dict("records")
    ]
    others = [f"{counts[state]} {words}" for state, words in _STATES.items() if counts.get(state)]
    lines = [
        describe_data(task, name),
        f"{counted(len(result.trials), 'trial')}: {', '.join(others) or 'none'}; {result.deadline}",
        _describe_model(result),
    ]
    if result.note:
        lines.append(f"Note: {result.note}")
    if len(failed):
        lines.append(f"The first failure: {failed.iloc[0]['algorithm']}: {failed.iloc[0]['reason']}")
    titles = (
        "rank",
        "algorithm",
        score_title(result.metric.name, result.metric),
        "mean of folds",
        "weight",
        "seconds",
        "origin",
        "changed hyperparameters",
    )
    return Section("Leaderboard", lines, titles, rows, "><>>>><<")


_STATES: Final = {
    "complete": "complete",
    "stopped": "stopped early",
    "failed": "failed",
    "memory": "out of memory",
    "timeout": "too slow",
    "interrupted": "cut off",
}


def _describe_model(result: TuneResult) -> str:
    """Say what the model is made of, and how good it is on rows that its parts have not seen."""
    if math.isnan(result.score):
        return f"The model: {result.made_of if len(result.members) else 'fitted without measuring it'}."
    return f"The model: {result.made_of}, {result.metric.name} {number(result.score)} out of fold."


def _to_dict(result: TuneResult, task: Task) -> dict[str, Any]:
    best = result.best_configuration
    return {
        "schema": "autometa/tune/1",
        "kind": task.kind,
        "metric": result.metric.name,
        "study": result.study.study_name,
        "interrupted": result.interrupted,
        "best": {
            "algorithm": best.algorithm,
            "params": dict(best.params),
            "expected_score": _best_score(result),
        },
        "model": {"score": result.score, "members": len(result.members), "note": result.note},
        "leaderboard": result.leaderboard.to_dict("records"),
    }


def _best_score(result: TuneResult) -> float:
    """Return the score to be expected of the best configuration; NaN where no trial was finished."""
    best, board = result.best_configuration, result.leaderboard
    for row in board[board["state"] == "complete"].to_dict("records"):
        if row["algorithm"] == best.algorithm and row["params"] == dict(best.params):
            return float(row["expected"])
    return math.nan


def _model_info(result: TuneResult, task: Task) -> dict[str, Any]:
    from autometa.cli._terminal import plain

    best = result.best_configuration
    info: dict[str, Any] = plain(
        {
            "kind": task.kind,
            "metric": result.metric.name,
            "score": result.score,
            "target": str(task.y.name),
            "classes": task.classes,
            "columns": task.schema(),
            "algorithm": best.algorithm,
            "params": dict(best.params),
            "n_rows": task.n_rows,
        }
    )
    return info
