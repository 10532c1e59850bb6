"""The gradient of the loss at every time step of any Keras RNN, and the Jacobian from one state to the next.

    norms = time_step_norms(model, x, y)
    norms["lstm"]["h"]    # (T,): ‖dL/dh_t‖ for t = 1 … T

takes a compiled model as it is and leaves it as it was; how is told in `course.gradients.taps`.
"""

import functools
import warnings

from course.gradients import autodiff, taps
import keras
from keras import ops, tree
import numpy as np


def time_step_norms(model, x, y, sample_weight=None, *, training=False):
    """Return how strongly the loss L of one batch depends on the states at every time step.

    ‖dL/ds_t‖ = sqrt(Σ over batch and units of (dL/ds_t)²), s_t the state that step t hands on: to step t+1 and, for
    h, to the layer above too. The derivative is total: through every later step and every layer above. h_t's
    dependence on c_t inside step t is not part of dL/dc_t, and dL/dc_T is 0 when nobody reads c_T.

    model: a compiled and built `keras.Model` (Sequential, functional or subclassed) with recurrent layers: SimpleRNN,
        LSTM, GRU or RNN(cell), stacked, in Bidirectional, in nested models, with masks, stateful (from their present
        states). L is the loss it was compiled with, `add_loss` and regularizers included (those on weights do not
        depend on the states). A `train_step` of the model's own is not used.
    x, y, sample_weight: arrays, or lists or dictionaries of arrays, as for `fit`. They are one batch of B sequences.
    training: False (the default) takes the deterministic forward pass, without dropout. True drops out as the next
        training step would, and uses batch statistics in BatchNormalization; the result then depends on the mask.

    Returns {layer name: {"h": (T,), "c": (T,) where there is one}}, t in the order of the layer's input, also for the
    backward half of a Bidirectional layer. Nested layers are called "outer/inner", the halves of a Bidirectional layer
    "bidirectional/forward_lstm" and "bidirectional/backward_lstm", the cells of StackedRNNCells "rnn/lstm_cell", and
    the second use of a shared layer "lstm_2". Where a cell has other states, its `state_names` name them (else "h",
    "state_2", …); a cell whose output is not one of its states (a projection, say) has an entry "output" too, and its
    states then count with what they hand to step t+1 alone. At a masked step a sequence computes no state (the old one
    is copied, and the gradient passes through to the last step that was not masked), so it adds nothing to the sum.

    One backward pass, compiled as the model is, and kept until it is compiled anew. The model, its optimizer, random
    generators and stateful states stay exactly as they are. Norms down to 1e-38 are exact in float32: no square is
    taken unscaled. In float16 the loss is scaled meanwhile as the optimizer scales it. A norm that is not finite is
    reported as it is (nan, inf), with a RuntimeWarning.

    Raises TypeError if `model` is no Keras model; ValueError if it is not compiled, not built, without a recurrent
    layer (a Dense-only model), or has one that cannot be tapped (ConvLSTM, a recurrent layer in TimeDistributed), and
    if x, y and sample_weight differ in length. RuntimeError on a backend other than TensorFlow and JAX.
    """
    layers = _checked(model)
    data = _batch(x=x, y=y, sample_weight=sample_weight)
    run, variables = _instrument(model, layers, bool(training))
    # In a stateless scope nothing is assigned: states, metrics and random generators stay as they are.
    values = [variable.value for variable in variables]
    scale = 1.0 if model.optimizer is None else float(ops.convert_to_numpy(model.optimizer.scale_loss(1.0)))
    with keras.StatelessScope():
        loss, flat = run(values, ops.convert_to_tensor(scale, "float32"), *data)
    norms = {}
    for key in sorted(flat):
        path, state = key.split(" ", 1)[1].rsplit(" ", 1)
        norms.setdefault(path, {})[state] = ops.convert_to_numpy(flat[key])
    _warn_if_not_finite(loss, norms)
    return norms


