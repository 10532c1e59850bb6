"""The tuners: Keras Tuner's interface, every training a row, nothing lost, nothing trained again."""

import functools
import json
from multiprocessing import current_process
import os
from pathlib import Path
import shutil
import sys

from course.experiments import Processes, store
from course.tuning import BayesianOptimization, Hyperband, RandomSearch, tuners
import keras
import keras_tuner
import numpy as np
import pandas as pd
import pytest

rng = np.random.default_rng(0)
x, y = rng.normal(size=(32, 2, 2)).astype("float32"), rng.integers(0, 3, 32)
DATA = {"x": x, "y": y, "validation_data": (x[:16], y[:16]), "epochs": 2, "batch_size": 16}


def build(hp):
    model = keras.Sequential([keras.Input((2, 2)), keras.layers.SimpleRNN(hp.Int("units", 2, 16, sampling="log"))])
    model.add(keras.layers.Dropout(hp.Float("dropout", 0.0, 0.5)))
    model.add(keras.layers.Dense(3))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    optimizer = keras.optimizers.Adam(hp.Float("rate", 1e-3, 0.1, sampling="log"))
    model.compile(optimizer, loss, metrics=["accuracy"], run_eagerly=True)
    return model


def random_search(folder, build=build, **options):
    options = {"objective": "val_accuracy", "max_trials": 3, "executions_per_trial": 2, "seed": 1} | options
    return RandomSearch(build, directory=str(folder), project_name="test", **options)


def searched(folder, **options):
    tuner = random_search(folder, **options)
    tuner.search(**DATA, verbose=0)
    return tuner


def without_times(tuner):
    return tuner.executions().drop(columns="seconds")


KINDS = {
    RandomSearch: {"max_trials": 2, "executions_per_trial": 2},
    BayesianOptimization: {"max_trials": 3, "num_initial_points": 2},
    Hyperband: {"max_epochs": 2, "factor": 2},
}


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: kind.__name__)
def make(request):
    """Return a function of a folder that returns a tuner of each kind."""
    given = {"objective": "val_accuracy", "seed": 3, "project_name": "test", **KINDS[request.param]}
    return lambda folder: request.param(build, directory=str(folder), **given)


@pytest.fixture(scope="module")
def whole(make, tmp_path_factory):
    """Return a finished search of each kind, for reading."""
    tuner = make(tmp_path_factory.mktemp("whole"))
    tuner.search(**DATA, verbose=0)
    return tuner


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """Return a finished random search of three trials of two executions, for reading."""
    return searched(tmp_path_factory.mktemp("found"))


def test_every_training_is_a_row_and_every_epoch_one_of_the_curves(found):
    frame, curves = found.executions(), found.curves()
    assert list(frame) == ["trial", "execution", "seed", "units", "dropout", "rate", "score", "best_epoch", "epochs",
                           "seconds", "parameters", "error"]  # fmt: skip
    assert frame[["trial", "execution", "seed"]].to_numpy().tolist() == [
        [t, k, 1 + k] for t in range(3) for k in (0, 1)
    ]
    for row in frame.itertuples():
        own = curves[(curves.trial == row.trial) & (curves.execution == row.execution)]
        assert own.epoch.tolist() == [1, 2]
        assert row.score == own.val_accuracy.max()
        assert row.best_epoch == own.epoch[own.val_accuracy.idxmax()]
    H = frame.units
    assert (frame.parameters == H * (2 + H + 1) + 3 * (H + 1)).all()


def test_the_interface_is_keras_tuners(found, capsys):
    tuner = found
    assert isinstance(tuner, keras_tuner.RandomSearch)
    means = tuner.executions().groupby("trial").score.mean()
    best = tuner.oracle.get_best_trials()[0]
    assert best.score == pytest.approx(means.max())
    assert tuner.get_best_hyperparameters()[0].values == best.hyperparameters.values
    tuner.results_summary()
    assert f"Score: {best.score}" in capsys.readouterr().out


def test_the_best_model_has_the_weights_of_its_best_epoch(found):
    tuner = found
    model, trial = tuner.get_best_models()[0], tuner.oracle.get_best_trials()[0]
    accuracy = model.evaluate(*DATA["validation_data"], verbose=0, return_dict=True)["accuracy"]
    frame = tuner.executions()
    assert accuracy == pytest.approx(frame.score[frame.trial == int(trial.trial_id)].max())


def test_a_finished_search_asked_again_trains_nothing(whole, make, monkeypatch):
    monkeypatch.setattr(tuners, "train", lambda *given: pytest.fail("trained again"))
    again = make(whole.directory)
    again.search(**DATA, verbose=0)
    pd.testing.assert_frame_equal(again.executions(), whole.executions())
    pd.testing.assert_frame_equal(again.curves(), whole.curves())


