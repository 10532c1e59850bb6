"""Connections that skip time: residual and dilated RNN, and Skip RNN, which learns when not to update.

Each wraps a cell of `course.cells` or of Keras; the cell's states are tensors (B, ·) and its first state is its
output h, as in all of these. (To combine with a stack, wrap each cell of the stack.) The wrapped cell keeps its
weights, dropout masks and initial state. All raise TypeError or ValueError naming the argument.
"""

from course import arguments
import keras
from keras import ops
from keras.src.backend.common.stateless_scope import in_stateless_scope  # not public
from keras.src.layers.rnn.dropout_rnn_cell import DropoutRNNCell  # not public; RNN asks it for masks

registered = keras.saving.register_keras_serializable(package="course")


class _Wrapper(DropoutRNNCell, keras.layers.Layer):
    """What the wrappers share: the cell, its states, its dropout masks."""

    def __init__(self, cell, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(cell, keras.layers.Layer) or not hasattr(cell, "state_size"):
            raise TypeError(f"cell must be a recurrent cell such as GRUCell(8), got {cell!r}.")
        size = cell.state_size
        self.cell, self.state_size = cell, list(size) if isinstance(size, list | tuple) else [size]
        self.output_size = self.state_size[0]
        stacked = isinstance(cell, keras.layers.StackedRNNCells)
        if stacked or getattr(cell, "output_size", self.output_size) != self.output_size:
            raise ValueError(f"cell must have its output as first state (wrap each cell of a stack), got {cell!r}.")
        # RNN asks only the outermost cell for its masks: the question is passed on.
        for name in [f"{verb}_{kind}_mask" for verb in ("get", "reset") for kind in ("dropout", "recurrent_dropout")]:
            setattr(self, name, getattr(cell, name, lambda *args: None))

    def build(self, input_shape):
        if not self.cell.built:
            self.cell.build(input_shape)

    def step(self, x, states, training):
        """Return the list of states that the wrapped cell makes of x_t and its states."""
        _, states = self.cell(x, list(states), training=training)
        return list(states) if isinstance(states, list | tuple) else [states]

    def get_initial_state(self, batch_size=None):
        return [ops.zeros((batch_size, size), dtype=self.compute_dtype) for size in self.state_size]

    @property
    def state_names(self):
        """For the gradient instrument: the wrapped cell's states, and None for those that only help."""
        names = getattr(self.cell, "state_names", ("h", "c")[: len(keras.tree.flatten(self.cell.state_size))])
        return [*names, *[None] * len(self.state_size)][: len(self.state_size)]

    def get_config(self):
        return {**super().get_config(), "cell": keras.saving.serialize_keras_object(self.cell)}

    @classmethod
    def from_config(cls, config):
        return cls(**{**config, "cell": keras.saving.deserialize_keras_object(config["cell"])})


@registered
class ResidualCell(_Wrapper):
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
class DilatedCell(_Wrapper):
    """One step of `DilatedRNN`; its states are those of the last `dilation` steps, the latest first."""

    def __init__(self, cell, dilation, **kwargs):
        super().__init__(cell, **kwargs)
        self.dilation = arguments.integer("dilation", dilation, at_least=1)
        self.state_size = self.state_size * self.dilation

    def call(self, x, states, training=False):
        n = len(states) // self.dilation  # states of the wrapped cell
        s = self.step(x, states[-n:], training)
        return s[0], [*s, *states[:-n]]

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
class SkipCell(_Wrapper):
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
            self.add_loss(self.cost * ops.mean(updates))
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
