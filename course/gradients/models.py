"""What the instrument asks a Keras model: which compile it is under, its recurrent layers, whether it can be measured."""

import keras

_CONVOLUTIONAL = (keras.layers.ConvLSTM1D, keras.layers.ConvLSTM2D, keras.layers.ConvLSTM3D)


def last_compile(model):
    """Return an object that is another one after every `compile()`, whatever the model overrides.

    Its metrics will not do: Keras' own example of `compute_loss` overrides `metrics`, and then they stay the same.
    """
    return model._compile_config


def check_backend(what, model):
    """Raise RuntimeError unless TensorFlow or JAX runs, ValueError where a step is shared among several devices."""
    backend = keras.backend.backend()
    if backend not in ("tensorflow", "jax"):
        raise RuntimeError(f"{what} needs TensorFlow or JAX as Keras' backend, got {backend!r}.")
    shared = getattr(getattr(model, "distribute_strategy", None), "num_replicas_in_sync", 1) > 1
    if shared or keras.distribution.distribution() is not None:
        kind = type(model.distribute_strategy if shared else keras.distribution.distribution()).__name__
        raise ValueError(
            f"model must train on one device to be measured by {what}, got {model.name!r} under {kind}: its gradients are"
            " spread over devices."
        )


def recurrent_layers(model):
    """Return {path: layer} of the recurrent layers inside a model, nested ones as "outer/inner", and what is left out.

    Each layer comes once. Left out is what cannot be tapped: convolutional recurrent layers, layers in TimeDistributed,
    and cells that a model calls in a loop of its own; [] or ["path (why)", …]. Raises ValueError if nothing else is
    there, and if a model without weights was never called.
    """
    if not model.built:
        raise ValueError(
            f"model must be built, got {model.name!r} without weights: call it on data, or give it an Input."
        )
    found, left_out = {}, {}
    _search(model, "", found, left_out)
    inside = {id(part) for layer in found.values() for part in layer._flatten_layers()}
    told = [f"{path!r} ({why})" for path, (layer, why) in left_out.items() if id(layer) not in inside]
    if not found:
        only = f"only {', '.join(told)}, which cannot be tapped" if told else f"{model.name!r} with none"
        raise ValueError(f"model must have a recurrent layer (SimpleRNN, LSTM, GRU, RNN), got {only}.")
    if not (built := {path: layer for path, layer in found.items() if layer.built}):
        raise ValueError(f"model must be built, got {', '.join(map(repr, found))} never called: call it on data.")
    return built, told  # a layer without weights was never called: it has no part in the loss


def _search(layer, path, found, left_out):
    taken = []
    for child in layer._flatten_layers(include_self=False, recursive=False):
        taken.append(unique(child.name, taken))
        name = f"{path}{taken[-1]}"
        if isinstance(child, _CONVOLUTIONAL):
            left_out[name] = child, "convolutional: its states are not (B, H)"
        elif isinstance(child, keras.layers.RNN):
            if not any(child is other for other in found.values()):
                found[name] = child
        elif isinstance(child, keras.layers.TimeDistributed):
            inner = {}
            _search(child, f"{name}/", inner, left_out)
            left_out |= {
                name: (layer, "inside TimeDistributed: it has two axes of time") for name, layer in inner.items()
            }
        elif hasattr(child, "state_size"):
            left_out[name] = child, "a cell outside of keras.layers.RNN: its loop is the model's own"
        else:
            _search(child, f"{name}/", found, left_out)


def unique(name, taken):
    """Return `name`, or the first of name_2, name_3, … that is not in `taken`."""
    number = 1
    while (candidate := name if number == 1 else f"{name}_{number}") in taken:
        number += 1
    return candidate
