"""Connections that skip time: residual and dilated RNN, and Skip RNN, which learns when not to update.

Each wraps a cell of `course.layers.cells` or of Keras; the cell's states are tensors (B, ·) and its first state is its
output h, as in all of these. (To combine with a stack, wrap each cell of the stack.) The wrapped cell keeps its
weights, dropout masks and initial state. All raise TypeError or ValueError naming the argument.
"""

from course import arguments
from course.layers.wrapped_cell import WrappedCell
import keras
from keras import ops
from keras.src.backend.common.stateless_scope import in_stateless_scope  # not public

registered = keras.saving.register_keras_serializable(package="course")


@registered
class ResidualCell(WrappedCell):
    """Adds to the state what the cell makes of it (He et al. 2016, along time): the gradient has a way round the cell.

    h_t = h_{t-1} + S(x_t, h_{t-1})

    S is the wrapped cell. Of several states, as the LSTM's h and c, the first is added to, the others are as the
    cell gives them. h is no longer bounded: with tanh inside, |h_t| can grow by 1 a step.
    """

    def call(self, x, states, training=False):
        h_new, *others = self.step(x, states, training)
        h = states[0] + h_new
        return h, [h, *others]


@registered
class DilatedCell(WrappedCell):
    """One step of `DilatedRNN`; its states are those of the last `dilation` steps, the latest first."""

    def __init__(self, cell, dilation, **kwargs):
        super().__init__(cell, **kwargs)
        self.dilation = arguments.integer("dilation", dilation, at_least=1)
        self.state_size = self.state_size * self.dilation

    def call(self, x, states, training=False):
        n = len(states) // self.dilation  # states of the wrapped cell
        s = self.step(x, states[-n:], training)
        return s[0], [*s, *states[:-n]]

    def get_initial_state(self, batch_size=None):
        return super().get_initial_state(batch_size) * self.dilation

    def get_config(self):
        return {**super().get_config(), "dilation": self.dilation}


@registered
class DilatedRNN(keras.layers.RNN):
    """A layer whose state comes from `dilation` steps ago, so T steps are T / dilation hops (Chang et al. 2017).

    h_t = S(x_t, h_{t-d}), with d the dilation and h_t the initial state for t ≤ 0

    S is the wrapped cell. The options and the shapes are those of `keras.layers.RNN`, which this is, over a
    `DilatedCell`; `initial_state` and `return_state` take and give the states of d steps, the latest first. A masked
    step is left out, as if the sequence were shorter.
    """

    def __init__(self, cell, dilation, **kwargs):
        super().__init__(DilatedCell(cell, dilation), **kwargs)

    def get_config(self):
        cell = keras.saving.serialize_keras_object(self.cell.cell)
        return {**super().get_config(), "cell": cell, "dilation": self.cell.dilation}


