"""How much a loss depends on each step of the input: for series, and for text behind an Embedding."""

import contextlib
import functools

from course.gradients import autodiff, batches, models, taps
import keras
from keras import ops, tree


def input_norms(model, x, y, sample_weight=None):
    """Return ‖dL/dx_t‖ (B, T): how strongly the loss L of one batch depends on each step of each sequence's input.

    ‖dL/dx_t‖ = sqrt(Σ over features of (dL/dx_t)²). The derivative is total: by way of every state and layer. Where x
    holds whole numbers, the words or characters an Embedding looks up, x_t stands for the vector that it gives for
    step t: a number of a word has no derivative. A norm is a slope at x as it is, not what leaving x_t out would do.

    model: a compiled and built `keras.Model` with one input. With an integer x, its Embedding is to be the only layer
        that reads x. L is the loss it was compiled with, the mean over the batch: so of B sequences of equal weight
        each has 1/B of what it would have alone.
    x: an array (B, T, …) of floats, or (B, T) of integers; y, sample_weight: as for `fit`. To ask what *one* prediction
        of many depends on, weight the others with 0: a sample_weight (B, T) that is 1 at its step alone.

    The pass is the deterministic one, without dropout. It is compiled as the model is and kept until the model is
    compiled anew; it costs about as much as a training step. The model, its states and random generators stay as they
    are. Norms down to 2e-38 are exact in float32.

    Source: gradients with respect to inputs as a measure of relevance, Simonyan, Vedaldi and Zisserman (2014), "Deep
    Inside Convolutional Networks: Visualising Image Classification Models and Saliency Maps".

    Raises TypeError if `model` is no Keras model or x no array; ValueError if the model is not compiled or not built, if
    x has no axis of steps, if it is of integers and the model has not exactly one Embedding that reads (B, T) of them,
    and if x, y and sample_weight differ in length; RuntimeError on a backend other than TensorFlow and JAX.
    """
    if not isinstance(model, keras.Model):
        raise TypeError(f"model must be a keras.Model, got {model!r}.")
    models.check_backend("input_norms", model)
    if not model.compiled or not model.built:
        what = "compiled" if model.built else "built: call it on data, or give it an Input"
        raise ValueError(f"model must be {what}, got {model.name!r}.")
    x, y, sample_weight = batches.tensors(x=x, y=y, sample_weight=sample_weight)
    if not hasattr(x, "shape") or len(x.shape) < 2:
        got = f"shape {tuple(x.shape)}" if hasattr(x, "shape") else f"a {type(x).__name__} of inputs"
        raise ValueError(f"x must be one array (B, T, …), got {got}.")
    embedding = None if keras.backend.is_float_dtype(x.dtype) else _embedding(model)
    run, variables = _compiled(model, embedding)
    with keras.StatelessScope():  # nothing is assigned
        return ops.convert_to_numpy(run([variable.value for variable in variables], x, y, sample_weight))


def _embedding(model):
    """The layer that turns an integer x into vectors."""
    found = [layer for layer in model._flatten_layers() if isinstance(layer, keras.layers.Embedding)]
    if len(found) != 1:
        number = "none" if not found else f"{len(found)} ({', '.join(layer.name for layer in found)})"
        raise ValueError(
            f"model must have one Embedding where x is of integers, got {number}. Give x as floats, one-hot, say, or"
            " measure the part of the model behind the Embeddings."
        )
    return found[0]


def _compiled(model, embedding):
    """The compiled function for `model`, and the variables whose values it takes; made anew after each compile()."""
    layers = model._flatten_layers()
    states = [layer.states or () for layer in layers if isinstance(layer, keras.layers.RNN)]
    variables = list({id(v): v for v in (*model.variables, *tree.flatten(states))}.values())
    compile_ = models.last_compile(model)
    key = (id(compile_), id(embedding), *map(id, variables))
    cache = vars(model).setdefault("_course_input_norms", {})  # goes when the model goes, and is never saved
    if cache.get("key") != key:
        run = autodiff.compiled(functools.partial(_norms, model, embedding, variables), model)
        cache |= {"key": key, "alive": (compile_, variables), "run": run}
    return cache["run"], variables


def _norms(model, embedding, variables, values, x, y, sample_weight):
    """‖dL/dx_t‖ (B, T): zeros are added to x, or to what the embedding gives, and L is differentiated by them."""

    def loss(zeros):
        shapes = []  # of what the zeros were added to

        def plus_zeros(vectors):
            shapes.append(tuple(vectors.shape))
            return vectors + zeros(vectors.shape, vectors.dtype)

        def look_up(numbers, *args, **kwargs):
            return plus_zeros(type(embedding).call(embedding, numbers, *args, **kwargs))

        given = zip(variables, values, strict=True)
        tapped = contextlib.nullcontext() if embedding is None else taps.replaced(embedding, call=look_up)
        with keras.StatelessScope(given, collect_losses=True), taps.losses_apart(model), tapped:
            read = plus_zeros(x) if embedding is None else x
            y_pred = model(read, training=False) if model._call_has_training_arg else model(read)
            value = model._compute_loss(x=read, y=y, y_pred=y_pred, sample_weight=sample_weight, training=False)
        if embedding is not None and [shape[:-1] for shape in shapes] != [tuple(x.shape)]:
            raise ValueError(
                f"model must look x of shape {tuple(x.shape)} up in {embedding.name!r}, once, as it is; got vectors of"
                f" shapes {shapes}."
            )
        return value, ()

    _, (slopes,) = autodiff.differentiate(loss)
    return autodiff.norm(ops.reshape(slopes, (*x.shape[:2], -1)), axis=2)
