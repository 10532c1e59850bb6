"""The gradient of the loss at every time step of any Keras RNN.

    norms = time_step_norms(model, x, y)
    norms["lstm"]["h"]    # (T,): ‖dL/dh_t‖ for t = 1 … T

takes a compiled model as it is and leaves it as it was; how is told in `course.gradients.taps`.
"""

import functools
import warnings

from course import arguments
from course.gradients import autodiff, batches, models, taps
import keras
from keras import ops, tree
import numpy as np


def time_step_norms(model, x, y, sample_weight=None, *, training=False, align="start", per="batch"):
    """Return how strongly the loss L of one batch depends on the states at every time step.

    ‖dL/ds_t‖ = sqrt(Σ over batch and units of (dL/ds_t)²), s_t the state that step t hands on: to step t+1 and, for
    h, to the layer above too. The derivative is total: through every later step and every layer above. h_t's
    dependence on c_t inside step t is not part of dL/dc_t, and dL/dc_T is 0 when nobody reads c_T.

    model: a compiled and built `keras.Model` (Sequential, functional or subclassed) with recurrent layers: SimpleRNN,
        LSTM, GRU or RNN(cell), stacked, in Bidirectional, in nested models, with masks, stateful (from their present
        states). L is the loss it was compiled with, `add_loss` and regularizers included (those on weights do not
        depend on the states). A `train_step` of the model's own, and `class_weight`, are not used.
    x, y, sample_weight: arrays, or lists or dictionaries of arrays, as for `fit`. They are one batch of B sequences.
    training: False (the default) takes the deterministic forward pass, without dropout. True drops out as the next
        training step would, and uses batch statistics in BatchNormalization; the result then depends on the mask.
    align, per: for sequences of different lengths, where a layer has a mask. A sequence is alive at the steps that its
        mask leaves. align="end" moves every sequence, as it stands in the input, until its last step alive is step T,
        so that T - t is the distance to its own end, also where the padding came after. per="sequence" divides the
        sum by the number of sequences alive at the step: sqrt(Σ (dL/ds_t)² / alive_t), the root mean square; nan where
        none is alive. Together they show reach, and not lengths. Without a mask all are alive at all steps.

    Returns {layer name: {"h": (T,), "c": (T,) where there is one}}, t in the order of the layer's input, also for the
    backward half of a Bidirectional layer. Nested layers are called "outer/inner", the halves of a Bidirectional layer
    "bidirectional/forward_lstm" and "bidirectional/backward_lstm", the cells of StackedRNNCells "rnn/lstm_cell", and
    the second use of a shared layer "lstm_2". Where a cell has other states, its `state_names` name them (else "h",
    "state_2", …); a cell whose output is not one of its states (a projection, say) has an entry "output" too, and its
    states then count with what they hand to step t+1 alone. At a masked step a sequence computes no state (the old one
    is copied, and the gradient passes through to the last step that was not masked), so it adds nothing to the sum. A
    layer that this forward pass does not call has no entry.

    One backward pass to the states, compiled as the model is, and kept until it is compiled anew. Measured against a
    training step of the same model on a CPU: with XLA .59 to .93 of it, on JAX .66 to .89, with Keras' own default for
    TensorFlow on a CPU (no XLA) 1.3 to 1.5 at T=100, 2.4 at T=2,000 and 3 to 4 at T=5,000. TensorFlow traces every new
    shape of a batch once, half a second or more: pad batches to one T, or to a few.

    The model, its optimizer, random generators and stateful states stay exactly as they are. Norms down to 2e-38 are
    exact in float32: no square is taken unscaled. In float16 the loss is scaled meanwhile as the optimizer scales it,
    and less where that overflows. A norm that is not finite is reported as it is (nan, inf), with a RuntimeWarning;
    another one names a layer all of whose norms are 0 (its output is not used, or its gradient stopped). What cannot be
    tapped is left out, with a RuntimeWarning that names it: ConvLSTM, a recurrent layer in TimeDistributed, a cell in a
    loop of the model's own.

    Raises TypeError if `model` is no Keras model; ValueError if it is not compiled, has no loss, is not built, has no
    recurrent layer to tap (a Dense-only model), calls one where its steps are hidden (inside `ops.cond`, `ops.map`,
    `keras.remat`, `tf.function`; with a `call` of its own), trains on several devices, and if x, y and sample_weight
    differ in length. RuntimeError on a backend other than TensorFlow and JAX.
    """
    _check(model)
    arguments.one_of("align", align, ("start", "end"))
    arguments.one_of("per", per, ("batch", "sequence"))
    data = batches.tensors(x=x, y=y, sample_weight=sample_weight)
    run, variables = _instrument(model, bool(training))
    # In a stateless scope nothing is assigned: states, metrics and random generators stay as they are.
    values = [variable.value for variable in variables]
    scale = 1.0 if model.optimizer is None else float(ops.convert_to_numpy(model.optimizer.scale_loss(1.0)))
    while True:
        with keras.StatelessScope():
            loss, norms, alive = run(values, ops.convert_to_tensor(scale, "float32"), *data)
        loss, norms = (
            float(ops.convert_to_numpy(loss)),
            {key: ops.convert_to_numpy(norms[key]) for key in sorted(norms)},
        )
        if scale <= 1 or (np.isfinite(loss) and all(np.isfinite(values).all() for values in norms.values())):
            break
        scale = max(scale / 16, 1.0)  # training would lower it, too
    result, largest = {}, {}
    for key, of_each in norms.items():
        path, state = key[5:].split("\n")
        mask = np.ones(of_each.shape, bool) if alive[key] is None else ops.convert_to_numpy(alive[key]).astype(bool)
        result.setdefault(path, {})[state] = _over_batch(of_each, mask, align, per).astype(of_each.dtype)
        largest.setdefault(path, {})[state] = of_each.max(0)
    _warn(loss, largest)
    return result


