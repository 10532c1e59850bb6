"""A search keeps every execution, refuses what is not its own, and goes on from any moment at which it was killed."""

from concurrent.futures import Future, ThreadPoolExecutor
import json
import os
import signal
from types import SimpleNamespace

from course import hypermodels, tuning, tuning_training
from course.datasets import digits
from course.tuning_alive import supervise
from course.tuning_engine import checked_objective
from course.tuning_oracle import make_oracle
from course.tuning_store import Store, read_json, write_json
from joblib.externals.loky import get_reusable_executor
import keras
import keras_tuner
from keras_tuner.engine.trial import TrialStatus
import numpy as np
import pandas as pd
import pytest
import search_target


def search(directory, **changes):
    return tuning.search(**{**search_target.define_short(), "directory": directory, "progress": False, **changes})


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """A finished search of four trials with two executions each."""
    return search(tmp_path_factory.mktemp("search") / "one")


# what a search returns


def test_every_execution_is_a_row_and_every_epoch_a_point(found):
    table = found.table
    assert table[["trial", "execution", "seed"]].to_numpy().tolist() == [
        [t, k, k] for t in range(4) for k in range(2)
    ]
    assert table["error"].isna().all()
    assert (table["attempts"] == 1).all()
    for row in table.itertuples():
        curve = found.curves.query("trial == @row.trial and execution == @row.execution")
        assert curve["epoch"].tolist() == [*range(1, row.epochs + 1)]
        assert row.score == row.val_loss == curve["val_loss"].min()
        assert curve.set_index("epoch")["val_loss"].idxmin() == row.best_epoch
        assert row.parameters == row.units * (row.units + 1 + 1) + row.units + 1


def test_a_training_can_be_repeated_by_hand(found):
    data, row = search_target.data(), found.table.iloc[3]
    values = {"units": int(row["units"]), "learning_rate": row["learning_rate"]}
    model = tuning.build(search_target.build, values, seed=int(row["seed"]))
    history = model.fit(
        data.x_train,
        data.y_train,
        batch_size=32,
        epochs=20,
        verbose=0,
        validation_data=(data.x_validation, data.y_validation),
    )
    np.testing.assert_allclose(min(history.history["val_loss"]), row["score"], rtol=1e-3)


def test_stored_weights_are_those_of_the_best_epoch(found):
    data, best = search_target.data(), found.trials().iloc[0]
    row = found.table.query("trial == @best.trial and execution == 1").iloc[0]
    model = tuning.build(search_target.build, found.best(), seed=5)
    model.load_weights(found.store.file(best["trial"], 1, "weights.h5"))
    loss = model.evaluate(data.x_validation, data.y_validation, batch_size=64, verbose=0)
    assert loss == pytest.approx(row["score"], rel=1e-4)


def test_trials_are_ranked_by_the_mean_over_executions(found):
    trials = found.trials()
    means = found.table.groupby("trial")["score"].mean().sort_values()
    assert trials["trial"].tolist() == means.index.tolist()
    np.testing.assert_allclose(trials["score"], means)
    assert (trials["low"] <= trials["score"]).all()
    assert found.best() == {name: trials.loc[0, name] for name in ("units", "learning_rate")}
    assert all(type(value) in (int, float) for value in found.best().values())


def test_table_is_on_disk_too(found):
    stored = pd.read_csv(found.store.directory / "table.csv")
    pd.testing.assert_frame_equal(stored.drop(columns="error"), found.table.drop(columns="error"))


@pytest.mark.parametrize("strategy", tuning.STRATEGIES)
def test_same_seed_gives_the_same_table_and_another_seed_another(tmp_path, strategy):
    small = {"executions": 1, "epochs": 4, "max_trials": 6, "strategy": strategy, "seed": 0}
    one, two = (search(tmp_path / name, **small).table.drop(columns="seconds") for name in "ab")
    pd.testing.assert_frame_equal(one, two)
    other = search(tmp_path / "c", **{**small, "seed": 1, "max_trials": 1}).table
    assert other["learning_rate"][0] != one["learning_rate"][0]