def test_a_longer_search_begins_with_the_shorter_one(found, tmp_path):
    folder, seen = shutil.copytree(found.directory, tmp_path / "longer"), []
    longer = random_search(folder, max_trials=4)
    original, tuners.train = tuners.train, lambda *given: seen.append(given[2]) or original(*given)
    try:
        longer.search(**DATA, verbose=0)
    finally:
        tuners.train = original
    assert seen == [1, 2]
    pd.testing.assert_frame_equal(longer.executions()[:6], found.executions())


def test_the_same_seed_gives_the_same_table(whole, make, tmp_path):
    again = make(tmp_path)
    again.search(**DATA, verbose=0)
    pd.testing.assert_frame_equal(without_times(again), without_times(whole))


def test_neighbouring_seeds_try_different_settings_and_0_is_a_seed(tmp_path):
    def settings(seed, name):
        tuner = random_search(tmp_path / name, seed=seed)
        return {tuple(tuner.oracle.create_trial(str(k)).hyperparameters.values.items()) for k in range(3)}

    zero, again, one = settings(0, "a"), settings(0, "b"), settings(1, "c")
    assert zero == again
    assert not zero & one


def test_on_processes_the_table_is_the_same(found, tmp_path):
    here, there = found, searched(tmp_path, executor=Processes(2))
    pd.testing.assert_frame_equal(without_times(here), without_times(there), check_exact=False, rtol=1e-4)


class Killed(BaseException):
    """As SIGKILL: nothing catches it."""


def test_killed_between_any_two_writes_nothing_is_lost_or_trained_again(tmp_path, make, whole, monkeypatch):
    writes, trained = [], []
    original_train, original_write = tuners.train, store.write

    def cheap(hypermodel, hyperparameters, seed, *others):
        """As recorded by the whole search: what is tested is not the training."""
        rows = whole.executions()
        for trial in whole.oracle.trials.values():
            if trial.hyperparameters.values == hyperparameters.values:
                k = str(seed - whole.seed)
                outcome = whole.outcomes[trial.trial_id][k]
                trained.append((trial.trial_id, k))
                return outcome["row"], outcome["curve"], whole._weights(trial.trial_id, k)
        raise AssertionError(f"not in the whole search: {hyperparameters.values}, {len(rows)}")

    def count(path, content):
        original_write(path, content)
        writes.append(path.name)

    monkeypatch.setattr(tuners, "train", cheap)
    monkeypatch.setattr(store, "write", count)
    make(tmp_path / "counted").search(**DATA, verbose=0)
    number, trained[:] = len(writes), []
    assert number > 2 * len(whole.executions())
    for place in range(number):  # after a write the directory is as it is before the next
        left, folder = place, tmp_path / str(place)

        def dying(path, content):
            nonlocal left
            if left == 0:
                raise Killed
            left -= 1
            original_write(path, content)

        trained[:] = []
        monkeypatch.setattr(store, "write", dying)
        with pytest.raises(Killed):
            make(folder).search(**DATA, verbose=0)
        monkeypatch.setattr(store, "write", original_write)
        again = make(folder)
        cut_short = len(trained) - len(again.executions())
        assert cut_short in (0, 1)
        again.search(**DATA, verbose=0)
        assert len(trained) == len(whole.executions()) + cut_short
        pd.testing.assert_frame_equal(without_times(make(folder)), without_times(whole))
    assert original_train is not tuners.train


def failing(hp):
    units = hp.Choice("units", [2, 3, 4], ordered=True)
    if units == 3:
        raise ArithmeticError("three")
    model = keras.Sequential([keras.Input((2, 2)), keras.layers.SimpleRNN(units), keras.layers.Dense(3)])
    rate = 1e38 if units == 4 else 1e-3
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(rate), loss, metrics=["accuracy"], run_eagerly=True)
    return model


def test_a_training_that_raises_or_gives_nan_is_a_row_and_the_search_goes_on(tmp_path):
    tuner = random_search(tmp_path, failing, max_trials=3, executions_per_trial=1)
    with pytest.warns(UserWarning, match="2 of 3 trials failed; the first: "):
        tuner.search(**DATA, verbose=0)
    frame = tuner.executions().set_index("units")
    assert frame.error[3] == "ArithmeticError: three"
    assert "ValueError: the loss is " in frame.error[4]
    assert frame.error[2] is None
    assert frame.score.isna().to_dict() == {2: False, 3: True, 4: True}


def lethal(hp):
    if hp.Choice("units", [2, 3], ordered=True) == 3 and current_process().name != "MainProcess":
        os._exit(3)
    return failing(hp)


def test_a_training_that_takes_its_process_down_is_a_row_and_the_others_are_whole(tmp_path):
    tuner = random_search(tmp_path, lethal, max_trials=2, executions_per_trial=1, executor=Processes(1))
    with pytest.warns(UserWarning, match="1 of 2 trials failed"):
        tuner.search(**DATA, verbose=0)
    frame = tuner.executions().set_index("units")
    assert "TerminatedWorkerError" in frame.error[3]
    assert frame.error[2] is None