def _instrument(model, training):
    """The compiled function for `model`, and the variables whose values it takes; made anew after each compile()."""
    layers, left_out = models.recurrent_layers(model)
    states = [state for layer in layers.values() for state in tree.flatten(layer.states or ())]
    variables = list({id(v): v for v in (*model.variables, *states)}.values())
    compile_ = models.last_compile(model)
    key = (id(compile_), *map(id, variables), *map(id, layers.values()))
    cache = vars(model).setdefault("_course_time_step_norms", {})  # goes when the model goes, and is never saved
    if cache.get("key") != key:
        cache.clear()
        cache |= {"key": key, "alive": (compile_, variables)}  # what is alive shares its id with nothing new
        if left_out:
            warnings.warn(f"left out, as it cannot be tapped: {', '.join(left_out)}.", RuntimeWarning, stacklevel=4)
    if training not in cache:
        cache[training] = autodiff.compiled(functools.partial(_norms, model, layers, variables, training), model)
    return cache[training], variables


def _norms(model, layers, variables, training, values, scale, x, y, sample_weight):
    """The loss, {"number layer state": ‖dL/ds_t‖ of every sequence (B, T)}, and the mask (B, T) of each or None.

    The number keeps the order where JAX sorts the keys.
    scale: of the loss while it is differentiated, so that float16 holds what it holds in training.
    """
    places = {}

    def loss(zeros):
        given = zip(variables, values, strict=True)
        with keras.StatelessScope(given, collect_losses=True), taps.losses_apart(model):
            with taps.tapped(layers, zeros) as new_places:
                y_pred = model(x, training=training) if model._call_has_training_arg else model(x)
            own_loss = type(model).compute_loss is not keras.Model.compute_loss
            if not (own_loss or model._compile_loss or model.losses):
                raise ValueError(
                    f"model must be compiled with a loss, got {model.name!r} without one: a loss that only its"
                    " `train_step` knows is not seen. Give it to `compile`, to `add_loss` or to `compute_loss`."
                )
            value = model._compute_loss(x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, training=training)
            places.update({path: features for path, (features, _) in new_places.items()})
            masks = {path: mask for path, (_, mask) in new_places.items()}
            return value * ops.cast(scale, value.dtype), masks

    ((value, masks), derivatives), past = autodiff.past_the_scope(lambda: autodiff.differentiate(loss), variables)
    for path, layer in layers.items():
        if path not in places and any(v is w for v in layer.variables for w in past):
            raise ValueError(
                f"model calls {path!r} inside a tf.function that was traced before: its steps cannot be tapped. Call the"
                " layer outside of it, or give the model a plain `call`."
            )
    silent = [path for path in layers if path not in places]
    if not places:
        raise ValueError(f"model must call a recurrent layer, got a forward pass that calls none of {silent}.")
    if silent:
        message = f"not called in this forward pass, or not seen by Python (a function compiled before): {silent}."
        warnings.warn(message, RuntimeWarning, stacklevel=2)  # once for each trace
    norms, alive = {}, {}
    for (call, features), derivative in zip(places.items(), derivatives, strict=True):  # (B, T, width)
        end = 0
        for path, state, width in features:
            start, end = end, end + width
            of_each = autodiff.norm(derivative[..., start:end], axis=2)
            key = f"{len(norms):04d} {path}\n{state}"
            norms[key], alive[key] = of_each / ops.cast(scale, of_each.dtype), masks[call]
    value = ops.cast(value, "float64" if value.dtype == "float64" else "float32")  # NumPy knows no bfloat16
    return value / ops.cast(scale, value.dtype), norms, alive


