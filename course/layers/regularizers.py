"""Penalties that keep a recurrent matrix in the range where gradients neither vanish nor explode."""

from course import arguments
from course.layers.cells import RNNCell
import keras
from keras import ops

registered = keras.saving.register_keras_serializable(package="course")
_SMALLEST = 1e-20  # squared norm below which a step has no gradient to keep (the authors' bound)


@registered
class OmegaCell(keras.layers.Layer):
    """A plain RNN cell that is trained with Pascanu's Omega: no step may shrink or stretch the gradient.

    E is the loss, h_0 the initial state, h_t (B, H) the state after step t:

        g_t = dE/dh_t                                  all of it, through every later step
        v_t = g_t dh_t/dh_{t-1} = (g_t * act'(a_t)) U^T   with a_t = x_t W + h_{t-1} U + b
        Omega = sum over t = 1..T of ( |v_t| / |g_t| - 1 )^2, the mean over the sequences of the batch

    Training descends E + weight * Omega, where of Omega only the *immediate* derivative counts: g_t, h_{t-1} and
    act'(a_t) are held constant, U moves where it stands in v_t, so only U gets a gradient from Omega. Steps with
    |g_t|^2 < 1e-20 count 0, as does a masked step.

    Omega is not a `keras.regularizers.Regularizer`, which sees a weight and no gradient: its value exists only in
    the backward pass. So it is a wrapper, used in plain `compile` and `fit`:
    `keras.layers.RNN(OmegaCell(RNNCell(50), weight=0.5))`. The loss in the logs is E; `omega` holds Omega, without
    the weight, as of the latest training step (for the optimizer it is one more weight, whose gradient is its value).

    Paper: Pascanu, Mikolov, Bengio, On the difficulty of training RNNs, ICML 2013. The authors' code differs:
    ( |v_t|^2 / |g_t|^2 - 1 )^2, and the mean over the steps that count. A squared ratio near 1 is twice as far from 1, so a
    weight of theirs is about 4/T times as much here: for their 4, take 16/T.

    cell: `RNNCell` or `keras.layers.SimpleRNNCell`, without dropout, not in float16. weight: positive. An optimizer
    that scales its loss (`loss_scale_factor`) takes its scale off Omega, which has none: leave it out.
    """

    def __init__(self, cell, weight=1.0, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(cell, (RNNCell, keras.layers.SimpleRNNCell)):
            raise TypeError(f"cell must be an RNNCell or a keras.layers.SimpleRNNCell, got {cell!r}.")
        if cell.dropout or cell.recurrent_dropout:
            raise ValueError(f"cell must have no dropout, got {cell.dropout} and {cell.recurrent_dropout}.")
        self.cell = cell
        self.weight = arguments.number("weight", weight, above=0)
        self.state_size, self.output_size = cell.state_size, cell.output_size

    def build(self, input_shape):
        if self.compute_dtype == "float16":
            raise ValueError("dtype must not be float16, whose losses are scaled while Omega is not, got float16.")
        if not self.cell.built:
            self.cell.build(input_shape)
        self.omega = self.add_weight((), "zeros", name="omega", overwrite_with_gradient=True)
        self.built = True

    def call(self, x, states, training=False):
        h = states[0]
        W, U, b = self.cell.kernel, self.cell.recurrent_kernel, self.cell.bias
        # 1 * makes tensors of U and omega: a custom gradient takes no variables.
        product, size = _split(_recur(self.weight)(h, 1 * U, 1 * self.omega))
        a = ops.matmul(x, W) + product + (0 if b is None else b)
        h = _send_size(self.cell.activation(a), size)
        return h, [h]

    def get_initial_state(self, batch_size=None):
        return self.cell.get_initial_state(batch_size)

    def get_config(self):
        return {**super().get_config(), "cell": keras.saving.serialize_keras_object(self.cell), "weight": self.weight}

    @classmethod
    def from_config(cls, config):
        return cls(keras.saving.deserialize_keras_object(config.pop("cell")), **config)


def _recur(weight):
    """Return the function (h, U, omega) -> [h U, 0] whose backward pass adds the gradient of weight * Omega to U's.

    The last column is 0 forward. Backward, `_send_size` sends |g_t|^2 through it, which is not known here otherwise.
    """

    @ops.custom_gradient
    def recur(h, U, omega):
        def backward(*args, upstream=None):
            d, size = _split(args[0] if upstream is None else upstream)  # g_t * act'(a_t) (B, H) and |g_t|^2 (B, 1)
            v = ops.matmul(d, ops.transpose(U))  # (B, H)
            used = ops.cast(size >= _SMALLEST, v.dtype)  # (B, 1)
            g_norm = ops.sqrt(ops.maximum(size, _SMALLEST))
            v_norm = ops.sqrt(ops.sum(v * v, axis=-1, keepdims=True))
            gap = used * (v_norm / g_norm - 1)
            # d(gap^2)/dU_ij = 2 gap v_i d_j / (|v| |g|); where v = 0 it has no direction and is left out
            direction = v / ops.maximum(v_norm, 1e-20) / g_norm
            share = weight / ops.cast(ops.shape(v)[0], v.dtype)  # the mean over the batch
            dU = ops.matmul(ops.transpose(h), d) + share * ops.matmul(ops.transpose(2 * gap * direction), d)
            return v, dU, ops.mean(gap * gap)

        return ops.concatenate([ops.matmul(h, U), ops.zeros_like(h[:, :1])], axis=-1), backward

    return recur


@ops.custom_gradient
def _send_size(h, size):
    """Return h; backward, the gradient of `size` is |g|^2, g the gradient of h."""

    def backward(*args, upstream=None):
        g = args[0] if upstream is None else upstream
        return g, ops.sum(g * g, axis=-1, keepdims=True)

    return h + 0 * size, backward


def _split(columns):
    return columns[:, :-1], columns[:, -1:]


@registered
class Orthogonality(keras.regularizers.Regularizer):
    """weight * |U^T U - I|^2, the sum of squares: 0 if U keeps the length of every vector.

    For comparison with Omega: it holds all directions, used or not, and needs no gradient, so it is an ordinary
    `recurrent_regularizer`. Paper: Vorontsov et al., On orthogonality and learning recurrent networks with long term
    dependencies, ICML 2017.

    Several gates side by side in U (H, k H) count one by one.
    """

    def __init__(self, weight=1.0):
        self.weight = arguments.number("weight", weight, above=0)

    def __call__(self, U):
        H = U.shape[0]
        if len(U.shape) != 2 or U.shape[1] % H:
            raise ValueError(f"U must have shape (H, k H), got {tuple(U.shape)}.")
        gates = [U[:, at : at + H] for at in range(0, U.shape[1], H)]
        return self.weight * sum(
            ops.sum((ops.matmul(ops.transpose(G), G) - ops.eye(H, dtype=G.dtype)) ** 2) for G in gates
        )

    def get_config(self):
        return {"weight": self.weight}
