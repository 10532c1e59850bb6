"""Gradients recorded while `model.fit` runs: their norms per weight, and how far back in time they reach.

    model.fit(x, y, callbacks=[GradientNorms(), GradientFlow(x_batch, y_batch)])

is all it takes, on any Keras model with recurrent layers.
"""

import functools

from course import arguments
from course.gradients import batches, models, recorder
from course.gradients.time_steps import time_step_norms
from course.gradients.views import LiveView, TensorBoardView
import keras
import numpy as np


class GradientNorms(keras.callbacks.Callback):
    """Adds the norm of every gradient to the logs of every epoch, as the loss gives it, before any clipping.

    ‖g_w‖ = sqrt(Σ g_w²) for every trainable weight w, and the global norm sqrt(Σ_w ‖g_w‖²), over the steps of the epoch:

        grad_norm/<path of the weight>, grad_norm/global            mean over the steps
        grad_norm_max/<path of the weight>, grad_norm_max/global    the largest
        grad_clipped          share of updates that the optimizer's own clipping changes; only if it clips
        grad_norm_above/<θ>   share of updates whose global norm is above θ, for each θ in `thresholds`

    So History, CSVLogger and TensorBoard show them, and EarlyStopping can watch them. Keras hands one dictionary of logs
    from callback to callback: put GradientNorms before the callbacks that are to see its numbers (History comes last by
    itself). The progress line of `fit` shows only `grad_norm/global` of them.

    thresholds: a positive number, or several, to try out before clipping with one.
    weights: False leaves out the norms per weight, so that the logs hold the global one alone.
    verbose: True shows all of them in the progress line, too.

    The norms are taken inside the compiled training step, of every step, whatever `steps_per_execution`. The optimizer
    is as it was whenever a callback runs, so models are saved, and their optimizers restored, as usual; the weights
    are those of a training without it, to rounding. With gradient accumulation a step is one batch, an update one
    change of the weights, and clipping applies to the mean. With loss scaling the norms are those of the unscaled
    gradients; steps that a LossScaleOptimizer skips do not count. A gradient that is None, of a weight the loss does
    not depend on, has norm 0; rows of a sparse gradient that belong to the same word are summed first.

    A step is one call of `optimizer.apply`. A `train_step` of your own may call it more than once, for all weights or
    for some: the mean of a weight is over the calls that it took part in, the global norm is that of each call. What
    such a step clips or scales before `apply` is recorded as it arrives, after that. `compile` in a callback (and
    `make_train_function`, without which Keras stops) counts from the next epoch on; weights that are frozen or unfrozen
    count from the next `compile` on, as in Keras.

    Works wherever Keras calls `optimizer.apply` in its own training function: in `fit`, and with `train_on_batch`
    inside a `keras.callbacks.CallbackList` of your own. Raises TypeError or ValueError on thresholds that are no
    positive numbers, on a model without an optimizer, and on one that trains on several devices (MirroredStrategy with
    more than one replica, `keras.distribution`); RuntimeError on a backend other than TensorFlow and JAX. Warns, and
    reports nan, when no gradient arrived: with a `train_step` that does not use `model.optimizer` (two optimizers, as
    in a GAN), and with an optimizer that hands its gradients to another one inside (SAM, lookahead).
    """

    def __init__(self, thresholds=(), *, weights=True, verbose=False):
        super().__init__()
        self.weights, self.verbose = weights, verbose
        several = thresholds if isinstance(thresholds, list | tuple) else [thresholds]
        self.thresholds = {arguments.number("thresholds", threshold, above=0) for threshold in several}

    def on_train_begin(self, logs=None):
        models.check_backend("GradientNorms", self.model)
        if self.model.optimizer is None:
            raise ValueError(f"model must have an optimizer, got {self.model.name!r} compiled without one.")
        recorder.attach(self.model, self.thresholds)
        history = getattr(self.model, "history", None)
        if not self.verbose and isinstance(history, keras.callbacks.History):
            history.on_epoch_end = functools.partial(_keep_from_the_bar, history)

    def on_epoch_begin(self, epoch, logs=None):
        recorder.attach(self.model, self.thresholds)  # anew, if it was compiled meanwhile
        recorder.attached(self.model).reset()

    def on_epoch_end(self, epoch, logs=None):
        norms = recorder.attached(self.model).read(self.thresholds)
        if not self.weights:
            norms = {name: value for name, value in norms.items() if "/" not in name or _is_global(name)}
        if logs is not None:
            logs.update(norms)

    def on_train_end(self, logs=None):
        recorder.attached(self.model).remove()
        vars(getattr(self.model, "history", None) or self).pop("on_epoch_end", None)


def _is_global(name):
    return name in ("grad_norm/global", "grad_norm_max/global") or name.startswith("grad_norm_above/")


