"""Starting values that Keras does not have: forget-gate and chrono biases, the sparse "smart tanh" matrix.

What Keras has is not written again: `keras.initializers.Orthogonal(gain)` is the scaled orthogonal matrix,
`keras.initializers.Identity(gain)` the scaled identity of the IRNN (Le et al. 2015).

`seed` is an int, None or a `keras.random.SeedGenerator`, as in Keras, whose own initializers draw the numbers: with an
int or None every call returns the same values, with a generator each call returns others.
"""

from course import arguments
import keras
from keras import ops
import numpy as np

registered = keras.saving.register_keras_serializable(package="course")

GATES = {"lstm": "ifgo", "gru": "zrh", "mingru": "zh"}  # in the order in which they lie in b (k H,)


@registered
class ForgetBias(keras.initializers.Initializer):
    """Starts the LSTM's b_f at `value`, the rest of b (4 H,) at 0 (Gers et al. 2000; Jozefowicz et al. 2015).

    Keras' default start is `ForgetBias(1.0)`. At x W + h U near 0 the memory then keeps σ(value) of itself a step.
    """

    def __init__(self, value=1.0):
        self.value = arguments.number("value", value)

    def __call__(self, shape, dtype=None):
        zero = ops.zeros((_units(shape, "lstm"),), dtype)
        return ops.concatenate([zero, zero + self.value, zero, zero])

    def get_config(self):
        return {"value": self.value}


@registered
class Chrono(keras.initializers.Initializer):
    """Starts the gates' biases so that the units remember for 2 to `T_max` steps (Tallec & Ollivier 2018).

    a ~ log U(1, T_max - 1), one a unit; a gate that keeps with σ(a) = 1 - 1/(1 + e^a) forgets within 1 + e^a steps.
    cell="lstm":    b_f = a, b_i = -a, the rest 0     (`LSTMCell`, `PeepholeLSTMCell`)
    cell="gru":     b_z = a, the rest 0: z keeps      (`GRUCell`)
    cell="mingru":  b_z = -a, the rest 0: z lets in   (`MinGRUCell`)

    T_max: the longest dependency expected, in steps, above 2. In a Keras LSTM set `unit_forget_bias=False` too, or
    Keras asks for b in pieces; Keras' GRU needs `reset_after=False`.
    """

    def __init__(self, T_max, cell="lstm", seed=None):
        self.T_max = arguments.number("T_max", T_max, above=2)
        self.cell = arguments.one_of("cell", cell, GATES)
        self.draw = keras.initializers.RandomUniform(1.0, self.T_max - 1, seed)

    def __call__(self, shape, dtype=None):
        a = ops.log(self.draw((_units(shape, self.cell),), dtype))
        start = {"lstm": {"f": a, "i": -a}, "gru": {"z": a}, "mingru": {"z": -a}}[self.cell]
        return ops.concatenate([start.get(gate, ops.zeros_like(a)) for gate in GATES[self.cell]])

    def get_config(self):
        return {"T_max": self.T_max, "cell": self.cell, "seed": self.draw.get_config()["seed"]}


@registered
class SparseRadius(keras.initializers.Initializer):
    """Starts U (H, H) with `nonzeros` normal weights into each unit, scaled to a given spectral radius.

    max |eigenvalue of U| = spectral_radius. The defaults are the "smart tanh" start of Pascanu et al. 2013 (their
    standard deviation is lost in the scaling). Column j of U, the weights into unit j, has its non-zeros at random
    places (the authors' code has them per row, out of each unit). Raises ValueError for a matrix that is not square
    or has fewer than `nonzeros` rows.
    """

    def __init__(self, nonzeros=15, spectral_radius=0.95, seed=None):
        self.nonzeros = arguments.integer("nonzeros", nonzeros, at_least=1)
        self.spectral_radius = arguments.number("spectral_radius", spectral_radius, above=0)
        self.draw = keras.initializers.RandomNormal(0.0, 1.0, seed)

    def __call__(self, shape, dtype=None):
        if len(shape) != 2 or shape[0] != shape[1]:
            raise ValueError(f"shape must be square, (H, H), for a matrix to have eigenvalues, got {tuple(shape)}.")
        arguments.integer("nonzeros", self.nonzeros, at_most=shape[0])
        weights, order = self._normal((2, *shape))
        U = np.where(np.argsort(order, axis=0) < self.nonzeros, weights, 0)  # a random permutation per column
        U *= self.spectral_radius / np.abs(np.linalg.eigvals(U)).max()  # every unit has an input, so some cycle
        return ops.convert_to_tensor(U, dtype or keras.config.floatx())

    def _normal(self, shape):
        if isinstance(self.draw.seed, keras.random.SeedGenerator):
            return ops.convert_to_numpy(self.draw(shape, "float32")).astype("float64")
        return np.random.default_rng(self.draw.seed).normal(size=shape)  # also where TensorFlow and JAX only trace

    def get_config(self):
        seed = self.draw.get_config()["seed"]
        return {"nonzeros": self.nonzeros, "spectral_radius": self.spectral_radius, "seed": seed}


def _units(shape, cell):
    """Return H for the shape (k H,) of the bias of a cell with k gates."""
    gates = len(GATES[cell])
    if len(shape) != 1 or shape[0] % gates:
        raise ValueError(f"shape must be that of the bias of the {cell}, ({gates} H,), got {tuple(shape)}.")
    return shape[0] // gates