def test_hyperband_goes_on_with_the_best_of_a_round(tmp_path):
    result = search(tmp_path / "h", strategy="hyperband", executions=1, epochs=4, max_trials=8)
    state = read_json(result.store.oracle)["trials"]
    values = {int(name): trial["hyperparameters"]["values"] for name, trial in state.items()}
    later = {name: v for name, v in values.items() if v["tuner/round"]}
    assert later
    table, curves = result.table.set_index("trial"), result.curves.set_index("trial")
    for name, chosen in later.items():
        earlier = int(chosen["tuner/trial_id"])
        assert curves.loc[[name], "epoch"].min() == chosen["tuner/initial_epoch"] + 1
        assert table.loc[name, "units"] == values[earlier]["units"]
        assert (
            curves.loc[[name], "val_loss"].iloc[0] < 2 * table.loc[earlier, "score"]
        )  # from its weights, not new ones


# failures


def fails_with_some(hp):
    model = search_target.build(hp)
    if hp.get("units") > 10:
        raise MemoryError("too many units")
    return model


def test_a_training_that_raises_is_a_row_and_the_search_goes_on(tmp_path, capfd):
    with pytest.warns(UserWarning, match="of 6 trials failed"):
        result = search(tmp_path / "f", hypermodel=fails_with_some, executions=1, epochs=1, max_trials=6)
    failed = result.table["units"] > 10
    assert 0 < failed.sum() < 6
    assert (
        (failed & failed.shift(1) & failed.shift(2)).iloc[2:-1].any()
    )  # Keras Tuner alone ends a search after three
    assert (result.table["error"] == "MemoryError: too many units").tolist() == failed.tolist()
    assert result.table["score"].isna().tolist() == failed.tolist()
    assert result.trials()["score"].isna().tolist() == sorted(failed)
    assert capfd.readouterr() == ("", "")


def diverges(hp):
    model = search_target.build(hp)
    model.compile(keras.optimizers.SGD(hp.Choice("rate", [1e30, 1e35])), "mse")
    return model


def test_a_loss_of_nan_is_told_with_its_epoch_and_there_is_no_best(tmp_path):
    with pytest.warns(UserWarning, match="2 of 2 trials failed"):
        result = search(tmp_path / "n", hypermodel=diverges, executions=1, max_trials=2)
    assert result.table["error"].str.match(r"ValueError: the loss is (nan|inf) in epoch 1").all()
    with pytest.raises(ValueError, match="every trial failed; the first error: ValueError: the loss is"):
        result.best()


def with_metric_error(hp):
    model = search_target.build(hp)
    model.compile("sgd", hp.Choice("loss", ["mse"]), metrics=[keras.metrics.MeanAbsoluteError(name="error")])
    return model


def dies(hp):
    if os.getpid() != int(os.environ["SEARCHING"]):  # not where the model is checked
        os.kill(os.getpid(), signal.SIGKILL)
    return search_target.build(hp)


def test_a_training_that_takes_its_process_down_is_a_row(tmp_path, monkeypatch):
    monkeypatch.setenv("SEARCHING", str(os.getpid()))
    get_reusable_executor().shutdown()  # processes made from here on have the variable
    with pytest.warns(UserWarning, match="2 of 2 trials failed"):
        result = search(tmp_path / "d", hypermodel=dies, executions=1, max_trials=2)
    assert result.table["error"].str.startswith("the process died: ").all()
    assert result.trials()["error"].notna().all()
    with pytest.raises(ValueError, match="every trial failed; the first error: the process died"):
        result.best()


class CannotBeLoaded:
    def __init__(self):
        self.state = 1

    def __call__(self, hp):
        return search_target.build(hp)

    def __setstate__(self, state):
        raise ImportError("not here")


def test_what_other_processes_cannot_load_is_told_and_no_outcome_of_a_trial(tmp_path):
    with pytest.raises(ValueError, match="hypermodel and data must be such that other processes can load them"):
        search(tmp_path / "l", hypermodel=CannotBeLoaded(), executions=1, max_trials=1)
    assert not list((tmp_path / "l").rglob("execution_*.json"))


