"""Records the norm of every gradient of every training step of a model, inside its compiled training function.

    norm of weight w:  ‖g_w‖ = sqrt(Σ g_w²)
    global norm:       ‖g‖ = sqrt(Σ_w ‖g_w‖²)

The optimizer receives the gradients as the loss gives them; clipping and accumulation come after. So for as long as a
training step runs, and no longer, the optimizer's `apply` first writes the norms into a variable of ours. Between
steps the optimizer is what it was: the model can be saved, and its optimizer restored, at any time.
"""

import functools
import warnings

from course.gradients import autodiff, models, taps
import keras
from keras import ops
import numpy as np


def attach(model, thresholds):
    """Make `model` record from its next training step on, until `remove` or a fit that does not attach.

    The recorder stays with the model, and with it the compiled function, so the next fit need not compile again.
    """
    last = vars(model).get("_course_recorder")
    same_compile = last is not None and last.compile is models.last_compile(model)
    if not same_compile or not thresholds <= last.thresholds:
        if last is not None:
            last.remove()
        vars(model)["_course_recorder"] = Recorder(model, thresholds | (last.thresholds if same_compile else set()))
    attached(model).install()


def attached(model):
    """Return the recorder that `attach` gave the model."""
    return vars(model)["_course_recorder"]


class Recorder:
    """Stands in for `model.train_function`: the same steps, and their gradient norms.

    thresholds: set of global norms θ; counted is how many updates had a larger one.
    """

    def __init__(self, model, thresholds):
        self.model, self.thresholds = model, thresholds
        self.compile = models.last_compile(model)
        # The optimizer inside a LossScaleOptimizer gets the gradients in their true scale, overflows left out.
        self.optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
        self.function = self.plain = self.fit = self.record = None
        self.weights, self.size = [], 1
        if model.trainable_variables:
            self._make_record(model.trainable_variables)

    def _make_record(self, variables):
        """One vector holds it all: sums | maxima | steps (each: weights, global) | updates, clipped, one per threshold.

        It is float32 at least, as counts are: float16 ends at 65504.
        """
        # Variables that take their "gradient" as a new value (float8 scales) have no gradient.
        self.weights = [v for v in variables if not getattr(v, "overwrite_with_gradient", False)]
        self.size = len(self.weights) + 1
        dtype = "float64" if keras.config.floatx() == "float64" else "float32"
        self.record = keras.Variable("zeros", (self.length(),), dtype, trainable=False, name="record", autocast=False)

    def length(self):
        return 3 * self.size + 2 + len(self.thresholds)

    def install(self):
        if self.model.train_function is not self:
            self.plain = self.model.train_function
            if self.function is None:
                self.model.train_function = None
                self.model.make_train_function()
                self.function = self.model.train_function
            self.model.train_function = self
        self.fit = getattr(self.model, "history", None)  # every fit has a History of its own

    def remove(self):
        if self.model.train_function is self:
            self.model.train_function = self.plain

    def reset(self):
        if self.record is not None:
            self.record.assign(np.zeros(self.record.shape))

    def read(self, thresholds):
        """Return {name: number} over the steps since `reset`; nan, with a warning, if there were none."""
        record = np.zeros(self.length()) if self.record is None else autodiff.to_numpy(self.record)
        ends = [self.size, 2 * self.size, 3 * self.size]
        sums, maxima, steps, (updates, clipped, *above) = np.split(record.astype(float), ends)
        if not steps[-1]:
            warnings.warn(
                "no gradient reached the optimizer in this epoch: nothing was passed to `model.optimizer.apply`. A"
                " `train_step` with optimizers of its own, an optimizer that calls another one inside (SAM, lookahead),"
                " and `compile` or a new `train_function` within an epoch do that.",
                RuntimeWarning,
                stacklevel=3,
            )
        steps, maxima = np.where(steps > 0, steps, np.nan), np.where(steps > 0, maxima, np.nan)
        updates = updates or np.nan
        names = []
        for variable in self.weights:
            names.append(models.unique(variable.path, names))
        logs = {}
        for name, total, largest, number in zip([*names, "global"], sums, maxima, steps, strict=True):
            logs[f"grad_norm/{name}"] = float(total / number)
            logs[f"grad_norm_max/{name}"] = float(largest)
        if self._clips():
            logs["grad_clipped"] = float(clipped / updates)
        shares = {threshold: float(n / updates) for threshold, n in zip(sorted(self.thresholds), above, strict=True)}
        return logs | {f"grad_norm_above/{threshold:g}": shares[threshold] for threshold in sorted(thresholds)}

    def __call__(self, *arguments):
        if getattr(self.model, "history", None) is not self.fit:  # ours raised, and this is another fit
            self.remove()
            self.model.make_train_function()
            return self.model.train_function(*arguments)
        clip = functools.partial(self._clip_gradients, self.optimizer._clip_gradients)
        counted = {"_clip_gradients": clip} if self._clips() or self.thresholds else {}
        apply = functools.partial(self._apply, self.optimizer.apply)
        with taps.replaced(self.optimizer, apply=apply, **counted):
            if keras.backend.backend() == "jax":
                return self._jax_step(*arguments)
            return self.function(*arguments)

    def _jax_step(self, state, iterator):
        """JAX hands all variables to the step and back, so ours joins the optimizer's, as the last one."""
        weights, others, optimizer, metrics = state
        if self.record is None:
            self._make_record(self.model.trainable_variables)
        self.optimizer._variables.append(self.record)
        try:
            state = weights, others, [*optimizer, self.record.value], metrics
            logs, (weights, others, optimizer, metrics) = self.function(state, iterator)
        finally:
            self.optimizer._variables.pop()
        *optimizer, record = optimizer
        self.record.assign(record)
        return logs, (weights, others, optimizer, metrics)

    def _apply(self, apply, grads, trainable_variables=None):
        """The optimizer's `apply`, after noting ‖g_w‖ of every weight; a gradient that is None counts as 0."""
        grads = list(grads)
        trainable_variables = None if trainable_variables is None else list(trainable_variables)
        variables = trainable_variables or self.optimizer._trainable_variables
        if self.record is None:  # a model without an Input has its weights from its first step on
            self._make_record(variables)
        known = {id(v): _norm(g) for g, v in zip(grads, variables, strict=True) if g is not None}
        norms = _with_global([ops.cast(known.get(id(v), 0.0), self.record.dtype) for v in self.weights])
        norms = norms / (self.optimizer.loss_scale_factor or 1.0)
        sums, maxima, steps, counts = ops.split(self.record.value, [self.size, 2 * self.size, 3 * self.size])
        given = {id(v) for v in variables}  # a `train_step` may apply the gradients of some weights, then of others
        taken = ops.cast([id(v) in given for v in self.weights] + [True], steps.dtype)
        self.record.assign(ops.concatenate([sums + norms, ops.maximum(maxima, norms), steps + taken, counts]))
        return apply(grads, trainable_variables)

    def _clip_gradients(self, clip, grads):
        """The optimizer's `_clip_gradients`, which sees what is clipped: the mean, if it accumulates gradients."""
        norms = _with_global([ops.cast(_norm(g), self.record.dtype) for g in grads])
        optimizer, clipped = self.optimizer, False
        if optimizer.clipnorm:
            clipped = ops.any(norms[:-1] > optimizer.clipnorm)
        elif optimizer.global_clipnorm:
            clipped = norms[-1] > optimizer.global_clipnorm
        elif optimizer.clipvalue:
            clipped = ops.any(ops.stack([ops.max(ops.abs(autodiff.rows(g))) > optimizer.clipvalue for g in grads]))
        counts = [1.0, clipped, *(norms[-1] > threshold for threshold in sorted(self.thresholds))]
        counts = ops.stack([ops.cast(count, self.record.dtype) for count in counts])
        self.record.assign(self.record.value + ops.pad(counts, [[3 * self.size, 0]]))
        return clip(grads)

    def _clips(self):
        return bool(self.optimizer.clipnorm or self.optimizer.global_clipnorm or self.optimizer.clipvalue)


def _norm(g):
    return autodiff.norm(ops.reshape(autodiff.rows(g), (-1,)), axis=0)


def _with_global(norms):
    norms = ops.stack(norms)
    return ops.append(norms, autodiff.norm(norms, axis=0))
