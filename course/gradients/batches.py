"""One batch from what `fit` takes: arrays, or the first batch of a dataset."""

import functools

import keras
from keras import ops, tree


def first(x, y=None, sample_weight=None):
    """Return (x, y, sample_weight) of one batch: the three as they are, or the first batch that x yields.

    x: arrays, or a `tf.data.Dataset`, a `keras.utils.PyDataset`, a generator or another iterable of (x, y) or
        (x, y, sample_weight), of which one batch is taken; then y and sample_weight must be None.
    Raises TypeError or ValueError.
    """
    if isinstance(x, keras.utils.PyDataset):
        yields = lambda: x[0]  # noqa: E731
    elif not isinstance(x, list | tuple | dict) and not hasattr(x, "shape") and hasattr(x, "__iter__"):
        yields = lambda: next(iter(x), None)  # noqa: E731
    elif y is None and isinstance(x, tuple) and len(x) in (2, 3) and all(map(_is_array, tree.flatten(x))):
        raise TypeError(
            "x must be the inputs alone, got a tuple: give y and sample_weight as arguments of their own."
        )
    else:
        return x, y, sample_weight
    if y is not None or sample_weight is not None:
        raise ValueError(f"y and sample_weight must be None where x yields them, as {type(x).__name__} does.")
    batch = yields()
    if not isinstance(batch, list | tuple) or not 2 <= len(batch) <= 3:
        got = "nothing" if batch is None else type(batch).__name__
        raise ValueError(f"x must yield batches (x, y) or (x, y, sample_weight), got {got} from {type(x).__name__}.")
    return (*batch, None)[:3]


def tensors(**data):
    """Return tensors of x, y and sample_weight, as `fit` would make them; raise an error unless of equal length."""
    lengths = {}

    def convert(name, value):
        value = value.to_numpy() if hasattr(value, "to_numpy") else value  # pandas
        if value is None and name != "x":
            return None
        if not _is_array(value):
            whole = type(data[name]).__name__
            part = "" if value is data[name] else f" with {type(value).__name__}s in it"
            hint = "; make it one with numpy.array" if part else ""
            hint = "; of a dataset give one batch: x, y = next(iter(dataset))" if hasattr(value, "__iter__") else hint
            raise TypeError(
                f"{name} must be an array, or a list or dictionary of arrays, of one batch; got a {whole}{part}{hint}."
            )
        lengths.setdefault(name, set()).add(int(value.shape[0]))
        wanted = keras.backend.floatx() if "float" in value.dtype.name else None
        return ops.convert_to_tensor(value, dtype=wanted)

    result = [tree.map_structure(functools.partial(convert, name), value) for name, value in data.items()]
    if len(set().union(*lengths.values())) > 1 or 0 in lengths["x"]:
        given = ", ".join(f"{name} {' and '.join(map(str, sorted(n)))}" for name, n in lengths.items())
        raise ValueError(f"x, y and sample_weight must have the same number of sequences, at least 1, got {given}.")
    return result


def _is_array(value):
    return hasattr(value, "shape") and hasattr(value, "dtype") and len(value.shape) > 0