def _over_batch(norms, alive, align, per):
    """Norms (T,) of the whole batch from those of its sequences (B, T); alive: (B, T), True at steps not masked."""
    norms = norms.astype("float64")
    if align == "end":
        T = norms.shape[1]
        last = np.where(alive.any(1), T - 1 - np.argmax(alive[:, ::-1], axis=1), T - 1)
        source = np.arange(T) - (T - 1 - last)[:, None]  # (B, T); before the sequence's first step: negative
        norms, alive = (
            np.where(source >= 0, np.take_along_axis(a, np.maximum(source, 0), 1), 0) for a in (norms, alive)
        )
    number = np.sum(alive, 0) if per == "sequence" else 1
    with np.errstate(divide="ignore", invalid="ignore"):  # where no sequence is alive there is nothing to report: nan
        largest = norms.max(0, initial=0)
        scale = np.where(np.isfinite(largest) & (largest > 0), largest, 1)
        return scale * np.sqrt(np.sum((norms / scale) ** 2, 0) / number)


def _check(model):
    if not isinstance(model, keras.Model):
        raise TypeError(f"model must be a keras.Model, got {model!r}.")
    models.check_backend("time_step_norms", model)
    if not model.compiled:
        raise ValueError(
            f"model must be compiled: the gradient is that of its loss; call {model.name!r}.compile first."
        )


def _warn(loss, norms):
    """Of what is not finite, and of layers whose norms are all 0."""
    of_all = {f"{name}/{state}": values for name, states in norms.items() for state, values in states.items()}
    bad = [
        f"{name} at {np.sum(~np.isfinite(values))} of {len(values)} steps"
        for name, values in of_all.items()
        if not np.all(np.isfinite(values))
    ]
    if bad or not np.isfinite(loss):
        message = f"the loss is {loss:.4g}; gradient norms that are not finite: {', '.join(bad) or 'none'}."
        warnings.warn(message, RuntimeWarning, stacklevel=3)
    silent = [name for name, states in norms.items() if all(np.all(values == 0) for values in states.values())]
    if silent:
        message = f"every gradient norm of {', '.join(map(repr, silent))} is 0: the loss does not depend on it."
        warnings.warn(message, RuntimeWarning, stacklevel=3)