def _keep_from_the_bar(history, epoch, logs=None):
    """What History does at the end of an epoch; then the logs go on to Keras' progress bar, which comes after it."""
    type(history).on_epoch_end(history, epoch, logs)
    for name in [
        name for name in logs or () if name.startswith(("grad_norm", "grad_clipped")) and name != "grad_norm/global"
    ]:
        del logs[name]


class GradientFlow(keras.callbacks.Callback):
    """Measures `time_step_norms` on one batch before the first epoch and after every epoch.

    x, y, sample_weight: one batch, always the same, so that rows differ by the weights alone; or x alone, a
        `tf.data.Dataset`, `keras.utils.PyDataset` or generator of (x, y) or (x, y, sample_weight): its first batch is
        taken, once, now. The pass is the deterministic one, without dropout. What a row costs, `time_step_norms` says.
    live: redraw the heat maps (epochs down, time steps across) in the notebook after every epoch.
    tensorboard: a directory; every row goes there as an image and, for each layer and state, as the scalars
        gradient_flow/<layer>/<state>/first_step and …/last_step. It is TensorFlow that writes them, whatever the
        backend; looking at them takes the package `tensorboard`.
    layers: names of layers, as `time_step_norms` has them; the others are left out of the rows. All by default.
    align, per: for padded batches, as for `time_step_norms`: align="end", per="sequence" show reach and not lengths.

    epochs: the number of finished epochs of each row: 0, 1, 2, …
    history: {layer: {"h": (rows, T), "c": (rows, T) where there is one}}, named as `time_step_norms` does.
    plot(): draws it. to_frame(): the same as a tidy table, to be saved by `flow.to_frame().to_csv("flow.csv")`.

    A fit that goes on where the last one ended adds rows; any other starts anew. So in a loop of `fit(epochs=1)` pass
    `initial_epoch`, as Keras asks: `fit(…, initial_epoch=k, epochs=k + 1)`.

    Raises what `time_step_norms` raises when the training begins; ValueError for `live` outside a notebook and for
    names in `layers` that the model does not have, ImportError for `tensorboard` without TensorFlow.
    """

    def __init__(
        self,
        x,
        y=None,
        live=False,
        tensorboard=None,
        *,
        sample_weight=None,
        layers=None,
        align="start",
        per="batch",
    ):
        super().__init__()
        self.data = batches.first(x, y, sample_weight)
        self.layers = [layers] if isinstance(layers, str) else layers
        arguments.one_of("align", align, ("start", "end"))
        arguments.one_of("per", per, ("batch", "sequence"))
        self.options = {"align": align, "per": per}
        self.epochs, self._rows, self._begins = [], [], True
        self._views = [LiveView()] if live else []
        self._views += [] if tensorboard is None else [TensorBoardView(tensorboard)]

    @property
    def history(self):
        first = self._rows[0] if self._rows else {}
        return {
            layer: {state: np.stack([row[layer][state] for row in self._rows]) for state in states}
            for layer, states in first.items()
        }

    def to_frame(self):
        """Return a pandas.DataFrame with columns epoch, layer, state, step (1 … T) and norm, one row per number."""
        import pandas as pd

        columns = ["epoch", "layer", "state", "step", "norm"]
        rows = [
            (epoch, layer, state, step, float(norm))
            for epoch, row in zip(self.epochs, self._rows, strict=True)
            for layer, states in row.items()
            for state, norms in states.items()
            for step, norm in enumerate(norms, start=1)
        ]
        return pd.DataFrame(rows, columns=columns)

    def plot(self):
        """Draw a heat map for each layer and state, under one colour scale; return the array of their axes.

        Raises ValueError before the first row. `course.plots.show(flow.plot())` adds the alternative text.
        """
        from course import plots

        return plots.gradient_flow(self.history, self.epochs)

    def on_train_begin(self, logs=None):
        self._begins = True

    def on_epoch_begin(self, epoch, logs=None):
        if self._begins:
            goes_on = self.epochs[-1:] == [epoch]
            self.epochs, self._rows = (self.epochs[:-1], self._rows[:-1]) if goes_on else ([], [])
            self._measure(epoch)
        self._begins = False

    def on_epoch_end(self, epoch, logs=None):
        self._measure(epoch + 1)

    def _measure(self, epoch):
        x, y, sample_weight = self.data
        if not self.model.built:  # without an Input, on TensorFlow, before the first step
            self.model(keras.tree.map_structure(keras.ops.convert_to_tensor, x))
        row = time_step_norms(self.model, x, y, sample_weight, **self.options)
        if unknown := set(self.layers or ()) - set(row):
            raise ValueError(f"layers must be some of {list(row)}, got {sorted(unknown)} too.")
        self._rows.append({name: row[name] for name in self.layers or row})
        self.epochs.append(epoch)
        for view in self._views:
            view.show(self)
