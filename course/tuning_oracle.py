"""The oracles of a search, Keras Tuner's own, with a memory that survives a kill.

Keras Tuner keeps an oracle's state and its trials in several files, each written in place, so that a kill in between
loses a trial or breaks the search. Here the whole state is one file, replaced at once.
"""

from functools import wraps
import threading
import warnings

from course.tuning_store import read_json, write_json
import keras_tuner
from keras_tuner.engine.trial import Trial, TrialStatus
from keras_tuner.src.engine.oracle import LOCKS, THREADS  # not public
from sklearn.exceptions import ConvergenceWarning


def synchronized(method):
    """Like Keras Tuner's, let one thread at a time into an oracle; but let go of it also when the method raises.

    What a call from a worker has raised is kept in `failure`, for the chief to end with.
    """

    @wraps(method)
    def alone(self, *args, **kwargs):
        thread = threading.current_thread().name
        if THREADS[self] == thread:
            return method(self, *args, **kwargs)
        with LOCKS[self]:
            THREADS[self] = thread
            try:
                return method(self, *args, **kwargs)
            except Exception as error:
                self.failure = error
                raise
            finally:
                THREADS[self] = None

    return alone


class DurableOracle:
    """Comes before one of Keras Tuner's oracles: keeps its state, with all trials, in one file.

    A trial that was running stays with the worker of that name, which gets it back when it asks again. `forget` takes
    it from a worker that is gone. While others still run, a worker that asks for more is told to wait, not to stop,
    so that somebody is there to take up what they may leave.
    """

    path = None  # of the file
    stopped_at = None  # the number of trials at which there was nothing more to do
    failure = None  # what a call has raised

    def get_state(self):
        state = super().get_state()
        state["trials"] = {name: trial.get_state() for name, trial in self.trials.items()}
        state["stopped_at"] = self.stopped_at
        if hasattr(self, "_random_state"):  # of the Bayesian oracle, which forgets to keep it
            kind, key, *rest = self._random_state.get_state()
            state["random_state"] = [kind, key.tolist(), *rest]
        return state

    def set_state(self, state):
        self.trials = {name: Trial.from_state(trial) for name, trial in state["trials"].items()}
        super().set_state(state)
        running = self.ongoing_trials.items()
        self.ongoing_trials = {who: trial for who, trial in running if trial.trial_id not in self.end_order}
        self.stopped_at = state["stopped_at"]
        if "random_state" in state:
            self._random_state.set_state(state["random_state"])

    def save(self):
        write_json(self.path, self.get_state())

    def reload(self):
        if (state := read_json(self.path)) is not None:
            self.set_state(state)

    def _save_trial(self, trial):
        """Trials are kept in the state."""

    @synchronized
    def create_trial(self, tuner_id):
        trial = super().create_trial(tuner_id)
        if trial.status == TrialStatus.STOPPED:
            if self.ongoing_trials:
                trial.status = TrialStatus.IDLE
                self.tuner_ids.add(tuner_id)
            elif self.stopped_at != self.max_trials:
                self.stopped_at = self.max_trials
                self.save()
        elif trial.status == TrialStatus.RUNNING:
            trial.metrics = type(trial.metrics)()  # of an earlier start nothing counts
        return trial

    @synchronized
    def update_trial(self, trial_id, metrics, step=0):
        if trial_id in self.end_order:
            return self.trials[trial_id]
        trial = super().update_trial(trial_id, metrics, step)
        self.save()  # a chief that is killed before the trial is ended must know the metric
        return trial

    @synchronized
    def end_trial(self, trial):
        if trial.trial_id in self.end_order:  # by a worker that took it over
            return
        if trial.trial_id in self._retry_queue:
            self._retry_queue.remove(trial.trial_id)
        super().end_trial(trial)

    @synchronized
    def forget(self, tuner_id):
        """Take from a worker that is gone the trial it was at, for another one; return its name, or None."""
        self.tuner_ids.discard(tuner_id)
        trial = self.ongoing_trials.pop(tuner_id, None)
        if trial is not None:
            self._retry_queue.append(trial.trial_id)
            self.save()
        return None if trial is None else trial.trial_id

    @synchronized
    def workers(self):
        """Return the names of the workers that are at a trial or waiting for one."""
        return {*self.ongoing_trials, *self.tuner_ids}

    @synchronized
    def progress(self):
        """Return how many trials have ended, and the best score so far or None."""
        best = self.get_best_trials()
        return len(self.end_order), best[0].score if best else None

    @property
    def finished(self):
        """Whether there is nothing more to do."""
        return self.stopped_at == self.max_trials and not self.ongoing_trials


class _Random(DurableOracle, keras_tuner.oracles.RandomSearchOracle):
    pass


class _Hyperband(DurableOracle, keras_tuner.oracles.HyperbandOracle):
    pass


class _Bayesian(DurableOracle, keras_tuner.oracles.BayesianOptimizationOracle):
    def populate_space(self, trial_id):
        with warnings.catch_warnings():  # scikit-learn's, that a length scale is at its bound: nobody here sets it
            warnings.simplefilter("ignore", ConvergenceWarning)
            return super().populate_space(trial_id)


def make_oracle(plan):
    """Return the oracle of a search, without three traps of Keras Tuner.

    It takes a seed of 0 for none; it draws the k-th number of a search from seed + k, so that searches with seeds next
    to one another try the same settings; and it ends after three failures in a row.
    """
    trials, seed = plan["max_trials"], 1 + 100_003 * plan["seed"]
    common = {"objective": plan["objective"], "seed": seed, "max_consecutive_failed_trials": 10**9}
    if plan["strategy"] == "random":
        oracle = _Random(max_trials=trials, **common)
    elif plan["strategy"] == "bayesian":
        oracle = _Bayesian(max_trials=trials, num_initial_points=max(3, trials // 3), **common)
    else:
        oracle = _Hyperband(max_epochs=plan["epochs"], hyperband_iterations=None, **common)
        oracle.max_trials = trials
    oracle.verbose = 0
    return oracle
