"""Gradients recorded while `model.fit` runs: their norms per weight, and how far back in time they reach.

    model.fit(x, y, callbacks=[GradientNorms(), GradientFlow(x_batch, y_batch)])

is all it takes, on any Keras model with recurrent layers.
"""

from course import arguments
from course.gradients import recorder
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

    So History, progress bars, CSVLogger and TensorBoard show them, and EarlyStopping can watch them. Keras hands one
    dictionary of logs from callback to callback: put GradientNorms before the callbacks that are to see its numbers
    (History and the progress bar come last by themselves).

    The norms are taken inside the compiled training step, of every step, whatever `steps_per_execution`. The optimizer
    is as it was whenever a callback runs, so models are saved, and their optimizers restored, as usual; the weights
    are those of a training without it, to rounding. With gradient accumulation a step is one batch, an update one
    change of the weights, and clipping applies to the mean. With loss scaling the norms are those of the unscaled
    gradients; steps that a LossScaleOptimizer skips do not count. A gradient that is None, of a weight the loss does
    not depend on, has norm 0; rows of a sparse gradient that belong to the same word are summed first.

    thresholds: a positive number, or several, to try out before clipping with one.

    Works wherever Keras calls `optimizer.apply` in its own training function: in `fit`, and with `train_on_batch`
    inside a `keras.callbacks.CallbackList` of your own. Raises TypeError or ValueError on thresholds that are no
    positive numbers and on a model without an optimizer; RuntimeError on a backend other than TensorFlow and JAX.
    Warns, and reports nan, when no gradient arrived (a `train_step` that does not use `model.optimizer`).
    """

    def __init__(self, thresholds=()):
        super().__init__()
        several = thresholds if isinstance(thresholds, list | tuple) else [thresholds]
        self.thresholds = {arguments.number("thresholds", threshold, above=0) for threshold in several}

    def on_train_begin(self, logs=None):
        if keras.backend.backend() not in ("tensorflow", "jax"):
            backend = keras.backend.backend()
            raise RuntimeError(f"GradientNorms needs TensorFlow or JAX as Keras' backend, got {backend!r}.")
        if self.model.optimizer is None:
            raise ValueError(f"model must have an optimizer, got {self.model.name!r} compiled without one.")
        recorder.attach(self.model, self.thresholds)

    def on_epoch_begin(self, epoch, logs=None):
        recorder.attached(self.model).reset()

    def on_epoch_end(self, epoch, logs=None):
        logs.update(recorder.attached(self.model).read(self.thresholds))

    def on_train_end(self, logs=None):
        recorder.attached(self.model).remove()


class GradientFlow(keras.callbacks.Callback):
    """Measures `time_step_norms` on one batch before the first epoch and after every epoch.

    x, y, sample_weight: one batch, always the same, so that rows differ by the weights alone. The pass is the
        deterministic one, without dropout. It costs about one training step a row.
    live: redraw the heat maps (epochs down, time steps across) in the notebook after every epoch.
    tensorboard: a directory; every row goes there as an image and, for each layer and state, as the scalars
        gradient_flow/<layer>/<state>/first_step and …/last_step. It is TensorFlow that writes them, whatever the
        backend; looking at them takes the package `tensorboard`.

    epochs: the number of finished epochs of each row: 0, 1, 2, …
    history: {layer: {"h": (rows, T), "c": (rows, T) where there is one}}, named as `time_step_norms` does.
    to_frame(): the same as a tidy table. A fit that goes on where the last one ended (`initial_epoch`) adds rows; any
    other starts anew.

    Raises what `time_step_norms` raises when the training begins; ValueError for `live` outside a notebook,
    ImportError for `tensorboard` without TensorFlow.
    """

    def __init__(self, x, y, live=False, tensorboard=None, *, sample_weight=None):
        super().__init__()
        self.data = x, y, sample_weight
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
        self._rows.append(time_step_norms(self.model, x, y, sample_weight))
        self.epochs.append(epoch)
        for view in self._views:
            view.show(self)