def test_a_metric_called_like_a_column_or_a_choice_is_a_failure(tmp_path):
    with pytest.warns(UserWarning, match="1 of 1 trials failed"):
        table = search(tmp_path / "m", hypermodel=with_metric_error, executions=1, max_trials=1).table
    assert "may have one name, got ['error', 'loss']" in table["error"][0]


# going on


def test_a_finished_search_returns_at_once_and_goes_on_with_more_trials(tmp_path):
    first = search(tmp_path / "s", executions=1, epochs=2, max_trials=2).table
    again = search(tmp_path / "s", executions=1, epochs=2, max_trials=2).table
    pd.testing.assert_frame_equal(first, again)  # the seconds too: nothing was trained
    more = search(tmp_path / "s", executions=1, epochs=2, max_trials=4).table
    pd.testing.assert_frame_equal(first, more[:2])
    whole = search(tmp_path / "w", executions=1, epochs=2, max_trials=4).table
    pd.testing.assert_frame_equal(more.drop(columns="seconds"), whole.drop(columns="seconds"))


class Killed(BaseException):
    """Stands for SIGKILL: nothing may handle it."""


@pytest.fixture
def trained(monkeypatch):
    """Instead of trainings, which take seconds, made-up outcomes; the paths of the weights of those asked for."""
    import course.tuning_engine as engine

    paths = []

    def submit(function, hyperparameters, weights, seed, **others):
        paths.append(weights)
        loss = abs(hyperparameters.values["units"] - 20) + seed
        weights.write_text("")
        row = {"score": loss, "best_epoch": 1, "epochs": 1, "parameters": 1, "seconds": 0.0}
        row |= {"loss": loss, "val_loss": loss, "curve": [{"epoch": 1, "loss": loss, "val_loss": loss}]}
        future = Future()
        future.set_result(tuning_training.blank(seed) | row)
        return future

    monkeypatch.setattr(engine, "get_reusable_executor", lambda *args, **options: SimpleNamespace(submit=submit))
    return paths


def cheap(hp):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(hp.Int("units", 2, 60))])
    model.compile("sgd", "mse")
    return model


@pytest.mark.parametrize("strategy", tuning.STRATEGIES)
def test_killed_before_or_after_any_write_nothing_is_lost_or_trained_twice(tmp_path, monkeypatch, trained, strategy):
    """Every write in turn is the last of its process."""
    import course.tuning_store as store_module

    trials = 4 if strategy == "bayesian" else 5  # one fit of its Gaussian process takes half a second
    plain = {"strategy": strategy, "max_trials": trials, "epochs": 3, "hypermodel": cheap}
    whole = search(tmp_path / "whole", **plain).table
    replace, writes = store_module.os.replace, 0

    def counting(old, new):
        nonlocal writes
        writes += 1
        if writes == last and before:
            raise Killed
        replace(old, new)
        if writes == last:
            raise Killed

    monkeypatch.setattr(store_module.os, "replace", counting)
    last, before = 0, True
    search(tmp_path / "count", **plain)
    number = writes
    assert number > 3 * trials
    for last in range(1, number + 1):
        for before in (True, False):
            directory = tmp_path / f"{last}{before}"
            writes = 0
            with pytest.raises(Killed):
                search(directory, **plain)
            recorded = {path: path.read_text() for path in directory.glob("trial_*/execution_*.json")}
            writes = -(10**9)
            trained.clear()
            table = search(directory, **plain).table
            assert all(path.read_text() == text for path, text in recorded.items())  # nothing is lost
            assert not {path.with_suffix("").with_suffix(".json") for path in trained} & {*recorded}  # or done again
            assert table["attempts"].sum() - len(table) <= 2  # the executions of one trial at most
            drawn = ["units", "score"]
            pd.testing.assert_frame_equal(table[drawn], whole[drawn])  # as if nothing had happened