def _instrument(model, layers, training):
    """The compiled function for `model`, and the variables whose values it takes; made anew after each compile()."""
    states = [state for layer in layers.values() for state in tree.flatten(layer.states or ())]
    variables = list({id(v): v for v in (*model.variables, *states)}.values())
    # compile() makes a new loss tracker, so the tracker tells one compile from the next.
    key = (id(model.metrics[0]), *map(id, variables), *map(id, layers.values()))
    cache = vars(model).setdefault("_course_time_step_norms", {})  # goes when the model goes, and is never saved
    if cache.get("key") != key:
        cache.clear()
        cache |= {"key": key, "alive": (model.metrics[0], variables)}  # what is alive shares its id with nothing new
    if training not in cache:
        cache[training] = autodiff.compiled(functools.partial(_norms, model, layers, variables, training), model)
    return cache[training], variables


def _norms(model, layers, variables, training, values, scale, x, y, sample_weight):
    """The loss and {"number layer state": norms (T,)}; the number keeps the order where JAX sorts the keys.

    scale: of the loss while it is differentiated, so that float16 holds what it holds in training.
    """
    places = {}

    def loss(zeros):
        given = zip(variables, values, strict=True)
        with keras.StatelessScope(given, collect_losses=True), taps.losses_apart(model):
            with taps.tapped(layers, zeros) as new_places:
                y_pred = model(x, training=training) if model._call_has_training_arg else model(x)
            places.update(new_places)
            value = model._compute_loss(x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, training=training)
            return value * ops.cast(scale, value.dtype)

    value, derivatives = autodiff.differentiate(loss)
    norms = {}
    for of_call, derivative in zip(places.values(), derivatives, strict=True):  # (B, T, width)
        end = 0
        for path, state, width in of_call:
            start, end = end, end + width
            norms[f"{len(norms):04d} {path} {state}"] = autodiff.norm(derivative[..., start:end], axis=(0, 2)) / scale
    return value / ops.cast(scale, value.dtype), norms


def _checked(model):
    """The recurrent layers of a model that can be measured."""
    if keras.backend.backend() not in ("tensorflow", "jax"):
        raise RuntimeError(
            f"time_step_norms needs TensorFlow or JAX as Keras' backend, got {keras.backend.backend()!r}."
        )
    if not isinstance(model, keras.Model):
        raise TypeError(f"model must be a keras.Model, got {model!r}.")
    if not model.compiled:
        raise ValueError(
            f"model must be compiled: the gradient is that of its loss; call {model.name!r}.compile first."
        )
    layers = taps.recurrent_layers(model) if model.built else {}
    if not model.built or not all(layer.built for layer in layers.values()):
        raise ValueError(
            f"model must be built, got {model.name!r} without weights: call it on data, or give it an Input."
        )
    if not layers:
        raise ValueError(
            f"model must have a recurrent layer (SimpleRNN, LSTM, GRU, RNN), got {model.name!r} with none."
        )
    return layers


def _batch(**data):
    """Tensors of x, y and sample_weight, as `fit` would make them, of equal length."""
    lengths = {}

    def convert(name, value):
        if value is None and name != "x":
            return None
        if not hasattr(value, "shape") or len(value.shape) == 0:
            raise TypeError(
                f"{name} must be an array, or a list or dictionary of arrays, of one batch; got {value!r}."
            )
        lengths.setdefault(name, set()).add(int(value.shape[0]))
        wanted = keras.backend.floatx() if "float" in value.dtype.name else None
        return ops.convert_to_tensor(value, dtype=wanted)

    tensors = [tree.map_structure(functools.partial(convert, name), value) for name, value in data.items()]
    if len(set().union(*lengths.values())) > 1 or 0 in lengths["x"]:
        given = ", ".join(f"{name} {' and '.join(map(str, sorted(n)))}" for name, n in lengths.items())
        raise ValueError(f"x, y and sample_weight must have the same number of sequences, at least 1, got {given}.")
    return tensors


def _warn_if_not_finite(loss, norms):
    bad = [
        f"{name}/{state} at {np.sum(~np.isfinite(values))} of {len(values)} steps"
        for name, states in norms.items()
        for state, values in states.items()
        if not np.all(np.isfinite(values))
    ]
    loss = float(ops.convert_to_numpy(loss))
    if bad or not np.isfinite(loss):
        message = f"the loss is {loss:.4g}; gradient norms that are not finite: {', '.join(bad) or 'none'}."
        warnings.warn(message, RuntimeWarning, stacklevel=3)
