"""One training of a search: what it returns is an execution's row, its learning curve and its best weights."""

import logging
import time

from course.experiments import fresh
import keras
import numpy as np


def train(hypermodel, hyperparameters, seed, fit_args, fit_kwargs, objective, weights):
    """Return (row, curve, weights) of one training. It raises what building and fitting raise, and ValueError on NaN.

    hypermodel: a `keras_tuner.HyperModel`. hyperparameters: `keras_tuner.HyperParameters`.
    weights: those to begin with, a list of arrays, or None. Returned are those of the best epoch.
    row: score, best_epoch (from 1), epochs (trained), seconds, parameters. curve: one dict per epoch.
    """
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # that every setting is traced anew is no news here
    start = time.perf_counter()
    model = fresh(lambda: hypermodel.build(hyperparameters), seed)
    if weights is not None:
        model.set_weights(weights)
    best = _Best(objective)
    callbacks = [*(fit_kwargs.get("callbacks") or []), best]
    rounds = {
        name: hyperparameters.values.get(f"tuner/{name}") for name in ("epochs", "initial_epoch")
    }  # Hyperband's
    kwargs = {**fit_kwargs, **{name: value for name, value in rounds.items() if value is not None}}
    results = hypermodel.fit(hyperparameters, model, *fit_args, verbose=0, **kwargs | {"callbacks": callbacks})
    curve = []
    if isinstance(results, keras.callbacks.History):
        values = zip(*results.history.values(), strict=True)
        metrics = [dict(zip(results.history, map(float, row), strict=True)) for row in values]
        curve = [{"epoch": epoch + 1, **logs} for epoch, logs in zip(results.epoch, metrics, strict=True)]
        place = _best_place(metrics, objective)
        score, epoch = objective.get_value(metrics[place]), results.epoch[place] + 1
    else:  # as HyperModel.fit may: the objective, or a dict with it
        score, epoch = objective.get_value(results) if isinstance(results, dict) else results, None
    if not np.isfinite(score):
        raise ValueError(f"{objective.name} is {score}.")
    row = {"score": float(score), "best_epoch": epoch, "epochs": len(curve), "seconds": time.perf_counter() - start}
    return row | {"parameters": model.count_params()}, curve, best.weights or model.get_weights()


def _best_place(metrics, objective):
    """Return the place of the best epoch, the first if there are several."""
    if not metrics or not objective.has_value(metrics[0]):
        logs = sorted(metrics[0]) if metrics else []
        raise ValueError(f"objective must be one of the logs {logs}, got {objective.name!r}.")
    place = 0
    for k, logs in enumerate(metrics):
        if objective.better_than(objective.get_value(logs), objective.get_value(metrics[place])):
            place = k
    return place


class _Best(keras.callbacks.Callback):
    """Keeps the weights of the best epoch; raises ValueError when the loss is no longer finite."""

    def __init__(self, objective):
        super().__init__()
        self.objective, self.score, self.weights, self.epoch = objective, None, None, None

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch + 1

    def on_train_batch_end(self, batch, logs=None):
        if not np.isfinite((logs or {}).get("loss", 0.0)):
            raise ValueError(f"the loss is {float(logs['loss'])} in epoch {self.epoch}.")

    def on_epoch_end(self, epoch, logs=None):
        if self.objective.has_value(logs or {}):
            score = self.objective.get_value(logs)
            if self.score is None or self.objective.better_than(score, self.score):
                self.score, self.weights = score, self.model.get_weights()
