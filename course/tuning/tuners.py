"""`RandomSearch`, `Hyperband` and `BayesianOptimization` of Keras Tuner, whose trainings are kept one by one.

    tuner = RandomSearch(build, objective="val_accuracy", max_trials=20, executions_per_trial=2, seed=0,
                         directory="runs", project_name="digits", executor=Processes())
    tuner.search(x, y, validation_data=(x_val, y_val), epochs=30)
    tuner.results_summary()
    tuner.executions()      # one row per training

A *trial* is one choice of hyperparameters, an *execution* one training with it, from one seed. Keras Tuner keeps the
mean of a trial's executions, trains one after the other, and can lose trials when it is killed; everything else is as
its own documentation says. In the directory of a search stand search.json, which is all of its state and is replaced
at once, after every training, and the best weights of each execution.
"""

from collections import deque
from inspect import signature
import io
import json
from pathlib import Path
import random
import sys
import warnings

from course import arguments
from course.experiments import executors, store
from course.tuning.training import train
from filelock import FileLock, Timeout
import joblib
import keras
import keras_tuner
from keras_tuner.engine.trial import Trial, TrialStatus
import numpy as np
import pandas as pd
from tqdm import tqdm

COLUMNS = ("trial", "execution", "seed", "score", "best_epoch", "epochs", "seconds", "parameters", "error")
_BLANK = {"score": None, "best_epoch": None, "epochs": 0, "seconds": None, "parameters": None, "error": None}