def test_trials_and_executions_stand_in_the_order_of_their_numbers(tmp_path, trained):
    plain = {"directory": tmp_path / "s", "hypermodel": cheap, "executions": 11}
    first = search(**plain, max_trials=np.int64(9)).table  # Keras Tuner calls the tenth trial 09, and the first 0
    more = search(**plain, max_trials=11)
    pd.testing.assert_frame_equal(first, more.table[: len(first)])
    numbers = [[trial, execution] for trial in range(11) for execution in range(11)]
    assert more.table[["trial", "execution"]].to_numpy().tolist() == numbers
    assert more.curves[["trial", "execution"]].to_numpy().tolist() == numbers


def nested(hp):
    model, cells = cheap(hp), hp.Choice("cell", ["LSTM", "GRU"])
    for cell in ("LSTM", "GRU"):
        with hp.conditional_scope("cell", [cell]):
            if cells == cell:
                hp.Int("depth", 2, 9)
    return model


def test_choices_that_only_some_trials_have_keep_their_type(tmp_path, trained):
    result = search(tmp_path / "s", hypermodel=nested, executions=1, max_trials=6)
    assert sorted(result.choices) == ["cell", "depth", "units"]
    chosen = [result.store.chosen(trial) for trial in range(6)]
    assert {type(values["depth"]) for values in chosen if "depth" in values} == {int}
    assert result.best() == chosen[result.trials()["trial"][0]]


def test_what_a_chief_has_left_is_finished_in_one_process(tmp_path, trained):
    plain = {"directory": tmp_path / "s", "hypermodel": cheap, "executions": 1}
    search(**plain, max_trials=1)
    oracle = bare_oracle(tmp_path, trials=4)
    oracle.path = tmp_path / "s" / "oracle.json"
    oracle.reload()
    assert {oracle.create_trial(name).trial_id for name in "12"} == {"1", "2"}
    oracle.save()
    trained.clear()
    assert search(**plain, max_trials=4).table["trial"].tolist() == [0, 1, 2, 3]
    assert len(trained) == 3


def test_a_trial_that_has_left_nothing_is_told(tmp_path, trained):
    plain = {"directory": tmp_path / "s", "hypermodel": cheap, "executions": 1, "max_trials": 2}
    (search(**plain).store.directory / "trial_1" / "execution_0.json").unlink()
    with pytest.warns(UserWarning, match="what trial 1 has left is not in"):
        search(**plain)


# the oracle, as chief of several workers


def bare_oracle(tmp_path, strategy="random", seed=0, trials=9):
    plan = {**search_target.define(trials), "strategy": strategy, "seed": seed}
    oracle = make_oracle({**plan, "objective": checked_objective("val_loss")})
    oracle.path = tmp_path / "oracle.json"
    oracle._set_project_dir(str(tmp_path), "project")
    hp = keras_tuner.HyperParameters()
    search_target.build(hp)
    oracle.update_space(hp)
    return oracle


def oracle_with_two_workers(tmp_path):
    oracle = bare_oracle(tmp_path, trials=2)
    return oracle, oracle.create_trial("a"), oracle.create_trial("b")


def end(oracle, trial, loss=1.0):
    oracle.update_trial(trial.trial_id, {"val_loss": loss})
    trial = type(trial).from_proto(trial.to_proto())  # as it comes over the network
    trial.status = TrialStatus.COMPLETED
    oracle.end_trial(trial)


def test_who_asks_while_others_run_is_told_to_wait_and_gets_what_they_leave(tmp_path):
    oracle, first, second = oracle_with_two_workers(tmp_path)
    end(oracle, first)
    assert oracle.create_trial("a").status == TrialStatus.IDLE
    assert oracle.forget("b") == second.trial_id
    assert oracle.create_trial("a").trial_id == second.trial_id
    end(oracle, second)
    assert oracle.create_trial("a").status == TrialStatus.STOPPED
    assert oracle.finished
    assert not oracle.workers()


def test_a_worker_given_up_that_comes_back_ends_its_trial_once(tmp_path):
    oracle, _, second = oracle_with_two_workers(tmp_path)
    oracle.forget("b")
    end(oracle, second, loss=3.0)
    assert oracle._retry_queue == []  # nobody needs to do it again
    end(oracle, second, loss=7.0)
    assert oracle.end_order == [second.trial_id]
    assert oracle.trials[second.trial_id].score == 3.0