def test_what_processes_cannot_load_is_an_error_that_says_so(tmp_path):
    tuner = random_search(tmp_path, max_trials=1, executor=Processes(2))
    with pytest.warns(UserWarning, match="(?i)pickl"):
        tuner.search(**DATA, callbacks=[Unpicklable()], verbose=0)
    assert tuner.executions().error.str.contains("(?i)pickl").all()


class Unpicklable(keras.callbacks.Callback):
    def __reduce__(self):
        raise TypeError("cannot be pickled")


class OwnFit(keras_tuner.HyperModel):
    def build(self, hp):
        return build(hp)

    def fit(self, hp, model, *args, **kwargs):
        return {"val_accuracy": hp.get("dropout")}


def test_a_hypermodel_of_your_own_may_fit_as_it_likes(tmp_path):
    tuner = searched(tmp_path, build=OwnFit())
    frame = tuner.executions()
    assert (frame.score == frame.dropout).all()
    assert tuner.curves().empty


def test_callbacks_stop_a_training_and_stay_as_they_were(tmp_path):
    stop = keras.callbacks.EarlyStopping("val_accuracy", patience=0, mode="min", baseline=-1.0)
    tuner = random_search(tmp_path, max_trials=1)
    tuner.search(**DATA | {"epochs": 9}, callbacks=[stop], verbose=0)
    assert len(frame := tuner.executions()) == 2
    assert (frame.epochs < 9).all()


def other_seed(folder):
    random_search(folder, seed=2).search(**DATA, verbose=0)


def other_data(folder):
    random_search(folder).search(**DATA | {"y": 2 - y}, verbose=0)


def other_epochs(folder):
    random_search(folder).search(**DATA | {"epochs": 3}, verbose=0)


def other_build(folder):
    random_search(folder, failing).search(**DATA, verbose=0)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (other_seed, "seed"),
        (other_data, "arguments of search"),
        (other_epochs, "arguments of search"),
        (other_build, "function"),
    ],
)
def test_what_another_search_has_left_is_refused(found, tmp_path, change, named):
    shutil.copytree(found.directory, tmp_path, dirs_exist_ok=True)
    with pytest.raises(ValueError, match="directory holds results that something else has made") as refused:
        change(tmp_path)
    assert named in str(refused.value)
    pd.testing.assert_frame_equal(random_search(tmp_path).executions(), found.executions())


def test_a_second_search_in_the_same_directory_is_refused(tmp_path):
    class Again(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            random_search(tmp_path).search(**DATA, verbose=0)

    tuner = random_search(tmp_path, max_trials=1, executions_per_trial=1)
    with pytest.warns(UserWarning, match="directory is in use by a search that is running"):
        tuner.search(**DATA, callbacks=[Again()], verbose=0)


def test_the_state_is_one_file_beside_the_weights(found):
    tuner = found
    names = sorted(path.name for path in Path(tuner.project_dir).iterdir())
    weights = sorted(f"trial_{t}_execution_{k}.npz" for t in range(3) for k in (0, 1))
    assert names == ["lock", "search.json", *weights]
    assert json.loads((Path(tuner.project_dir) / "search.json").read_text())["made_by"]["seed"] == 1


def clash(hp):
    hp.Int("epochs", 1, 2)
    return failing(hp)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"seed": -1}, ValueError, "seed must be at least 0"),
        ({"seed": 0.5}, TypeError, "seed must be an integer"),
        ({"seed": 20_001}, ValueError, "seed must be at most"),
        ({"executor": 2}, TypeError, "executor must be a concurrent.futures.Executor"),
        ({"max_retries_per_trial": 1}, ValueError, "max_retries_per_trial must be 0"),
        ({"build": clash}, ValueError, "hypermodel must name its choices otherwise.*epochs"),
    ],
)
def test_bad_input_is_named(tmp_path, options, error, message):
    with pytest.raises(error, match=message):
        random_search(tmp_path, **options)


def test_an_objective_that_is_not_in_the_logs_is_the_error_of_every_row(tmp_path):
    objective = keras_tuner.Objective("val_f1", "max")
    with pytest.warns(UserWarning, match="objective must be one of the logs .*got 'val_f1'"):
        searched(tmp_path, objective=objective, max_trials=1)


def test_the_bar_is_on_standard_output_and_gone_when_done(tmp_path, capsys):
    random_search(tmp_path, OwnFit(), max_trials=1).search(**DATA)
    out, err = capsys.readouterr()
    assert err == ""
    assert "best val_accuracy" in out
    assert out.split("\r")[-1].strip() == ""


def test_partial_functions_are_told_by_what_they_call(tmp_path):
    assert store.made_by(functools.partial(build))["function"] == "build"
    assert sys.modules[__name__].__file__
