"""Records the three tables data/12_*.csv, which lesson 12 reads: python data/record_12.py

Whatever is finished is kept in build/record_12, so the script can be stopped and started again. Test accuracies are
recorded to show what a search does to its own score; a search for use looks at the test set once, at the end.
"""

from pathlib import Path

from course import sequences
import course.classroom  # noqa: F401  (quiets TensorFlow)
from course.experiments import Processes, fresh, sweep
from course.tuning import RandomSearch
import keras
import numpy as np
import pandas as pd

FOLDER = Path(__file__).resolve().parent
BUILD = FOLDER.parent / "build" / "record_12"
DATA = {"by": "row", "train": 400, "validation": 200, "test": 1000}
FIT = {"epochs": 60, "batch_size": 40}
PLAIN = {"units": 32, "dropout": 0.0, "learning_rate": 3e-3}  # a sensible guess, made before there was any search


def network(units, dropout, learning_rate):
    """Return the network of the lesson, compiled."""
    model = keras.Sequential([keras.Input((8, 8))])
    model.add(keras.layers.SimpleRNN(units, dropout=dropout, recurrent_dropout=dropout))
    model.add(keras.layers.Dense(10))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(learning_rate), loss, metrics=["accuracy"])
    return model


def build(hp):
    """The search space of the lesson."""
    return network(
        units=hp.Int("units", 8, 64, sampling="log"),
        dropout=hp.Float("dropout", 0.0, 0.5),
        learning_rate=hp.Float("learning_rate", 1e-3, 3e-2, sampling="log"),
    )


def train(seed, units, dropout, learning_rate, wrong, split=0, epochs=60):
    """Train one setting; return accuracies after the last epoch and at the epoch that is best on validation.

    wrong: the share of wrong training labels. training: accuracy on these labels, `right` on the true ones.
    """
    given, true = (sequences.digits(**DATA, seed=split, wrong=share) for share in (wrong, 0.0))
    model = fresh(network, seed, units=units, dropout=dropout, learning_rate=learning_rate)
    x = np.concatenate([given.x_train, given.x_validation, given.x_test])
    ends, curve = np.cumsum([len(given.x_train), len(given.x_validation)]), []

    def look(epoch, logs):
        training, validation, test = np.split(model.predict_on_batch(x).argmax(axis=1), ends)
        pairs = {
            "training": training == given.y_train,
            "right": training == true.y_train,
            "validation": validation == given.y_validation,
            "test": test == given.y_test,
        }
        curve.append({name: hits.mean() for name, hits in pairs.items()})

    looking = keras.callbacks.LambdaCallback(on_epoch_end=look)
    model.fit(given.x_train, given.y_train, **FIT | {"epochs": epochs}, callbacks=[looking], verbose=0)
    best = int(np.argmax([row["validation"] for row in curve]))
    found = {f"{name}_best": value for name, value in curve[best].items()}
    return found | {f"{name}_last": value for name, value in curve[-1].items()} | {"best_epoch": best + 1}


def searched():
    """Run the search of the lesson with its 40 trials; return its table with the test accuracy of every execution."""
    data = sequences.digits(**DATA, wrong=0.3)
    tuner = RandomSearch(
        build,
        objective="val_accuracy",
        max_trials=40,
        executions_per_trial=2,
        seed=0,
        directory=str(BUILD),
        project_name="search",
        executor=Processes(),
    )
    tuner.search(data.x_train, data.y_train, validation_data=(data.x_validation, data.y_validation), **FIT)
    table = tuner.executions()
    for row in table.itertuples():
        model = network(row.units, row.dropout, row.learning_rate)
        model.set_weights(tuner.weights(row.trial, row.execution))
        answers = keras.ops.convert_to_numpy(model(data.x_test)).argmax(axis=1)
        table.loc[row.Index, "test"] = np.mean(answers == data.y_test)
    return table


def record(name, table):
    """Write a table to data/."""
    table.drop(columns=["error"]).round(6).to_csv(FOLDER / f"12_{name}.csv", index=False)
    print(name, len(table), flush=True)


if __name__ == "__main__":
    found = searched()
    record("search", found)
    names = [*PLAIN]
    best = found.groupby("trial").score.mean().idxmax()
    winner = found[found.trial == best].iloc[0][names].to_dict() | {
        "units": int(found.units[found.trial == best].iloc[0])
    }
    settings = {"winner": winner, "plain": PLAIN}
    options = {"executor": Processes(), "directory": BUILD / "sweep"}
    tables = [
        sweep(train, [values | {"wrong": 0.3}], range(1000, 1020), **options).assign(setting=name)
        for name, values in settings.items()
    ]
    others = [PLAIN | {"wrong": 0.3, "split": split} for split in range(1, 21)]
    tables.append(sweep(train, others, [1000], **options).assign(setting="plain, other images"))
    record("seeds", pd.concat(tables).drop(columns="seconds"))
    grid = {"units": [8, 16, 32, 64], "dropout": [0.0, 0.25], "learning_rate": [5e-3], "wrong": [0.0, 0.3]}
    longer = {"units": [8, 64], "dropout": [0.0, 0.25], "learning_rate": [5e-3], "wrong": [0.3], "epochs": [240]}
    tables = [sweep(train, some, range(n), **options) for some, n in ((grid, 10), (longer, 5))]
    record("dropout", pd.concat(tables).drop(columns="seconds"))
