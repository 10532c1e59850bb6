"""The models that a search tries: recurrent classifiers whose size, dropout and learning rate are hyperparameters."""

from functools import partial

from course import arguments
from course.fresh import fresh

CELLS = ("RNN", "LSTM", "PeepholeLSTM", "GRU")


def build_hypermodel(
    shape,
    classes,
    *,
    cell=("LSTM",),
    units=(4, 64),
    layers=(1,),
    dropout=(0.0, 0.6),
    recurrent_dropout=0.0,
    weight_decay=0.0,
    learning_rate=(1e-3, 3e-2),
    jit_compile=False,
):
    """Return a hypermodel for Keras Tuner, a function of its HyperParameters: a classifier of sequences (T, D).

    shape: (T, D). classes: how many. The others say what is searched: a list holds choices, a tuple (low, high) is a
    range, on a log scale for units, weight_decay and learning_rate; one value is fixed, as is a tuple of one.

    The model: Input, then `layers` times an RNN of one of the CELLS with `recurrent_dropout` on its state, each
    followed by `dropout` of its units (the same ones at all time steps), and a Dense layer of logits. It is compiled
    with AdamW, cross-entropy and accuracy. `jit_compile=True` pays only where a training takes much longer than the
    few seconds that XLA needs for every setting. Raises ValueError or TypeError naming the argument.
    """
    if not isinstance(shape, tuple | list) or len(shape) != 2:
        raise ValueError(f"shape must be (T, D), time steps and features, got {shape!r}.")
    shape = tuple(arguments.integer("shape", size, at_least=1) for size in shape)
    arguments.integer("classes", classes, at_least=2)
    names = partial(arguments.one_of, choices=CELLS)
    whole = partial(arguments.integer, at_least=1)
    share = partial(arguments.number, at_least=0, below=1)
    space = {
        "cell": _choices("cell", cell, names),
        "units": _choices("units", units, whole, "log"),
        "layers": _choices("layers", layers, whole, "linear"),
        "dropout": _choices("dropout", dropout, share, "linear"),
        "recurrent_dropout": _choices("recurrent_dropout", recurrent_dropout, share, "linear"),
        "weight_decay": _choices("weight_decay", weight_decay, partial(arguments.number, at_least=0), "log"),
        "learning_rate": _choices("learning_rate", learning_rate, partial(arguments.number, above=0), "log"),
    }
    return partial(_classifier, shape, classes, space, bool(jit_compile))


def build(hypermodel, values, seed):
    """Return the compiled model that `hypermodel` makes of `values`, a dict of hyperparameters, with weights of `seed`.

    As of `course.fresh.fresh`, which it uses: asked again for the same values, it reuses what is compiled.
    """
    return fresh(partial(_with_values, hypermodel), seed, values=tuple(sorted(values.items())))


def _choices(name, given, check, scale=None):
    """Return (kind, values, scale) of what `build_hypermodel` was given for `name`."""
    several = isinstance(given, list | tuple)
    values = [check(name, value) for value in (given if several else [given])]
    if not values:
        raise ValueError(f"{name} must hold at least one value, got {given!r}.")
    if isinstance(given, list) or scale is None or len(values) == 1:
        return "choice", values, None
    if len(values) != 2 or not values[0] < values[1] or (scale == "log" and not values[0] > 0):
        above = " with low above 0" if scale == "log" else ""
        raise ValueError(
            f"{name} must be a list of choices, a range (low, high){above}, or one value, got {given!r}."
        )
    return "range", values, scale


def _classifier(shape, classes, space, jit_compile, hp):
    from course import cells
    import keras

    chosen = {name: _declare(hp, name, *what) for name, what in space.items()}
    cell = getattr(cells, f"{chosen['cell']}Cell")
    model = keras.Sequential([keras.Input(shape)])
    for number in range(chosen["layers"]):
        last = number == chosen["layers"] - 1
        recurrent = cell(chosen["units"], recurrent_dropout=chosen["recurrent_dropout"])
        model.add(keras.layers.RNN(recurrent, return_sequences=not last))
        model.add((keras.layers.Dropout if last else keras.layers.SpatialDropout1D)(chosen["dropout"]))
    model.add(keras.layers.Dense(classes))
    model.compile(
        keras.optimizers.AdamW(chosen["learning_rate"], weight_decay=chosen["weight_decay"]),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        jit_compile=jit_compile,
    )
    return model


def _declare(hp, name, kind, values, scale):
    if kind == "choice":
        return hp.Choice(name, values) if len(values) > 1 else values[0]
    make = hp.Int if isinstance(values[0], int) else hp.Float
    return make(name, *values, sampling=scale)


def _with_values(hypermodel, values):
    import keras_tuner

    hp = keras_tuner.HyperParameters()
    hp.values = dict(values)
    return getattr(hypermodel, "build", hypermodel)(hp)
