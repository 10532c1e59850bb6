"""A model for every seed without compiling again: what makes a sweep over seeds cheap."""

from collections import OrderedDict

from course import arguments
from course.fingerprint import fingerprint

_MODELS = OrderedDict()  # of this process: compiled models by configuration, the latest last
_KEEP = 8


def fresh(build, seed, **setting):
    """Return `build(**setting)`, a compiled model, as if made right after `keras.utils.set_random_seed(seed)`.

    Tracing and compiling the training step takes as long as a small training, so a process keeps its latest eight
    models: asked again for the same `build` and setting, with any seed, it reuses what is compiled. Training is
    identical to training a new model, weights, optimizer, random states and the order of the examples included.

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
    key = fingerprint((build, setting))
    old, optimizer = _MODELS.pop(key, (None, None))
    if old is not None and old.optimizer is optimizer:  # not compiled by hand in between
        new = _restarted(old, new, keras.backend.backend())
    _MODELS[key] = (new, new.optimizer)
    while len(_MODELS) > _KEEP:
        _MODELS.popitem(last=False)
    return new


def _restarted(old, new, backend):
    """Return a model in the state of `new` that uses the functions compiled for `old`, or `new` if they do not fit."""
    theirs, ours = ([*model.variables, *model.optimizer.variables] for model in (old, new))
    if [(v.shape, v.dtype, v.trainable) for v in theirs] != [(v.shape, v.dtype, v.trainable) for v in ours]:
        return new  # `old` was changed by hand, such as a layer frozen
    if backend == "tensorflow":  # compiled functions hold on to the variables of their model
        for variable, start in zip(theirs, ours, strict=True):
            variable.assign(start)
        old.reset_metrics()
        return old
    if backend == "jax":  # compiled functions are given all state, in the order of the lists above
        for name in ("train_function", "test_function", "predict_function"):
            setattr(new, name, getattr(old, name))
    return new
