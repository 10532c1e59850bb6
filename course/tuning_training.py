"""One training of a search, in a process of its own: what it returns is an execution's row and learning curve."""

import logging
import os
import time

from course.hypermodels import build
import keras
import numpy as np

TUNER = "tuner/"  # begins the names of what Hyperband adds to the hyperparameters
OUTCOME = ("seed", "score", "best_epoch", "epochs", "seconds", "parameters", "error")
RESERVED = (*OUTCOME, "trial", "execution", "epoch", "attempts", "curve")  # for no choice and no metric


def blank(seed):
    """Return the outcome of a training that has come to nothing, without its error."""
    return dict.fromkeys(OUTCOME) | {"seed": seed, "epochs": 0, "curve": []}


def train(hypermodel, hyperparameters, data, plan, seed, weights, earlier, parent):
    """Return the outcome of one training as a dict that JSON can hold; a failure is an outcome too.

    hyperparameters: `keras_tuner.HyperParameters`. weights: the path of the file for the best weights, replaced at
    once. earlier: the path of the weights to begin with, or None. parent: the id of the process that asked: when it
    has ended, so does this one, without a result.
    """
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # that every setting is traced anew is no news here
    outcome = blank(seed)
    begun = time.perf_counter()
    try:
        model = _model(hypermodel, hyperparameters, seed, earlier)
        history = _fit(hypermodel, hyperparameters, model, data, plan, parent)
        curve = _curve(history)
        outcome |= {"parameters": model.count_params(), "epochs": len(curve), "curve": curve}
        outcome |= _best(history, curve, plan["objective"], hyperparameters.values)
        new = weights.with_name(f".{os.getpid()}.weights.h5")
        model.save_weights(new)
        os.replace(new, weights)
    except Exception as error:
        outcome["error"] = f"{type(error).__name__}: {error}"[:500]
    return outcome | {"seconds": time.perf_counter() - begun}


def _model(hypermodel, hyperparameters, seed, earlier):
    chosen = {name: value for name, value in hyperparameters.values.items() if not name.startswith(TUNER)}
    model = build(hypermodel, chosen, seed)
    if earlier is not None:
        model.load_weights(earlier)
    return model


def _fit(hypermodel, hyperparameters, model, data, plan, parent):
    arguments = {
        "validation_data": (data.x_validation, data.y_validation),
        "validation_batch_size": min(len(data.x_validation), 1000),
        "batch_size": plan["batch_size"],
        "initial_epoch": hyperparameters.values.get(f"{TUNER}initial_epoch", 0),
        "epochs": hyperparameters.values.get(f"{TUNER}epochs", plan["epochs"]),
        "callbacks": [
            keras.callbacks.EarlyStopping(
                plan["objective"].name,
                mode=plan["objective"].direction,
                patience=plan["patience"],
                restore_best_weights=True,
            ),
            keras.callbacks.TerminateOnNaN(),
            _EndWithParent(parent),
        ],
        "verbose": 0,
    }
    if hasattr(hypermodel, "fit"):  # a keras_tuner.HyperModel may have its own
        return hypermodel.fit(hyperparameters, model, data.x_train, data.y_train, **arguments)
    return model.fit(data.x_train, data.y_train, **arguments)


def _best(history, curve, objective, choices):
    """Return score, best epoch and the metrics there; raise ValueError if there is no score or the loss is NaN."""
    if taken := sorted({*history.history} & {*RESERVED, *choices} | {*choices} & {*RESERVED}):
        raise ValueError(f"no two of choices, metrics and the table's own columns may have one name, got {taken}.")
    if objective.name not in history.history:
        raise ValueError(f"objective must be one of the logs {[*history.history]}, got {objective.name!r}.")
    if not all(np.isfinite(epoch["loss"]) for epoch in curve):
        raise ValueError(f"the loss is {curve[-1]['loss']} in epoch {curve[-1]['epoch']}.")
    scores = history.history[objective.name]
    best = curve[int(np.argmax(scores) if objective.direction == "max" else np.argmin(scores))]
    if not np.isfinite(best[objective.name]):
        raise ValueError(f"{objective.name} is {best[objective.name]} in epoch {best['epoch']}.")
    metrics = {name: value for name, value in best.items() if name != "epoch"}
    return {"score": best[objective.name], "best_epoch": best["epoch"], **metrics}


def _curve(history):
    """Return one dict per epoch: its number, from 1, and the metrics."""
    values = zip(*history.history.values(), strict=True)
    return [
        {"epoch": epoch + 1, **{name: float(value) for name, value in zip(history.history, row, strict=True)}}
        for epoch, row in zip(history.epoch, values, strict=True)
    ]


class _EndWithParent(keras.callbacks.Callback):
    """Ends a training that nobody waits for: its search was killed, and started again it begins the training anew."""

    def __init__(self, parent):
        super().__init__()
        self.parent = parent

    def on_train_batch_end(self, batch, logs=None):
        if os.getppid() != self.parent:
            os._exit(1)
