"""Records the four tables data/12_*.csv, which lesson 12 reads: python data/record_12.py

Whatever is finished is kept in build/record_12, so the script can be stopped and started again. Test accuracies are
recorded to show what a search does to its own score; a search for use looks at the test set once, at the end.
"""

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from course import tuning
from course.experiments import sweep
from course.searches import digits_by_row
import keras
import numpy as np
import pandas as pd

FOLDER = Path(__file__).resolve().parent
BUILD = FOLDER.parent / "build" / "record_12"
PLAIN = {"cell": "RNN", "units": 32, "layers": 1, "dropout": 0.0, "recurrent_dropout": 0.0, "learning_rate": 3e-3}
TRIALS = {"random": 40, "bayesian": 12, "hyperband": 100}  # of about 30, 30 and 3.4 epochs


def with_test(found, given):
    """Return the table of a search with a column test: the accuracy of the weights stored of each execution."""
    folders = {int(path.name.removeprefix("trial_")): path for path in found.store.directory.glob("trial_*")}
    data, table = given["data"], found.table.sort_values(found.choices)
    for row, values in zip(table.itertuples(), table[found.choices].to_dict("records"), strict=True):
        model = tuning.build(given["hypermodel"], values, seed=0)
        model.load_weights(folders[row.trial] / f"execution_{row.execution}.weights.h5")
        answers = keras.ops.convert_to_numpy(model(data.x_test)).argmax(axis=1)
        table.loc[row.Index, "test"] = np.mean(answers == data.y_test)
    return table.sort_index()


def search_once(strategy, seed):
    """Run one search with one execution a trial; return its table with test accuracies."""
    given = digits_by_row() | {"max_trials": TRIALS[strategy], "executions": 1, "strategy": strategy, "seed": seed}
    found = tuning.search(**given, directory=BUILD / f"{strategy}_{seed}", progress=False)
    print(strategy, seed, flush=True)
    return with_test(found, given).assign(strategy=strategy, search=seed)


def train(seed, epochs, split=0, **values):
    """Train one setting; return the accuracies at the best epoch of the first 30 and of all, and after the last.

    split: of the images into training, validation and test; 0 is that of the search.
    """
    from course import hypermodels, searches  # here: `sweep` cannot tell data classes by their content

    given, data = searches.digits_by_row(), sequences.digits("row", 96, 100, 350, seed=split)
    model = hypermodels.build(given["hypermodel"], values, seed)
    parts = {"training": "train", "validation": "validation", "test": "test"}
    x, y = ([getattr(data, f"{axis}_{part}") for part in parts.values()] for axis in "xy")
    ends, curve = np.cumsum([len(part) for part in y])[:-1], []
    x, y = np.concatenate(x), np.concatenate(y)

    def look(epoch, logs):
        answers = model.predict_on_batch(x).argmax(axis=1)
        curve.append([part.mean() for part in np.split(answers == y, ends)])

    looking = keras.callbacks.LambdaCallback(on_epoch_end=look)
    model.fit(
        data.x_train, data.y_train, batch_size=given["batch_size"], epochs=epochs, callbacks=[looking], verbose=0
    )
    curve, found = np.array(curve), {}
    best = {"": curve[: given["epochs"], 1].argmax(), "_of_all": curve[:, 1].argmax(), "_last": -1}
    for ending, epoch in best.items():
        found |= {f"{part}{ending}": share for part, share in zip(parts, curve[epoch], strict=True)}
    return found | {"best_epoch": best[""] + 1, "best_epoch_of_all": best["_of_all"] + 1}


def record(name, table):
    """Write a table to data/."""
    table.drop(columns=["error"]).round(6).to_csv(FOLDER / f"12_{name}.csv", index=False)
    print(name, len(table), flush=True)


if __name__ == "__main__":
    given = digits_by_row()
    found = tuning.search(**given, directory=BUILD / "search", progress=False)
    record("search", with_test(found, given))
    trials = found.trials()[found.choices]
    gru = trials[trials["cell"] == "GRU"].iloc[0]
    settings = {"winner": (found.best(), 60), "best GRU": (gru.to_dict(), 30), "plain": (PLAIN, 30)}
    tables = [
        sweep(train, [values | {"epochs": 30}], range(1000, 1000 + seeds), directory=BUILD / "sweep", n_jobs=2)
        for values, seeds in settings.values()
    ]
    others = [PLAIN | {"epochs": 30, "split": split} for split in range(1, 31)]
    tables.append(sweep(train, others, [1000], directory=BUILD / "sweep", n_jobs=2))
    names = [*settings, "plain, other images"]
    tables = [table.assign(setting=name) for name, table in zip(names, tables, strict=True)]
    record("seeds", pd.concat(tables).drop(columns="seconds"))
    grid = [PLAIN | {"units": H, "dropout": p, "epochs": 60} for H in (8, 32) for p in (0.0, 0.25, 0.5)]
    record("dropout", sweep(train, grid, range(10), directory=BUILD / "sweep").drop(columns="seconds"))
    jobs = [(strategy, seed) for seed in range(1, 6) for strategy in ("hyperband", "bayesian", "random")]
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        tables = list(pool.map(search_once, *zip(*jobs, strict=True)))
    record("strategies", pd.concat(tables))
