"""The recurrent cells, one equation a line: RNN, LSTM, peephole LSTM, GRU, minGRU.

A cell is one time step; `keras.layers.RNN(cell)` is the loop. x_t (B, D) is the input, h and c (B, H) the state. The
weights W (D, k H), U (H, k H), b (k H,) hold the k gates side by side in Keras' order and under Keras' names, kernel,
recurrent_kernel, bias: `set_weights` works both ways with the Keras layers.

`dropout` and `recurrent_dropout` are the rates of two masks, m_x and m_h, with entries 0 and 1/(1 - rate), that
multiply x_t and h_{t-1} wherever these enter a matrix product. They are drawn once per sequence, stay the same over
its steps and are shared by all gates (Gal & Ghahramani 2016, "tied"; Keras' LSTM and GRU draw an m_h per gate, and
need k small products for one large). What is carried on, c, or h in z ⊙ h, is never masked: that would multiply up.
"""

from course import arguments
from course.layers.initializers import ForgetBias
import keras
from keras import ops
from keras.src.layers.rnn.dropout_rnn_cell import DropoutRNNCell  # not public, but what RNN asks for masks

registered = keras.saving.register_keras_serializable(package="course")


class _Cell(DropoutRNNCell, keras.layers.Layer):
    """What the cells share: options, weights, dropout masks."""

    gates = states = 1
    options = ("units", "activation", "dropout", "recurrent_dropout", "seed", "kernel_initializer", "bias_initializer",
               "recurrent_initializer", "kernel_regularizer", "recurrent_regularizer")  # fmt: skip

    def __init__(self, units, activation="tanh", recurrent_initializer="orthogonal", recurrent_regularizer=None,
                 dropout=0.0, recurrent_dropout=0.0, *, kernel_initializer="glorot_uniform", bias_initializer="zeros",
                 kernel_regularizer=None, seed=None, **kwargs):  # fmt: skip
        super().__init__(**kwargs)
        self.units = self.output_size = arguments.integer("units", units, at_least=1)
        self.state_size = [self.units] * self.states if self.states > 1 else self.units
        self.activation = keras.activations.get(activation)
        self.dropout = arguments.number("dropout", dropout, at_least=0, below=1)
        self.recurrent_dropout = arguments.number("recurrent_dropout", recurrent_dropout, at_least=0, below=1)
        self.seed, self.seed_generator = seed, keras.random.SeedGenerator(seed)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.recurrent_initializer = keras.initializers.get(recurrent_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.recurrent_regularizer = keras.regularizers.get(recurrent_regularizer)

    def build(self, input_shape):
        if len(input_shape) != 2 or input_shape[-1] is None:
            raise ValueError(f"input_shape must be (B, D), one step with D known, got {tuple(input_shape)}.")
        D, H, kH = input_shape[-1], self.units, self.gates * self.units
        self.kernel = self.add_weight((D, kH), self.kernel_initializer, name="kernel")
        self.kernel.regularizer = self.kernel_regularizer
        if "recurrent_initializer" in self.options:
            self.recurrent_kernel = self.add_weight((H, kH), self.recurrent_initializer, name="recurrent_kernel")
            self.recurrent_kernel.regularizer = self.recurrent_regularizer
        self.bias = self.add_weight((kH,), self.bias_initializer, name="bias")

    def start(self, x, states, training):
        """Return x_t and h_{t-1} as the matrix products see them, in training times m_x and m_h, and the states."""
        # Without these two checks, unpacking along the batch or broadcasting would give wrong numbers.
        if not isinstance(states, list | tuple) or [s.shape[-1] for s in states] != [self.units] * self.states:
            raise ValueError(f"states must be a list of {self.states} tensor(s) (B, {self.units}), got {states!r}.")
        if x.shape[-1] != self.kernel.shape[0]:
            raise ValueError(f"x must have shape (B, {self.kernel.shape[0]}), got {tuple(x.shape)}.")
        h = states[0]
        dropped_x = x * self.get_dropout_mask(x) if training and self.dropout else x
        dropped_h = h * self.get_recurrent_dropout_mask(h) if training and self.recurrent_dropout else h
        return dropped_x, dropped_h, states

    def get_initial_state(self, batch_size=None):
        return [ops.zeros((batch_size, self.units), dtype=self.compute_dtype) for _ in range(self.states)]

    def get_config(self):
        options = {name: keras.saving.serialize_keras_object(getattr(self, name)) for name in self.options}
        return {**super().get_config(), **options}


@registered
class RNNCell(_Cell):
    """The plain RNN (Elman 1990), Keras' SimpleRNN: h_t = tanh(x_t W + h_{t-1} U + b)."""

    def call(self, x, states, training=False):
        x, h, _ = self.start(x, states, training)
        h = self.activation(ops.matmul(x, self.kernel) + ops.matmul(h, self.recurrent_kernel) + self.bias)
        return h, [h]


@registered
class LSTMCell(_Cell):
    """The LSTM with a forget gate (Hochreiter & Schmidhuber 1997; Gers et al. 2000), Keras' LSTM.

    i = σ(x_t W_i + h_{t-1} U_i + b_i)      write
    f = σ(x_t W_f + h_{t-1} U_f + b_f)      keep (0 deletes)
    g = tanh(x_t W_g + h_{t-1} U_g + b_g)   what to write
    o = σ(x_t W_o + h_{t-1} U_o + b_o)      read
    c_t = f ⊙ c_{t-1} + i ⊙ g
    h_t = o ⊙ tanh(c_t)

    Gates i, f, g, o; states [h, c]. `bias_initializer` (see `initializers.Chrono`, `ForgetBias`) starts the whole of
    b; without one b_f starts at 1, as in Keras (`unit_forget_bias=False`: at 0), and the rest at 0.
    """

    gates, states = 4, 2

    def __init__(self, units, *args, bias_initializer=None, unit_forget_bias=True, **kwargs):
        default = ForgetBias(1.0) if unit_forget_bias else "zeros"
        super().__init__(units, *args, bias_initializer=bias_initializer or default, **kwargs)

    def call(self, x, states, training=False):
        x, h, (_, c) = self.start(x, states, training)
        a = ops.matmul(x, self.kernel) + ops.matmul(h, self.recurrent_kernel) + self.bias  # (B, 4 H)
        a_i, a_f, a_g, a_o = ops.split(a, 4, axis=-1)
        i = ops.sigmoid(a_i)
        f = ops.sigmoid(a_f)
        g = self.activation(a_g)
        o = ops.sigmoid(a_o)
        c = f * c + i * g
        h = o * self.activation(c)
        return h, [h, c]


@registered
class PeepholeLSTMCell(LSTMCell):
    """The LSTM whose gates see the memory (Gers, Schraudolph & Schmidhuber 2002): `LSTMCell`, but for

    i = σ(x_t W_i + h_{t-1} U_i + p_i ⊙ c_{t-1} + b_i)
    f = σ(x_t W_f + h_{t-1} U_f + p_f ⊙ c_{t-1} + b_f)
    o = σ(x_t W_o + h_{t-1} U_o + p_o ⊙ c_t + b_o)   which sees the new memory

    A fourth weight, `peephole` (3, H), holds p_i, p_f, p_o; it starts at 0, so that the cell starts as the LSTM.
    Gers cut the gradient at the peepholes; here it passes.
    """

    def build(self, input_shape):
        super().build(input_shape)
        self.peephole = self.add_weight((3, self.units), "zeros", name="peephole")

    def call(self, x, states, training=False):
        x, h, (_, c) = self.start(x, states, training)
        a = ops.matmul(x, self.kernel) + ops.matmul(h, self.recurrent_kernel) + self.bias  # (B, 4 H)
        a_i, a_f, a_g, a_o = ops.split(a, 4, axis=-1)
        p_i, p_f, p_o = (self.peephole[k] for k in range(3))
        i = ops.sigmoid(a_i + p_i * c)
        f = ops.sigmoid(a_f + p_f * c)
        g = self.activation(a_g)
        c = f * c + i * g
        o = ops.sigmoid(a_o + p_o * c)
        h = o * self.activation(c)
        return h, [h, c]


@registered
class GRUCell(_Cell):
    """The gated recurrent unit (Cho et al. 2014), Keras' GRU(reset_after=False).

    z = σ(x_t W_z + h_{t-1} U_z + b_z)            keep
    r = σ(x_t W_r + h_{t-1} U_r + b_r)            how much of the past the candidate sees
    h̃ = tanh(x_t W_h + (r ⊙ h_{t-1}) U_h + b_h)   what to write
    h_t = z ⊙ h_{t-1} + (1 - z) ⊙ h̃

    Gates z, r, h. As in Keras z keeps the *past*; elsewhere, as in `MinGRUCell`, it often lets the new in.
    """

    gates = 3

    def call(self, x, states, training=False):
        x, seen, (h,) = self.start(x, states, training)
        a_z, a_r, a_h = ops.split(ops.matmul(x, self.kernel) + self.bias, 3, axis=-1)
        U_z, U_r, U_h = ops.split(self.recurrent_kernel, 3, axis=-1)
        z = ops.sigmoid(a_z + ops.matmul(seen, U_z))
        r = ops.sigmoid(a_r + ops.matmul(seen, U_r))
        h_new = self.activation(a_h + ops.matmul(r * seen, U_h))
        h = z * h + (1 - z) * h_new
        return h, [h]


@registered
class MinGRUCell(_Cell):
    """The GRU whose gate does not look at the state (Feng et al. 2024).

    z = σ(x_t W_z + b_z)    let in
    h̃ = x_t W_h + b_h       what to write
    h_t = (1 - z) ⊙ h_{t-1} + z ⊙ h̃

    Gates z, h; no U, and so no recurrent dropout. Beware: z lets the *new* in, opposite to `GRUCell` and Keras.
    """

    gates = 2
    options = tuple(name for name in _Cell.options if "recurrent" not in name)

    def __init__(self, units, activation="linear", dropout=0.0, **kwargs):
        super().__init__(units, activation, None, None, dropout, 0.0, **kwargs)

    def call(self, x, states, training=False):
        x, _, (h,) = self.start(x, states, training)
        a_z, a_h = ops.split(ops.matmul(x, self.kernel) + self.bias, 2, axis=-1)
        z = ops.sigmoid(a_z)
        h_new = self.activation(a_h)
        h = (1 - z) * h + z * h_new
        return h, [h]
