"""A model for every seed without compiling again: what makes a sweep over seeds cheap."""

from collections import OrderedDict
import json
import re
import warnings

from course import arguments

_MODELS = OrderedDict()  # of this process: compiled models by what Keras says of them, the latest last
_KEEP = 8
_OURS = ("keras", "course")  # packages whose functions and classes do not change while a process runs


def fresh(build, seed, **setting):
    """Return `build(**setting)`, a compiled model, as if made right after `keras.utils.set_random_seed(seed)`.

    Tracing and compiling the training step takes as long as a small training, so a process keeps its latest eight
    models: when `build` makes one that Keras describes alike (configuration and compile configuration, but for
    automatic names and the learning rate), what is compiled is used again. Training is identical to training the
    new model, weights, optimizer, random states and the order of the examples included.

    A model with functions or classes that are neither Keras' nor the course's, such as a loss of your own, is compiled
    anew every time: what they depend on cannot be seen. Losses and metrics are seen when they are named, "mse", or are
    objects, `keras.losses.MeanSquaredError()`.

    On TensorFlow you get *the same model object* back, which a new start has reset: two models of one configuration
    cannot be used side by side.

    build: a function that returns a compiled model whose weights exist: one that starts with `keras.Input`. Layers
    that draw random numbers must own a `keras.random.SeedGenerator`, as Keras' own do.
    """
    if not callable(build):
        raise TypeError(f"build must be a function that returns a compiled Keras model, got {build!r}.")
    seed = arguments.integer("seed", seed, at_least=0, at_most=2**32 - 1)
    import keras  # here, so that a worker limits its threads before TensorFlow starts

    keras.utils.set_random_seed(seed)
    new = build(**setting)
    if not isinstance(new, keras.Model) or not new.built or getattr(new, "optimizer", None) is None:
        raise ValueError(f"build must return a compiled keras.Model that starts with a keras.Input, got {new!r}.")
    new.optimizer.build(new.trainable_variables)
    said = _said(new)
    if said is None:
        return new
    old, optimizer = _MODELS.pop(said, (None, None))
    # not changed by hand in between, nor compiled
    if old is not None and old.optimizer is optimizer and _said(old) == said and _alike(old, new):
        new = _restarted(old, new, keras.backend.backend())
    _MODELS[said] = (new, new.optimizer)
    while len(_MODELS) > _KEEP:
        _MODELS.popitem(last=False)
    return new


def _said(model):
    """Return what Keras says of a compiled model, as text without automatic names, or None if it cannot say all."""
    import keras

    parts = [*model._flatten_layers(), model.optimizer]  # as Keras itself goes through the layers inside layers
    if not all(map(_known, parts)):
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a function cannot be saved
        try:
            config = keras.saving.serialize_keras_object(model)
        except Exception:
            return None
    if _unseen(config) or _functions(config["compile_config"]):
        return None
    if isinstance(config["compile_config"]["optimizer"]["config"].get("learning_rate"), float):
        del config["compile_config"]["optimizer"]["config"]["learning_rate"]  # a variable, which a new start sets
    names = {part.name: place for place, part in enumerate(parts) if _automatic(part)}
    used = [model.jit_compile, model.run_eagerly, model.steps_per_execution, [v.trainable for v in model.variables]]
    return json.dumps([_without(config, names), used], sort_keys=True)


def _known(layer):
    """Return whether a layer's class and all functions it holds are Keras' or the course's."""
    held = [value for value in vars(layer).values() if callable(value)]
    modules = [getattr(value, "__module__", None) or type(value).__module__ for value in (type(layer), *held)]
    return all(module.split(".")[0] in _OURS for module in modules)


def _unseen(part):
    """Return whether a configuration holds an object that is neither Keras' nor the course's."""
    if isinstance(part, dict):
        module = part.get("module") if "class_name" in part else None
        foreign = module is not None and module.split(".")[0] not in (*_OURS, "builtins")
        return foreign or part.get("class_name") == "__lambda__" or any(map(_unseen, part.values()))
    return isinstance(part, list) and any(map(_unseen, part))


def _functions(part):
    """Return whether a configuration holds a function, of which it says the name alone."""
    if isinstance(part, dict):
        return part.get("class_name") == "function" or any(map(_functions, part.values()))
    return isinstance(part, list) and any(map(_functions, part))


def _automatic(part):
    """Return whether a name is one that Keras gives by itself: lstm, lstm_1, …"""
    return re.sub(r"_\d+$", "", part.name).replace("_", "") == type(part).__name__.lower()


def _without(part, names):
    if isinstance(part, dict):
        return {key: _without(value, names) for key, value in part.items()}
    if isinstance(part, (list, tuple)):
        return [_without(value, names) for value in part]
    return names.get(part, part) if isinstance(part, str) else part


def _alike(old, new):
    """Return whether `old` has the variables of `new`, and its names, but for numbered ones, on which nobody relies."""
    theirs, ours = ([*model.variables, *model.optimizer.variables] for model in (old, new))
    names = zip((x.name for x in old._flatten_layers()), (x.name for x in new._flatten_layers()), strict=True)
    return [(v.shape, v.dtype, v.trainable) for v in theirs] == [
        (v.shape, v.dtype, v.trainable) for v in ours
    ] and all(there == here or re.search(r"_\d+$", here) for there, here in names)


def _restarted(old, new, backend):
    """Return a model in the state of `new` that uses the functions compiled for `old`."""
    theirs, ours = ([*model.variables, *model.optimizer.variables] for model in (old, new))
    if backend == "tensorflow":  # compiled functions hold on to the variables of their model
        for variable, start in zip(theirs, ours, strict=True):
            variable.assign(start)
        old.reset_metrics()
        return old
    if backend == "jax":  # compiled functions are given all state, in the order of the lists above
        for name in ("train_function", "test_function", "predict_function"):
            setattr(new, name, getattr(old, name))
    return new
