"""What Keras leaves to its backends: derivatives and compilation. The one module that knows TensorFlow from JAX."""

import keras
from keras import ops


def differentiate(function):
    """Return function(zeros) and its derivative with respect to each tensor that zeros(shape, dtype) handed out.

    function: adds the zeros where it wants a derivative and returns a scalar.
    """
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        handed_out = []
        with tf.GradientTape(watch_accessed_variables=False) as tape:

            def zeros(shape, dtype):
                handed_out.append(tf.zeros(shape, dtype))
                tape.watch(handed_out[-1])
                return handed_out[-1]

            value = function(zeros)
        return value, tape.gradient(value, handed_out, unconnected_gradients=tf.UnconnectedGradients.ZERO)

    import jax

    asked = []  # JAX differentiates with respect to arguments, so a first, shape-only run finds what is asked for
    jax.eval_shape(lambda: function(lambda shape, dtype: asked.append((shape, dtype)) or ops.zeros(shape, dtype)))

    def of_arguments(arguments):
        remaining = iter(arguments)
        return function(lambda shape, dtype: next(remaining))

    return jax.value_and_grad(of_arguments)([ops.zeros(*shape_and_dtype) for shape_and_dtype in asked])


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
    scale = ops.where(ops.logical_and(ops.isfinite(largest), largest > 0), largest, ops.ones_like(largest))
    return ops.squeeze(scale, axis) * ops.sqrt(ops.sum(ops.square(g / scale), axis=axis))


def to_numpy(variable):
    """Return the value of a variable; TensorFlow's own way warns with NumPy 2."""
    return ops.convert_to_numpy(ops.copy(variable))  # a tensor of its own, not the variable
