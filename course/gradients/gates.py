"""How saturated the units and gates of a recurrent layer are, where a derivative of theirs is all but 0."""

import warnings

from course import arguments
from course.gradients import batches, models, taps
from course.layers import GRUCell, LSTMCell, MinGRUCell, PeepholeLSTMCell, RNNCell
import keras
from keras import ops
import numpy as np

_RANGES = {"sigmoid": (0, 1), "hard_sigmoid": (0, 1), "tanh": (-1, 1)}  # of what saturates; others are left out


def saturation(model, x, *, margin=0.1):
    """Return how often the units and gates of each recurrent layer are saturated on one batch.

    A value v of an activation with range (low, high) is at the low end if v < low + margin, at the high end if
    v > high - margin: (0, 1) for the sigmoid gates, (-1, 1) for tanh. The state h is at an end if 1 - |h| < margin.

    model: a built `keras.Model`; x: as for `time_step_norms`, B sequences. The pass is the deterministic one.
    margin: above 0 and below .5; .1 is Karpathy, Johnson & Fei-Fei's (2015), "Visualizing and Understanding RNNs".

    Returns {layer: {name: (H, 2)}}: for each unit the share of the B T steps (masked ones not counted) at the low and
    at the high end. Names: "h" for SimpleRNN; "i", "f", "g", "o", "h" for LSTM; "z", "r", "n" (the candidate), "h" for
    GRU; "z" for MinGRUCell. In Keras and `course.layers.GRUCell` z = 1 keeps the past. Of an activation without ends
    (relu, linear) there is no entry. The cells are those of Keras and of `course.layers`; layers with other ones
    (wrapped or stacked cells) are left out, with a RuntimeWarning.

    Raises TypeError if `model` is no Keras model; ValueError if it has no such layer, is not built, or hides its steps.
    """
    if not isinstance(model, keras.Model):
        raise TypeError(f"model must be a keras.Model, got {model!r}.")
    models.check_backend("saturation", model)
    margin = arguments.number("margin", margin, above=0, below=0.5)
    layers, left_out = models.recurrent_layers(model)
    left_out += [
        f"{path!r} (a {type(layer.cell).__name__})" for path, layer in layers.items() if not _gates(layer.cell)
    ]
    layers = {path: layer for path, layer in layers.items() if _gates(layer.cell)}
    if not layers:
        raise ValueError(f"model must have an LSTM, GRU or plain recurrent layer, got {', '.join(left_out)}.")
    if left_out:
        warnings.warn(f"left out: {', '.join(left_out)}.", RuntimeWarning, stacklevel=2)
    (x,) = batches.tensors(x=x)
    shares = {}
    with keras.StatelessScope(collect_losses=True), taps.losses_apart(model), taps.heard(layers) as calls:
        model(x, training=False) if model._call_has_training_arg else model(x)
        for path, (layer, sequences, states, mask) in calls.items():
            shares[path] = _shares(layer, sequences, states, mask, margin)
            taps.forget_masks(layer.cell)
    return shares


def _shares(layer, sequences, states, mask, margin):
    """{name: (H, 2)} of one call of a layer, stepping through its sequences (B, T, D)."""
    cell, gates, kept = layer.cell, _gates(layer.cell), {}
    mask = np.ones(sequences.shape[:2], bool) if mask is None else ops.convert_to_numpy(mask).astype(bool)
    steps = range(sequences.shape[1])
    for t in reversed(steps) if layer.go_backwards else steps:
        x_t = sequences[:, t]
        after = keras.tree.flatten(cell(x_t, states, training=False)[1])
        values = gates(cell, x_t, states, after) | {"h": (after[0], cell.activation)}
        for name, (value, activation) in values.items():
            if name in _no_ends(cell):
                continue
            low, high = _RANGES.get(getattr(activation, "__name__", ""), (None, None))
            if low is not None:
                value = ops.convert_to_numpy(value).astype("float32")
                ends = np.stack([value < low + margin, value > high - margin], -1)  # (B, H, 2)
                kept.setdefault(name, []).append(ends[mask[:, t]])
        alive = ops.convert_to_tensor(mask[:, t, None])
        states = [ops.where(alive, new, old) for new, old in zip(after, states, strict=True)]
    return {name: np.concatenate(parts).mean(0) for name, parts in kept.items()}


def _no_ends(cell):
    return ("h",) if isinstance(cell, MinGRUCell) else ()


def _gates(cell):
    """The function (cell, x_t, states, states after) → {gate: (value (B, H), activation)} of this kind of cell."""
    kinds = {
        (PeepholeLSTMCell, LSTMCell, keras.layers.LSTMCell): _lstm,
        (GRUCell, keras.layers.GRUCell): _gru,
        (MinGRUCell,): _min_gru,
        (RNNCell, keras.layers.SimpleRNNCell): lambda cell, x, states, after: {},
    }
    return next((gates for kind, gates in kinds.items() if isinstance(cell, kind)), None)


def _lstm(cell, x, states, after):
    sigmoid = getattr(cell, "recurrent_activation", keras.activations.sigmoid)
    a = ops.matmul(x, cell.kernel) + ops.matmul(states[0], cell.recurrent_kernel) + _bias(cell)
    a_i, a_f, a_g, a_o = ops.split(a, 4, axis=-1)
    if hasattr(cell, "peephole"):
        p_i, p_f, p_o = (cell.peephole[k] for k in range(3))
        a_i, a_f, a_o = a_i + p_i * states[1], a_f + p_f * states[1], a_o + p_o * after[1]
    gates = {name: (sigmoid(a), sigmoid) for name, a in (("i", a_i), ("f", a_f), ("o", a_o))}
    return {"i": gates["i"], "f": gates["f"], "g": (cell.activation(a_g), cell.activation), "o": gates["o"]}


def _gru(cell, x, states, after):
    sigmoid, h = getattr(cell, "recurrent_activation", keras.activations.sigmoid), states[0]
    bias = _bias(cell)
    b_x, b_h = (bias[0], bias[1]) if len(bias.shape) == 2 else (bias, ops.zeros_like(bias))
    x_z, x_r, x_n = ops.split(ops.matmul(x, cell.kernel) + b_x, 3, axis=-1)
    U_z, U_r, U_n = ops.split(cell.recurrent_kernel, 3, axis=-1)
    b_z, b_r, b_n = ops.split(b_h, 3, axis=-1)
    z, r = sigmoid(x_z + ops.matmul(h, U_z) + b_z), sigmoid(x_r + ops.matmul(h, U_r) + b_r)
    past = r * (ops.matmul(h, U_n) + b_n) if getattr(cell, "reset_after", False) else ops.matmul(r * h, U_n)
    return {"z": (z, sigmoid), "r": (r, sigmoid), "n": (cell.activation(x_n + past), cell.activation)}


def _min_gru(cell, x, states, after):
    a_z, _ = ops.split(ops.matmul(x, cell.kernel) + cell.bias, 2, axis=-1)
    return {"z": (ops.sigmoid(a_z), keras.activations.sigmoid)}


def _bias(cell):
    return ops.zeros((cell.kernel.shape[1],), cell.compute_dtype) if cell.bias is None else ops.copy(cell.bias)