def test_a_chief_that_comes_back_leaves_the_workers_their_trials(tmp_path):
    oracle, first, _ = oracle_with_two_workers(tmp_path)
    back, *_ = oracle_with_two_workers(tmp_path / "other")
    back.path = oracle.path
    back.reload()
    assert back.create_trial("a").trial_id == first.trial_id
    assert back.ongoing_trials.keys() == {"a", "b"}


def test_a_chief_killed_between_a_trials_score_and_its_end_knows_the_score(tmp_path):
    oracle, first, _ = oracle_with_two_workers(tmp_path)
    oracle.update_trial(first.trial_id, {"val_loss": 3.0})
    back = bare_oracle(tmp_path, trials=2)
    back.reload()
    first.status = TrialStatus.COMPLETED
    back.end_trial(first)
    assert back.trials[first.trial_id].score == 3.0


def test_a_call_that_raises_does_not_lock_the_oracle_and_ends_the_chief(tmp_path, monkeypatch):
    oracle, first, _ = oracle_with_two_workers(tmp_path)

    def full():
        raise OSError("disk full")

    monkeypatch.setattr(oracle, "save", full)
    with ThreadPoolExecutor() as server:
        with pytest.raises(OSError, match="disk full"):
            server.submit(oracle.update_trial, first.trial_id, {"val_loss": 3.0}).result(timeout=9)
        assert server.submit(oracle.workers).result(timeout=9) == {"a", "b"}
    with pytest.raises(OSError, match="disk full"):
        supervise(oracle, Store(tmp_path), SimpleNamespace(silence=60, wait=60))


@pytest.mark.parametrize("strategy", ["random", "bayesian"])
def test_searches_with_seeds_side_by_side_try_different_settings(tmp_path, strategy):
    drawn = []
    for seed in (0, 1, 2):  # Keras Tuner alone gives seed 2 the second trial of seed 0 as its first
        oracle = bare_oracle(tmp_path / str(seed), strategy, seed)
        drawn += [oracle.create_trial(name).hyperparameters.values["learning_rate"] for name in "abc"]
    assert len({*drawn}) == 9


def test_a_bayesian_search_goes_on_with_its_random_numbers(tmp_path):
    oracle, back = (bare_oracle(tmp_path, "bayesian") for _ in range(2))
    oracle._random_state.uniform(size=7)
    oracle.save()
    back.reload()
    assert back._random_state.uniform() == oracle._random_state.uniform()


def test_a_training_ends_with_the_process_that_asked_for_it(monkeypatch):
    left = []
    monkeypatch.setattr(tuning_training.os, "_exit", left.append)
    tuning_training._EndWithParent(os.getppid()).on_train_batch_end(0)
    assert left == []
    tuning_training._EndWithParent(-1).on_train_batch_end(0)
    assert left == [1]


# files


def test_a_file_is_there_as_a_whole_or_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    write_json(path, {"a": 1})
    with pytest.raises(TypeError):
        write_json(path, {"a": object()})
    monkeypatch.setattr("course.tuning_store.os.replace", lambda *names: (_ for _ in ()).throw(Killed))
    with pytest.raises(Killed):
        write_json(path, {"a": 2})
    assert json.loads(path.read_text()) == {"a": 1}
    assert read_json(tmp_path / "b.json") is None


# bad input

DATA = search_target.data()


def not_compiled(hp):
    return keras.Sequential([keras.Input((5, 1)), keras.layers.SimpleRNN(hp.Int("units", 2, 9))])


def no_input(hp):
    model = keras.Sequential([keras.layers.Dense(hp.Int("units", 2, 9))])
    model.compile("sgd", "mse")
    return model


def calls_a_choice_epochs(hp):
    hp.Int("epochs", 2, 9)
    return search_target.build(hp)