@registered
class SkipCell(WrappedCell):
    """Updates its state only when a learned binary gate says so (Campos et al., ICLR 2018).

    u_t = round(ũ_t)
    s_t = u_t S(x_t, s_{t-1}) + (1 - u_t) s_{t-1}
    Δ_t = σ(s_t W_p + b_p)
    ũ_{t+1} = u_t Δ_t + (1 - u_t) (ũ_t + min(Δ_t, 1 - ũ_t))

    S is the wrapped cell, s its states (for Δ the last, the LSTM's c, as in the authors' code), ũ_1 = 1; W_p (·, 1) and
    b_p (1,), which starts at 1, are `update_kernel` and `update_bias`. The derivative of round is taken as 1. Two
    states (B, 1) follow the cell's: 1 - ũ, so that Keras' zeros are the right start, and n = Σ u_t, the updates so far.

    cost: λ of the loss λ Σ_t u_t (mean over the batch). Nothing inside a time loop can add a loss or a metric on
    either backend; `SkipRNN(SkipCell(cell, cost))` does it after the loop. A cost in another layer raises ValueError.
    """

    def __init__(self, cell, cost=0.0, **kwargs):
        super().__init__(cell, **kwargs)
        self.cost = arguments.number("cost", cost, at_least=0)
        self.state_size = [*self.state_size, 1, 1]
        self.counted = False  # whether a SkipRNN adds the cost

    def build(self, input_shape):
        if self.compute_dtype not in ("float32", "float64"):
            raise ValueError(f"dtype must be float32 or float64, to count the updates, got {self.compute_dtype}.")
        super().build(input_shape)
        self.update_kernel = self.add_weight((self.state_size[-3], 1), "glorot_uniform", name="update_kernel")
        self.update_bias = self.add_weight((1,), "ones", name="update_bias")

    def call(self, x, states, training=False):
        if self.cost and not self.counted:
            raise ValueError(f"cost must be 0 outside of SkipRNN(SkipCell(cell, cost)), got {self.cost!r}.")
        *s_old, rest, n = states
        p = 1 - rest  # ũ_t (B, 1)
        u = ops.stop_gradient(ops.round(p)) + (p - ops.stop_gradient(p))  # its value is exactly 0 or 1
        s = [u * new + (1 - u) * old for new, old in zip(self.step(x, s_old, training), s_old, strict=True)]
        delta = ops.sigmoid(ops.matmul(s[-1], self.update_kernel) + self.update_bias)
        p = u * delta + (1 - u) * (p + ops.minimum(delta, 1 - p))
        return s[0], [*s, 1 - p, n + u]

    def get_initial_state(self, batch_size=None):
        return [
            *super().get_initial_state(batch_size),
            *(ops.zeros((batch_size, 1), self.compute_dtype) for _ in "pn"),
        ]

    def get_config(self):
        return {**super().get_config(), "cost": self.cost}


@registered
class SkipRNN(keras.layers.RNN):
    """`keras.layers.RNN` for a `SkipCell`: adds its cost to the loss and its updates to the logs, in plain `fit`.

    Loss: cost · Σ_t u_t, mean over the batch. Log "<layer's name>_updates": the share of the time steps, masked ones not
    counted, at which the state was updated. (On JAX the share is known at the end of an epoch; within one it is NaN.)
    The options and the shapes are those of `keras.layers.RNN`. A weight `counts`, not trained, holds the two sums.
    """

    def __init__(self, cell, **kwargs):
        if not isinstance(cell, SkipCell):
            raise TypeError(f"cell must be a SkipCell, got {cell!r}.")
        super().__init__(cell, **kwargs)
        cell.counted = True
        self.cost = cell.cost

    def build(self, sequences_shape, initial_state_shape=None):
        super().build(sequences_shape, initial_state_shape)
        self.counts = self.add_weight((2,), "zeros", trainable=False, name="counts")
        self.share = _Share(lambda: self.counts, name=f"{self.name}_updates")

    def inner_loop(self, sequences, initial_state, mask, training=False):
        last_output, outputs, states = super().inner_loop(sequences, initial_state, mask, training)
        updates = ops.cast(states[-1] - initial_state[-1], "float32")  # (B, 1)
        steps = ops.ones_like(sequences[..., :1]) if mask is None else mask
        self.counts.assign(self.counts + ops.stack([ops.sum(updates), ops.sum(ops.cast(steps, "float32"))]))
        if self.cost:
            self.add_loss(ops.cast(self.cost * ops.mean(updates), keras.config.floatx()))
        return last_output, outputs, states


class _Share(keras.metrics.Metric):
    """Reads its two sums from a weight of the layer, as JAX's `fit` drops what a layer adds to a metric of its own."""

    def __init__(self, counts, **kwargs):
        super().__init__(**kwargs)
        self.counts = counts  # a function: a variable would be taken for the metric's own

    def result(self):
        if in_stateless_scope():  # JAX's compiled step, which does not hand the weight on to here
            return ops.convert_to_tensor(float("nan"))
        return self.counts()[0] / self.counts()[1]

    def reset_state(self):
        self.counts().assign(ops.zeros((2,)))