class Recorded:
    """Comes before one of Keras Tuner's tuners. All arguments are Keras Tuner's, but for:

    executor: a `concurrent.futures.Executor` that trains, as many at once as it has workers; None trains here. What
        it shall train must be such that its processes can load it, as arrays and functions are.
    seed: 0 to 20,000, and 0 is a seed. Neighbouring seeds try different settings. Execution k of every trial trains from
        seed + k. None draws one.
    max_retries_per_trial: 0. A training that raises, gives NaN or takes its process down is a row with its error,
        its trial has failed, and the search goes on (unless `max_consecutive_failed_trials` is given).

    `search` goes on with what it finds in its directory, whether it was finished, interrupted or killed: no execution
    on disk is trained again. A later call may ask for more trials; all else must be as it was: the call is refused with
    ValueError if it is not, or if the sources of `course` or of the file that holds `hypermodel` have changed (in
    a notebook, its cell).
    """

    def __init__(self, *args, executor=None, seed=None, **kwargs):
        given = signature(super().__init__).bind(*args, **kwargs)
        if given.arguments.get("max_retries_per_trial"):
            raise ValueError("max_retries_per_trial must be 0: a failed training is a row of its own.")
        given.arguments.setdefault("max_consecutive_failed_trials", 10**9)
        self.executor = executors.checked(executor)
        seed = (
            random.randrange(20_001) if seed is None else arguments.integer("seed", seed, at_least=0, at_most=20_000)
        )
        self.outcomes, self.note = {}, None  # {trial: {execution: {"row": …, "curve": …}}}, and what made them
        # Keras Tuner takes 0 for no seed, and the k-th draw of a search from seed + k.
        super().__init__(*given.args, **given.kwargs, seed=1 + 100_003 * seed)
        self.seed = seed
        if taken := [hp.name for hp in self.oracle.get_space().space if hp.name in (*COLUMNS, "epoch")]:
            raise ValueError(f"hypermodel must name its choices otherwise than the table its columns, got {taken}.")
        # Keras Tuner would write these in several files, each in place: a kill between them loses a trial.
        self.oracle.save = self.oracle._save_trial = lambda *trial: None

    # -- all of the state is one file

    def _get_tuner_fname(
        self,
    ):  # private, but what Keras Tuner looks for to see whether there is something to go on with
        return str(Path(self.project_dir) / "search.json")

    def save(self):
        """Write the state of the search, all trials and executions."""
        state = self.oracle.get_state()
        if hasattr(self.oracle, "_random_state"):  # private; of the Bayesian oracle, which forgets to keep it
            kind, key, *rest = self.oracle._random_state.get_state()
            state["random_state"] = [kind, key.tolist(), *rest]
        trials = {name: trial.get_state() for name, trial in self.oracle.trials.items()}
        state = {"made_by": self.note, "oracle": state, "trials": trials, "executions": self.outcomes}
        store.write(Path(self._get_tuner_fname()), json.dumps(state, default=lambda value: value.item()))

    def reload(self):
        """Read the state of the search."""
        state = json.loads(Path(self._get_tuner_fname()).read_text())
        self.note, self.outcomes = state["made_by"], state["executions"]
        self.oracle.trials = {name: Trial.from_state(trial) for name, trial in state["trials"].items()}
        self.oracle.set_state(state["oracle"])
        if "random_state" in state["oracle"]:
            self.oracle._random_state.set_state(state["oracle"]["random_state"])

    # -- ask and tell

    def search(self, *fit_args, verbose=1, **fit_kwargs):
        """Search, or go on; the arguments are those of `fit` (or of your `HyperModel.fit`). verbose: 0 shows no bar."""
        lock = FileLock(Path(self.project_dir) / "lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise ValueError(f"directory is in use by a search that is running: {self.project_dir}.") from None
        with lock:
            self._claim(fit_args, fit_kwargs)
            waiting = deque()  # executions to be trained
            for trial in [*self.oracle.ongoing_trials.values()]:  # of a search that was killed
                self._begin(trial, waiting)

            def ask(last):
                while not waiting:
                    with (
                        warnings.catch_warnings()
                    ):  # scikit-learn's, of a length scale at a bound that nobody here sets
                        warnings.filterwarnings("ignore", "The optimal value found for dimension")
                        trial = self.oracle.create_trial(f"trial {len(self.oracle.trials)}")
                    if trial.status != TrialStatus.RUNNING:
                        return None
                    self.save()
                    self._begin(trial, waiting)
                trial, k = waiting.popleft()
                weights = self._weights(trial.hyperparameters.values.get("tuner/trial_id"), k)
                how = self.hypermodel, trial.hyperparameters, self.seed + k, fit_args, fit_kwargs
                return *how, self.oracle.objective, weights, (trial, k)

            self.oracle.verbose = 0  # one bar, instead of Keras Tuner's tables for every trial
            self.on_search_begin()
            with tqdm(
                total=self.oracle.max_trials, unit="trial", file=sys.stdout, leave=False, disable=not verbose
            ) as bar:
                self._show(bar)
                for task, outcome, error in executors.carry_out(_train, ask, self.executor):
                    self._record(*task[-1], outcome, error)
                    self._show(bar)
            self.on_search_end()
        failed = [trial for trial in self.oracle.trials.values() if trial.status == TrialStatus.FAILED]
        if failed:
            warnings.warn(
                f"{len(failed)} of {len(self.oracle.trials)} trials failed; the first: {failed[0].message}",
                stacklevel=2,
            )

    def _claim(self, fit_args, fit_kwargs):
        """Note what this search is, or raise ValueError if what is there is another."""
        own = (
            type(self.hypermodel).__module__.split(".")[0] != "keras_tuner"
        )  # or what Keras Tuner wraps a function in
        given = type(self.hypermodel) if own else self.hypermodel.build
        note = store.made_by(given) | {
            "tuner": type(self).__name__,
            "objective": str(self.oracle.objective),
            "seed": self.seed,
            "executions_per_trial": self.executions_per_trial,
            "arguments of search": joblib.hash([*map(_content, keras.tree.flatten([fit_args, fit_kwargs]))]),
        }
        if self.note is not None:
            store.same_note(self.note, note, Path(self.project_dir))
        self.note = note

    def _begin(self, trial, waiting):
        """Put the executions of a trial that are not there yet into the queue."""
        there = self.outcomes.setdefault(trial.trial_id, {})
        waiting.extend((trial, k) for k in range(self.executions_per_trial) if str(k) not in there)
        self._end_if_complete(trial)

    def _record(self, trial, k, outcome, error):
        """Keep what an execution has come to."""
        row, curve, weights = outcome or ({}, [], None)
        if error is not None:
            row = {"error": f"{type(error).__name__}: {error}"[:500]}
        if weights is not None:  # first, so that no execution is there without them
            file = io.BytesIO()
            np.savez(file, *weights)
            store.write(self._file(trial.trial_id, k), file.getvalue())
        self.outcomes[trial.trial_id][str(k)] = {"row": _BLANK | row, "curve": curve}
        self._end_if_complete(trial)
        self.save()

    def _end_if_complete(self, trial):
        rows = [outcome["row"] for outcome in self.outcomes[trial.trial_id].values()]
        if len(rows) < self.executions_per_trial:
            return
        errors = [row["error"] for row in rows if row["error"] is not None]
        trial.status, trial.message = (TrialStatus.FAILED, errors[0]) if errors else (TrialStatus.COMPLETED, None)
        if not errors:
            mean = float(np.mean([row["score"] for row in rows]))
            self.oracle.update_trial(trial.trial_id, {self.oracle.objective.name: mean})
        self.oracle.end_trial(trial)

    def _show(self, bar):
        bar.n = len(self.oracle.end_order)
        best = self.oracle.get_best_trials()
        if best and best[0].score is not None:
            bar.set_postfix_str(f"best {self.oracle.objective.name} {best[0].score:.3f}", refresh=False)
        bar.refresh()

    # -- what came out

    def executions(self):
        """Return one row per training: trial, execution, seed, the choices, score, best_epoch (from 1), epochs (trained),
        seconds, parameters (weights) and error (missing if all is well). A failed training has no score."""
        choices = list(dict.fromkeys(hp.name for hp in self.oracle.get_space().space))
        rows = []
        for trial, k, outcome in self._kept():
            values = self.oracle.trials[trial].hyperparameters.values
            place = {"trial": int(trial), "execution": int(k), "seed": self.seed + int(k)}
            rows.append(place | {name: values.get(name) for name in choices} | outcome["row"])
        frame = pd.DataFrame(rows, columns=["trial", "execution", "seed", *choices, *_BLANK])
        frame["error"] = pd.Series([row["error"] for row in rows], dtype=object)  # None, not NaN, where all is well
        return frame.astype({"score": float, "seconds": float})

    def curves(self):
        """Return one row per epoch of every training: trial, execution, epoch (from 1) and the metrics."""
        rows = [
            {"trial": int(trial), "execution": int(k), **epoch}
            for trial, k, outcome in self._kept()
            for epoch in outcome["curve"]
        ]
        return pd.DataFrame(rows)

    def weights(self, trial, execution):
        """Return the weights of an execution at its best epoch, a list of arrays; ValueError if there are none."""
        name = next((name for name in self.outcomes if int(name) == trial), None)
        if name is None or not self._file(name, execution).exists():
            raise ValueError(f"trial {trial}, execution {execution} must have been trained without an error.")
        return self._weights(name, execution)

    def load_model(self, trial):
        """Return the model of a trial with the weights of its best execution, as `get_best_models` asks."""
        rows = {k: outcome["row"] for k, outcome in self.outcomes[trial.trial_id].items()}
        scores = {k: row["score"] for k, row in rows.items() if row["score"] is not None}
        if not scores:
            raise ValueError(f"trial {trial.trial_id} has no trained model: {trial.message}")
        model = self.hypermodel.build(trial.hyperparameters)
        best = (max if self.oracle.objective.direction == "max" else min)(scores, key=scores.get)
        model.set_weights(self._weights(trial.trial_id, best))
        return model

    def _kept(self):
        for trial, outcomes in sorted(self.outcomes.items(), key=lambda item: int(item[0])):
            for k, outcome in sorted(outcomes.items()):
                yield trial, k, outcome

    def _file(self, trial, k):
        return Path(self.project_dir) / f"trial_{trial}_execution_{k}.npz"

    def _weights(self, trial, k):
        """Return the best weights of an execution, or None if there is no such trial (Hyperband's first rounds)."""
        if trial is None:
            return None
        with np.load(self._file(trial, k)) as file:
            return [file[name] for name in file.files]


class RandomSearch(Recorded, keras_tuner.RandomSearch):
    __doc__ = f"Keras Tuner's `RandomSearch`. {Recorded.__doc__}"


class Hyperband(Recorded, keras_tuner.Hyperband):
    __doc__ = (
        f"Keras Tuner's `Hyperband`: executions go on from the best weights of the round before. {Recorded.__doc__}"
    )


class BayesianOptimization(Recorded, keras_tuner.BayesianOptimization):
    __doc__ = f"Keras Tuner's `BayesianOptimization`. {Recorded.__doc__}"


def _train(hypermodel, hyperparameters, seed, fit_args, fit_kwargs, objective, weights, ticket):
    """As `train`; ticket: for who asked."""
    return train(hypermodel, hyperparameters, seed, fit_args, fit_kwargs, objective, weights)


def _content(value):
    """Return what tells an argument of `search` from another one, the same in every process."""
    if hasattr(value, "__array__") and hasattr(value, "shape"):
        return joblib.hash(np.asarray(value))
    if isinstance(value, (bool, int, float, str, type(None))):
        return repr(value)
    plain = {k: v for k, v in getattr(value, "__dict__", {}).items() if isinstance(v, (bool, int, float, str))}
    return f"{type(value).__qualname__} {sorted(plain.items())}"  # a callback, or data that cannot be compared