def raises(hp):
    raise KeyError("units")


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"strategy": "grid"}, ValueError, "strategy must be one of 'random', 'hyperband', 'bayesian', got 'grid'"),
        ({"max_trials": 0}, ValueError, "max_trials must be at least 1, got 0"),
        ({"max_trials": 2.5}, TypeError, "max_trials must be an integer, got 2.5"),
        ({"executions": 0}, ValueError, "executions must be at least 1"),
        ({"epochs": 0}, ValueError, "epochs must be at least 1"),
        ({"patience": 0}, ValueError, "patience must be at least 1"),
        ({"batch_size": -1}, ValueError, "batch_size must be at least 1"),
        ({"seed": -1}, ValueError, "seed must be at least 0"),
        ({"objective": "val_beauty"}, ValueError, "objective must be a metric that Keras knows"),
        ({"objective": 3}, ValueError, "objective must be a metric that Keras knows"),
        ({"objective": None}, ValueError, "objective must be a metric that Keras knows"),
        ({"objective": ["loss", "val_loss"]}, ValueError, "objective must be a metric that Keras knows"),
        ({"directory": 3}, TypeError, "directory must be a path, got 3"),
        ({"hypermodel": 3}, TypeError, "hypermodel must be a function of HyperParameters or a HyperModel, got 3"),
        ({"hypermodel": not_compiled}, ValueError, "hypermodel must make a compiled keras.Model"),
        ({"hypermodel": no_input}, ValueError, "that starts with a keras.Input"),
        ({"hypermodel": raises}, ValueError, "hypermodel must make a compiled model; it raised KeyError"),
        ({"hypermodel": lambda hp: 3}, ValueError, "hypermodel must make a compiled keras.Model"),
        (
            {"hypermodel": calls_a_choice_epochs},
            ValueError,
            r"otherwise than the table its columns, got \['epochs'\]",
        ),
        ({"data": 3}, ValueError, "data must have x_train and y_train, got int"),
        (
            {"data": SimpleNamespace(x_train=[1], y_train=[1])},
            ValueError,
            "data must have x_validation and y_validation",
        ),
        (
            {"data": SimpleNamespace(**{**vars(DATA), "y_train": DATA.y_train[1:]})},
            ValueError,
            "as many x_train as y_train, got 64 and 63",
        ),
    ],
)
def test_bad_arguments_are_refused_before_anything_is_written(tmp_path, change, error, message):
    with pytest.raises(error, match=message):
        search(**{"directory": tmp_path / "new", **change})
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"executions": 1}, r"executions \(2 there, 1 now\) differ"),
        ({"seed": 3}, r"seed \(0 there, 3 now\)"),
        ({"strategy": "bayesian"}, "strategy"),
        ({"hypermodel": no_input}, "hypermodel must make"),
        ({"hypermodel": fails_with_some}, "hypermodel differ"),
        ({"data": search_target.data(65)}, "data differ"),
        ({"objective": "loss"}, "objective differ"),
    ],
)
def test_the_results_of_another_search_are_left_alone(found, change, told):
    directory = found.store.directory
    before = {path: path.read_bytes() for path in directory.rglob("*") if path.is_file()}
    with pytest.raises(ValueError, match=told):
        search(directory, **change)
    assert before == {path: path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_other_files_are_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("all of it")
    with pytest.raises(ValueError, match="directory must be new, empty or of this search"):
        search(tmp_path)
    with pytest.raises(ValueError, match=r"directory must be a folder, got .*thesis.txt', which is a file"):
        search(tmp_path / "thesis.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_two_searches_do_not_share_a_directory(found):
    plan = tuning.planned({**search_target.define_short(), "strategy": "random", "batch_size": 32, "seed": 0})
    with Store(found.store.directory).opened(plan), pytest.raises(ValueError, match="directory is in use"):
        search(found.store.directory)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"shape": (8,)}, ValueError, r"shape must be \(T, D\)"),
        ({"shape": (8, 0)}, ValueError, "shape must be at least 1"),
        ({"classes": 1}, ValueError, "classes must be at least 2"),
        ({"cell": "Transformer"}, ValueError, "cell must be one of 'RNN', 'LSTM'"),
        ({"cell": []}, ValueError, "cell must hold at least one value"),
        ({"units": 0}, ValueError, "units must be at least 1"),
        ({"units": (8, 4)}, ValueError, r"units must be a list of choices, a range \(low, high\) with low above 0"),
        ({"units": (4, 8, 16)}, ValueError, "units must be a list of choices, a range"),
        ({"units": 2.5}, TypeError, "units must be an integer"),
        ({"layers": [1, 0]}, ValueError, "layers must be at least 1, got 0"),
        ({"dropout": 1.0}, ValueError, "dropout must be below 1"),
        ({"dropout": (0, "half")}, TypeError, "dropout must be a number"),
        ({"recurrent_dropout": -0.1}, ValueError, "recurrent_dropout must be at least 0"),
        ({"weight_decay": (0, 1)}, ValueError, "weight_decay must be a list .* low above 0"),
        ({"learning_rate": 0}, ValueError, "learning_rate must be above 0"),
    ],
)
def test_bad_spaces_are_refused(change, error, message):
    with pytest.raises(error, match=message):
        tuning.build_hypermodel(**{"shape": (8, 8), "classes": 10, **change})


