"""A search over size and dropout with Keras Tuner that keeps every execution and survives being killed.

    result = search(build_hypermodel((T, D), classes), data, max_trials=12, directory="runs/digits")

A *trial* is one choice of hyperparameters; an *execution* is one training with it, from one seed. What is done is on
disk at once: called again with the same arguments, `search` goes on where it was, and when all is done it returns
the table. On several machines: `python -m course.tuning --help`, and `course.tuning_cluster`. How the results are
kept is in `course.tuning_store`, how Keras Tuner is used in `course.tuning_engine`.
"""

from dataclasses import dataclass
import warnings

from course import arguments
from course.hypermodels import build, build_hypermodel
from course.tuning_store import Store, write_text
import pandas as pd

__all__ = ["STRATEGIES", "SearchResult", "build", "build_hypermodel", "planned", "result", "search"]

STRATEGIES = ("random", "hyperband", "bayesian")


def search(
    hypermodel,
    data,
    *,
    max_trials,
    directory,
    executions=1,
    strategy="random",
    epochs=30,
    patience=5,
    batch_size=32,
    objective="val_accuracy",
    seed=0,
    progress=True,
):
    """Search, or go on with the search in `directory`, and return its `SearchResult`.

    hypermodel: what `build_hypermodel` returns, or any function of `keras_tuner.HyperParameters` (or a
        `keras_tuner.HyperModel`) that makes a compiled model that starts with a `keras.Input`.
    data: an object with x_train, y_train, x_validation and y_validation, such as `course.datasets.digits()`. As each
        size of batch is compiled, a number of training examples that `batch_size` divides saves time.
    max_trials: at most so many. A finished search goes on when it is called again with more.
    directory: of this search alone; made if it is not there.
    executions: trainings per trial. Their seeds are seed, seed + 1, …, the same in every trial, and their mean counts.
    strategy: "random"; "hyperband", which trains many for a few epochs and the best of them for more; or "bayesian",
        which after a third of the trials drawn at random fits a Gaussian process to the scores.
    epochs, patience: at most so many epochs per training, of which the best counts; it ends when `patience` epochs
        in a row have not been better.
    objective: the name of a metric in the logs, or a `keras_tuner.Objective`.
    progress: show a bar with the best so far.

    Trainings run in processes of their own, as many at once as there are executions and cores, with one thread each
    (set TF_NUM_INTRAOP_THREADS for more); starting the first takes as long as importing Keras.

    A training that raises, or whose loss is NaN, is a row with its error, and its trial has no score; a warning counts
    them. Raises ValueError or TypeError naming the argument: also when `directory` holds another search's results, or
    anything else, or a search is running in it. Nothing is overwritten.
    """
    plan = planned(locals())
    from course.tuning_engine import CourseTuner  # starts Keras
    from course.tuning_oracle import make_oracle

    with Store(directory).opened(plan) as store:
        tuner = CourseTuner(make_oracle(plan), hypermodel, store, plan)
        for worker in tuner.oracle.workers() - {tuner.tuner_id}:  # of this search when it had a chief
            tuner.oracle.forget(worker)
        tuner.run(progress)
        return result(store, plan["objective"])


@dataclass(frozen=True)
class SearchResult:
    """What a search found.

    table: one row per execution: trial, execution, seed, the hyperparameters, score (the objective at its best epoch),
        best_epoch (from 1), epochs (trained), seconds, parameters (weights), attempts (times it was started: more
        than one if it was interrupted), all metrics at the best epoch, and error.
    curves: one row per epoch: trial, execution, epoch (from 1) and the metrics.
    choices: the names of the hyperparameters. maximize: whether a larger score is better. store: the files.
    """

    table: pd.DataFrame
    curves: pd.DataFrame
    choices: list
    maximize: bool
    store: Store

    def trials(self):
        """Return one row per trial, best first: its hyperparameters, the mean score, low and high, and the error."""
        groups = self.table.groupby("trial")
        trials = groups[[*self.choices, "parameters"]].first()
        failed = groups["error"].agg(lambda errors: next((e for e in errors if isinstance(e, str)), None))
        scores = groups["score"].agg(score="mean", low="min", high="max", executions="count").astype({"score": float})
        scores.loc[failed.notna(), ["score", "low", "high"]] = float("nan")
        trials = trials.join(scores).assign(error=failed)
        return trials.sort_values("score", ascending=not self.maximize, kind="stable").reset_index()

    def best(self):
        """Return the hyperparameters of the best trial as a dict; raise ValueError if every trial failed."""
        first = self.trials().iloc[0]
        if pd.isna(first["score"]):
            raise ValueError(f"every trial failed; the first error: {first['error']}")
        return {name: value for name, value in self.store.chosen(first["trial"]).items() if name in self.choices}


def result(store, objective):
    """Return what is stored of a search as a `SearchResult`, and write its table; `objective` is Keras Tuner's."""
    table, curves, choices = store.tables()
    write_text(store.directory / "table.csv", table.to_csv(index=False))
    failed = table.loc[table["error"].notna(), "trial"].nunique()
    if failed:
        warnings.warn(f"{failed} of {table['trial'].nunique()} trials failed: see the column error.", stacklevel=3)
    return SearchResult(table, curves, choices, objective.direction == "max", store)


def planned(given):
    """Return the arguments of a search, checked, and its objective with a direction."""
    given = {name: value for name, value in given.items() if name not in ("directory", "progress")}
    from course.tuning_engine import checked_model, checked_objective

    arguments.one_of("strategy", given["strategy"], STRATEGIES)
    for name in ("max_trials", "executions", "epochs", "patience", "batch_size"):
        given[name] = arguments.integer(name, given[name], at_least=1)
    given["seed"] = arguments.integer("seed", given["seed"], at_least=0, at_most=20_000)
    for part in ("train", "validation"):
        x, y = (getattr(given["data"], f"{axis}_{part}", None) for axis in "xy")
        if x is None or y is None:
            raise ValueError(f"data must have x_{part} and y_{part}, got {type(given['data']).__name__}.")
        if len(x) != len(y) or not len(x):
            raise ValueError(f"data must have as many x_{part} as y_{part}, got {len(x)} and {len(y)}.")
    checked_model(given["hypermodel"])
    return {**given, "objective": checked_objective(given["objective"])}


if __name__ == "__main__":
    from course.tuning_cluster import main

    raise SystemExit(main())
