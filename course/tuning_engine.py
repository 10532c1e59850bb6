"""Has the trials that the oracle of a search chooses trained: a Keras Tuner tuner that records every execution.

The trainings run in processes of their own, because TensorFlow keeps some 10 to 40 MB of every model that it has
compiled: loky, which joblib brings, replaces a process that has grown by 300 MB. A training that takes its process down is a
failure like any other. Every finished execution is a file of its own (`course.tuning_store`), so that a trial taken
up again trains only what is missing.
"""

from concurrent.futures import as_completed
from concurrent.futures.process import BrokenProcessPool
import os
import sys
import warnings

from course.runs import ONE_THREAD
from course.tuning_training import RESERVED, TUNER, blank, train
import joblib
from joblib.externals.loky import get_reusable_executor
from joblib.externals.loky.process_executor import TerminatedWorkerError
import keras
import keras_tuner
from keras_tuner.engine.trial import TrialStatus
from keras_tuner.errors import FailedTrialError
import numpy as np
from tqdm import tqdm


class CourseTuner(keras_tuner.Tuner):
    """Trains each trial's executions, those that are not on disk already, as many at once as there are cores."""

    def __init__(self, oracle, hypermodel, store, plan):
        self.store, self.plan = store, plan
        oracle.path = store.oracle
        super().__init__(oracle, hypermodel, directory=str(store.directory.parent), project_name=store.directory.name)
        if self.oracle is oracle:  # not on a worker, whose oracle is with the chief
            oracle.reload()

    def save(self):
        """Everything is in the oracle's file and those of the executions."""

    def run(self, progress):
        """Search, here or as a worker, with a bar that shows the best score so far."""
        look = {"unit": "trial", "disable": not progress, "leave": False, "file": sys.stdout}
        with tqdm(total=self.plan["max_trials"], **look) as self.bar:
            self._show()
            self.search()

    def on_trial_end(self, trial):
        super().on_trial_end(trial)
        self._show()

    def _show(self):
        if hasattr(self.oracle, "trials"):  # on a worker they are with the chief
            show_progress(self.bar, self.oracle)

    def _try_run_and_update_trial(self, trial):  # not public; Keras Tuner's own prints every failure's traceback
        try:
            self._run_and_update_trial(trial)
            trial.status = TrialStatus.COMPLETED
        except FailedTrialError as error:
            trial.status, trial.message = TrialStatus.FAILED, str(error)

    def run_trial(self, trial):
        """Return the mean score over executions; raise FailedTrialError, after recording it, where there is none."""
        self._execute_missing(trial)
        outcomes = [self.store.outcome(trial.trial_id, k) for k in range(self.plan["executions"])]
        for outcome in outcomes:
            if outcome["error"] is not None:
                raise FailedTrialError(outcome["error"])
        return {self.plan["objective"].name: float(np.mean([outcome["score"] for outcome in outcomes]))}

    def _execute_missing(self, trial):
        """Train and record the executions of a trial that are not on disk."""
        name = trial.trial_id
        missing = [k for k in range(self.plan["executions"]) if self.store.outcome(name, k) is None]
        if not missing:
            return
        attempts = {k: self.store.started(name, k) for k in missing}
        pool = get_reusable_executor(
            min(joblib.cpu_count(), self.plan["executions"]),
            timeout=300,  # seconds until idle processes end
            env={variable: os.environ.get(variable, "1") for variable in ONE_THREAD},
        )
        # That a process is replaced because it has grown is no news.
        warnings.filterwarnings("ignore", "A worker stopped while some jobs")
        futures = {pool.submit(train, **self._task(trial, k)): k for k in missing}
        for future in as_completed(futures):
            k = futures[future]
            try:
                outcome = future.result()
            except TerminatedWorkerError as error:  # of both processes, whichever died
                outcome = blank(self.plan["seed"] + k) | {"error": f"the process died: {error}"[:500]}
            except BrokenProcessPool as error:
                raise ValueError(
                    f"hypermodel and data must be such that other processes can load them: {error}"
                ) from error
            self.store.finished(name, k, outcome | {"attempts": attempts[k]})

    def _task(self, trial, execution):
        earlier = trial.hyperparameters.values.get(f"{TUNER}trial_id")  # Hyperband goes on with the best of a round
        return {
            "hypermodel": self.plan["hypermodel"],
            "hyperparameters": trial.hyperparameters,
            "data": self.plan["data"],
            "plan": {name: self.plan[name] for name in ("objective", "batch_size", "epochs", "patience")},
            "seed": self.plan["seed"] + execution,
            "weights": self.store.file(trial.trial_id, execution, "weights.h5"),
            "earlier": None if earlier is None else self.store.file(earlier, execution, "weights.h5"),
            "parent": os.getpid(),
        }


def show_progress(bar, oracle):
    """Set a tqdm bar to the trials that have ended and the best score so far."""
    bar.n, best = oracle.progress()
    if best is not None:
        bar.set_postfix_str(f"best {oracle.objective.name} {best:.3f}", refresh=False)
    bar.refresh()


def checked_model(hypermodel):
    """Raise TypeError or ValueError unless `hypermodel` makes a compiled model of its first choices."""
    if not callable(hypermodel) and not isinstance(hypermodel, keras_tuner.HyperModel):
        raise TypeError(f"hypermodel must be a function of HyperParameters or a HyperModel, got {hypermodel!r}.")
    hp = keras_tuner.HyperParameters()
    try:
        model = getattr(hypermodel, "build", hypermodel)(hp)
    except Exception as error:
        raise ValueError(
            f"hypermodel must make a compiled model; it raised {type(error).__name__}: {error}"
        ) from error
    if not isinstance(model, keras.Model) or not model.built or not model.compiled:
        raise ValueError(
            f"hypermodel must make a compiled keras.Model that starts with a keras.Input, got {model!r}."
        )
    if taken := sorted({*hp.values} & {*RESERVED}):
        raise ValueError(f"hypermodel must name its choices otherwise than the table its columns, got {taken}.")


def checked_objective(objective):
    """Return a `keras_tuner.Objective`; raise ValueError if its direction is not known."""
    if type(objective) is keras_tuner.Objective and objective.direction in ("min", "max"):
        return objective
    try:
        if not isinstance(objective, str):
            raise TypeError
        return keras_tuner.oracles.RandomSearchOracle(objective=objective).objective
    except Exception:
        raise ValueError(
            f"objective must be a metric that Keras knows, such as 'val_accuracy', or "
            f"keras_tuner.Objective(name, 'min' or 'max'), got {objective!r}."
        ) from None