# the hypermodel


def values_of(hypermodel):
    hp = keras_tuner.HyperParameters()
    return hypermodel(hp), hp


def test_hypermodel_declares_what_is_searched_and_nothing_else():
    given = {"units": (4, 64), "layers": [1, 2], "dropout": (0, 0.6), "learning_rate": 0.01, "cell": ["LSTM", "RNN"]}
    _, hp = values_of(tuning.build_hypermodel((8, 8), 10, **given))
    kinds = {p.name: type(p).__name__ for p in hp.space}
    assert kinds == {"cell": "Choice", "units": "Int", "layers": "Choice", "dropout": "Float"}
    units, dropout = (next(p for p in hp.space if p.name == name) for name in ("units", "dropout"))
    assert (units.min_value, units.max_value, units.sampling) == (4, 64, "log")
    assert (dropout.min_value, dropout.max_value, dropout.sampling) == (0, 0.6, "linear")


@pytest.mark.parametrize("cell", hypermodels.CELLS)
def test_hypermodel_builds_what_was_chosen(cell):
    given = {"cell": cell, "units": 5, "layers": 2, "dropout": 0.25, "recurrent_dropout": 0.5, "weight_decay": 0.01}
    model, hp = values_of(tuning.build_hypermodel((8, 4), 3, **given, learning_rate=0.02))
    assert not hp.space
    kinds = [type(layer).__name__ for layer in model.layers]
    assert kinds == ["RNN", "SpatialDropout1D", "RNN", "Dropout", "Dense"]
    lower, spatial, upper, dropout, dense = model.layers
    assert type(lower.cell).__name__ == f"{cell}Cell"
    assert [lower.cell.units, upper.cell.units, lower.cell.recurrent_dropout] == [5, 5, 0.5]
    assert (spatial.rate, dropout.rate, dense.units) == (0.25, 0.25, 3)
    assert float(model.optimizer.learning_rate) == pytest.approx(0.02)
    assert model.optimizer.weight_decay == 0.01


def test_dropout_drops_the_same_units_at_all_time_steps():
    model, _ = values_of(tuning.build_hypermodel((8, 4), 3, cell="RNN", units=50, layers=2, dropout=0.5))
    kept = keras.ops.convert_to_numpy(model.layers[1](np.ones((2, 8, 50), "float32"), training=True)) > 0
    assert (kept == kept[:, :1]).all()
    assert 0.2 < kept[:, 0].mean() < 0.8


def test_the_lessons_model_learns_the_digits(tmp_path):
    data = digits("row", train=160, validation=100)
    hypermodel = tuning.build_hypermodel((8, 8), 10, units=[32], cell="GRU", dropout=0.0, learning_rate=[1e-2])
    result = tuning.search(hypermodel, data, max_trials=1, epochs=15, directory=tmp_path / "digits", progress=False)
    assert result.table["score"][0] > 0.7  # guessing scores 0.1
