"""What Keras leaves to its backends: derivatives and compilation. The one module that knows TensorFlow from JAX."""

import keras
from keras import ops


def differentiate(function):
    """Return what function(zeros) returns, and the derivative with respect to each tensor zeros(shape, dtype) gave.

    function: adds the zeros where it wants a derivative, and returns (scalar, anything else that it computes).
    """
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        handed_out = []
        with tf.GradientTape(watch_accessed_variables=False) as tape:

            def zeros(shape, dtype):
                handed_out.append(tf.zeros(shape, dtype))
                tape.watch(handed_out[-1])
                return handed_out[-1]

            value, more = function(zeros)
        slopes = tape.gradient(value, handed_out, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        return (value, more), slopes

    import jax

    asked = []  # JAX differentiates with respect to arguments, so a first, shape-only run finds what is asked for
    jax.eval_shape(lambda: function(lambda shape, dtype: asked.append((shape, dtype)) or ops.zeros(shape, dtype)))

    def of_arguments(arguments):
        remaining = iter(arguments)
        return function(lambda shape, dtype: next(remaining))

    return jax.value_and_grad(of_arguments, has_aux=True)([ops.zeros(*shape_and_dtype) for shape_and_dtype in asked])


def where():
    """Return a token of the place that code runs in: another one inside a function that is traced or recorded apart."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf
        from tensorflow.python.eager import record  # not public; inside tf.recompute_grad nothing is recorded

        mapped = "loop_body" in tf.get_current_name_scope().split("/")  # of tf.vectorized_map, which shares its graph
        return id(tf.compat.v1.get_default_graph()), record.could_possibly_record(), mapped
    from jax.extend.core import get_opaque_trace_state

    return get_opaque_trace_state(convention="flax")


def past_the_scope(function, variables):
    """Return function() and those of `variables` that were read as they are, not as the stateless scope gives them.

    On TensorFlow a `tf.function` traced earlier does that: it holds its variables, and Python does not see its layers.
    """
    if keras.backend.backend() != "tensorflow":
        return function(), []
    import tensorflow as tf

    with tf.GradientTape() as tape:
        value = function()
    read = {id(variable) for variable in tape.watched_variables()}
    return value, [variable for variable in variables if id(variable.value) in read]


def compiled(function, model):
    """Return `function` compiled the way `model` was compiled: graph, XLA, or not at all (`run_eagerly=True`)."""
    if model.run_eagerly:
        return function
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.function(function, jit_compile=model.jit_compile, autograph=False)
    import jax

    return jax.jit(function) if model.jit_compile else function


def norm(g, axis):
    """Return sqrt(Σ g²) over `axis` (or axes), without a square that overflows or vanishes; float32 at least."""
    g = ops.cast(g, "float32") if keras.backend.standardize_dtype(g.dtype) in ("float16", "bfloat16") else g
    largest = ops.max(ops.abs(g), axis=axis, keepdims=True)
    # XLA divides by multiplying with 1/scale, which is 0 above 8.5e37 (in float32): so far it need not go.
    largest = ops.where(ops.isfinite(largest), ops.minimum(largest, 1e300 if g.dtype == "float64" else 1e37), largest)
    scale = ops.where(ops.logical_and(ops.isfinite(largest), largest > 0), largest, ops.ones_like(largest))
    return ops.squeeze(scale, axis) * ops.sqrt(ops.sum(ops.square(g / scale), axis=axis))


def rows(g):
    """Return a gradient with the same entries that are not 0, each once: the rows that are there, if it is sparse.

    TensorFlow gives the gradient of an Embedding as rows, some of them for the same word: they are summed. The whole
    matrix, which may be large, is never made.
    """
    if not hasattr(g, "indices"):
        return ops.convert_to_tensor(g)
    order = ops.argsort(g.indices)
    indices, values = ops.take(g.indices, order), ops.take(g.values, order, axis=0)
    number = ops.cumsum(ops.cast(indices[1:] != indices[:-1], "int32"))  # of the word, in their order
    number = ops.concatenate([ops.zeros((1,), "int32"), number])
    return ops.segment_sum(values, number, num_segments=ops.shape(indices)[0])


def to_numpy(variable):
    """Return the value of a variable; TensorFlow's own way warns with NumPy 2."""
    return ops.convert_to_numpy(ops.copy(variable))  # a tensor of its own, not the variable
