"""The Jacobian from one state of a recurrent layer to the next: the theory's quantity, along a real trajectory."""

from course.gradients import autodiff, taps
import keras
from keras import ops, tree
import numpy as np

ROWS = 2**15  # of the batch in which Jacobians are computed at once: it bounds the memory


def state_jacobian(layer_or_cell, x, initial_state=None, *, full=False):
    """Return the Jacobians J_t = dh_t/dh_{t-1}, (T, H, H), along the trajectory that one input sequence drives.

    J_t[i, j] is the derivative of unit i of h_t with respect to unit j of h_{t-1}; x_t and, in an LSTM, c_{t-1} are
    held fixed. `full=True` takes the whole state instead: for an LSTM s = [h, c] and J_t is (2H, 2H), so that
    J_T ⋯ J_2 is the true ds_T/ds_1. Singular values: `numpy.linalg.svd(J, compute_uv=False)`, (T, H).

    layer_or_cell: a built recurrent layer or cell. A layer with `go_backwards` reads x from its end; J_t still belongs
        to the step that reads x_t. Dropout is off.
    x: one sequence (T, D).
    initial_state: list of arrays (1, H), one per state; zeros if None, also for a stateful layer.

    It steps through the sequence once, and then differentiates N outputs at every step (N = H, or all of the state):
    T N cell steps in all, uncompiled. Measured: 21 s at T=5,000; for a long sequence take a part of it.

    Raises TypeError for anything that is no recurrent layer or cell; ValueError for one that is not built, for a
    wrong shape, and for StackedRNNCells unless `full` (they have no single h).
    """
    cell = getattr(layer_or_cell, "cell", layer_or_cell)
    if not hasattr(cell, "state_size") or not callable(cell):
        raise TypeError(f"layer_or_cell must be a recurrent layer or cell, got {layer_or_cell!r}.")
    if not getattr(layer_or_cell, "built", True):
        raise ValueError(
            f"layer_or_cell must be built, got {layer_or_cell.name!r} without weights: call it on data once."
        )
    if isinstance(cell, keras.layers.StackedRNNCells) and not full:
        raise ValueError("layer_or_cell must be one of the cells of StackedRNNCells unless full=True.")
    x = ops.convert_to_tensor(x, dtype=cell.compute_dtype)
    if len(x.shape) != 2 or not all(x.shape):
        raise ValueError(f"x must have shape (T, D), one sequence, got {tuple(x.shape)}.")
    start = _start(cell, initial_state)
    backwards = getattr(layer_or_cell, "go_backwards", False)
    try:
        # Dropout masks are made even where they are not used; here they draw no random numbers of the cell's.
        with keras.StatelessScope():
            J = _jacobians(cell, ops.flip(x, 0) if backwards else x, start, full)
    finally:
        taps.forget_masks(cell)
    return J[::-1] if backwards else J


def _jacobians(cell, x, start, full):
    options = {"training": False} if isinstance(cell, keras.Layer) and cell._call_has_training_arg else {}

    def step(x, states):
        states = tree.pack_sequence_as(start, list(states))
        return [ops.convert_to_tensor(s) for s in tree.flatten(cell(x, states, **options)[1])]

    def scanned(states, x_t):
        states = step(x_t[None], states)
        return states, states

    first = tree.flatten(start)
    _, trajectory = ops.scan(scanned, first, x)  # each (T, 1, H)
    before = [ops.concatenate([s[None], later[:-1]])[:, 0] for s, later in zip(first, trajectory, strict=True)]
    widths = [s.shape[-1] for s in before]
    N, taken = (sum(widths), len(widths)) if full else (widths[0], 1)
    taps.forget_masks(cell)  # those of the trajectory have its batch size

    def some(x, before):
        """J_t for some steps at once: step t stands in the batch N times, its i-th copy for the i-th row of J_t."""
        copies = [ops.repeat(array, N, axis=0) for array in (x, *before)]

        def diagonal(zeros):
            e = zeros((x.shape[0] * N, N), x.dtype)
            e = [e[:, end - width : end] for width, end in zip(widths, np.cumsum(widths), strict=True)]
            states = [s + e[k] if k < taken else s for k, s in enumerate(copies[1:])]
            after = ops.concatenate(step(copies[0], states)[:taken], axis=-1)
            return ops.sum(after * ops.tile(ops.eye(N, dtype=x.dtype), (x.shape[0], 1))), ()

        _, (rows,) = autodiff.differentiate(diagonal)
        return ops.convert_to_numpy(rows).reshape(-1, N, N)

    size = max(1, ROWS // N)  # steps at a time
    starts = range(0, x.shape[0], size)
    return np.concatenate([some(x[t : t + size], [s[t : t + size] for s in before]) for t in starts])


def _start(cell, initial_state):
    """The first state, in the structure in which the cell takes it, each part (1, H)."""
    if hasattr(cell, "get_initial_state"):
        zeros = cell.get_initial_state(batch_size=1)
    else:
        zeros = [ops.zeros((1, width), dtype=cell.compute_dtype) for width in tree.flatten(cell.state_size)]
    zeros = list(zeros) if tree.is_nested(zeros) else [zeros]
    if initial_state is None:
        return zeros
    given, wanted = tree.flatten(initial_state), tree.flatten(zeros)
    if [np.shape(s) for s in given] != [tuple(z.shape) for z in wanted]:
        wanted = ", ".join(str(tuple(z.shape)) for z in wanted)
        raise ValueError(f"initial_state must be arrays of shape {wanted}, got {[np.shape(s) for s in given]}.")
    given = [ops.convert_to_tensor(s, dtype=z.dtype) for s, z in zip(given, wanted, strict=True)]
    return tree.pack_sequence_as(zeros, given)
