"""Taps on the recurrent layers of a model: a zero added to every state that a time step hands on.

Each state s_t becomes s_t + e_t with e_t = 0. The forward pass stays what it was, and dL/de_t is, by the chain rule,
the total derivative dL/ds_t: through every later step and through the layers above. One backward pass gives all t.
The zeros travel with the inputs, as extra features of x_t, so they keep the inputs' order whichever way the layer
reads them. A layer is tapped only inside the `with` block; its weights, cell and class are never touched.
"""

import contextlib
import functools
import math

from course.gradients import autodiff
from course.gradients.models import unique
import keras
from keras import ops, tree


@contextlib.contextmanager
def replaced(thing, **attributes):
    """Within the block, `thing` has these attributes; past Keras' tracking, which would take note of them."""
    before = {name: vars(thing)[name] for name in attributes if name in vars(thing)}
    vars(thing).update(attributes)
    try:
        yield
    finally:
        for name in attributes:
            vars(thing).pop(name, None)
        vars(thing).update(before)


def forget_masks(cell):
    """Make a cell, or a stack of them, forget the dropout masks it keeps while a sequence lasts."""
    for inner in getattr(cell, "cells", ()):
        forget_masks(inner)
    if hasattr(cell, "reset_dropout_mask"):
        cell.reset_dropout_mask()
        cell.reset_recurrent_dropout_mask()


@contextlib.contextmanager
def losses_apart(model):
    """Within the block, the losses that layers add in a call are kept apart from those of the user's last call."""
    with contextlib.ExitStack() as stack:
        for layer in model._flatten_layers():
            stack.enter_context(replaced(layer, _losses=[], _loss_ids=set()))
        yield


@contextlib.contextmanager
def tapped(layers, zeros):
    """Within the block, every call of one of `layers` {path: layer} adds zeros((B, T, width), dtype) to its states.

    Yields a dictionary that grows by one entry per call, {path: (features, mask)}; a second call of the same layer is
    path_2. features say what the zeros' are: [(path of the cell, name of the state, width), …]; mask is (B, T) or None.
    Raises ValueError where a layer is called in a way that hides its steps.
    """
    places, here = {}, autodiff.where()
    with contextlib.ExitStack() as stack:
        for path, layer in layers.items():
            loop = functools.partial(_inner_loop, layer, path, places, zeros, here)
            # cuDNN kernels have no steps to tap; without them Bidirectional, too, runs its two layers one by one.
            cudnn = {"use_cudnn": False} if hasattr(layer, "use_cudnn") else {}
            call = functools.partial(_call, layer.call, path, places)
            stack.enter_context(replaced(layer, inner_loop=loop, call=call, **cudnn))
            stack.callback(forget_masks, layer.cell)  # an exception leaves them behind
        yield places


@contextlib.contextmanager
def heard(layers):
    """Within the block, every call of one of `layers` {path: layer} is noted, and goes on as it would.

    Yields {path: (layer, sequences (B, T, D), initial states, mask (B, T) or None)}; the second call is path_2.
    """
    calls, here = {}, autodiff.where()

    def note(layer, path, sequences, initial_state, mask=None, training=False):
        if autodiff.where() != here:
            raise ValueError(f"model calls {path!r} inside a function that is compiled apart: its steps are hidden.")
        mask = None if mask is None else tree.flatten(mask)[0]
        calls[unique(path, calls)] = layer, sequences, initial_state, mask
        return type(layer).inner_loop(layer, sequences, initial_state, mask=mask, training=training)

    with contextlib.ExitStack() as stack:
        for path, layer in layers.items():
            loop = functools.partial(note, layer, path)
            cudnn = {"use_cudnn": False} if hasattr(layer, "use_cudnn") else {}
            stack.enter_context(replaced(layer, inner_loop=loop, **cudnn))
            stack.callback(forget_masks, layer.cell)
        yield calls


def _call(call, path, places, *args, **kwargs):
    """The layer's `call`, which must come to the tapped loop."""
    before = len(places)
    result = call(*args, **kwargs)
    if len(places) == before:
        raise ValueError(
            f"model has {path!r}, whose `call` does not run the time loop of keras.layers.RNN (`inner_loop`): its steps"
            " cannot be tapped."
        )
    return result


def _inner_loop(layer, path, places, zeros, here, sequences, initial_state, mask=None, training=False):
    """The layer's time loop over x_t and e_t side by side, with a stand-in for the cell that takes them apart."""
    if autodiff.where() != here:  # a zero made there has a derivative there only
        raise ValueError(
            f"model calls {path!r} inside a function that is differentiated or compiled apart (cond, map, vectorized_map,"
            " remat, tf.function, jit): its steps cannot be tapped. Call the layer outside of it, or give the model a"
            " plain `call`."
        )
    if not keras.backend.is_float_dtype(sequences.dtype):
        sequences = ops.cast(sequences, layer.compute_dtype)
    path = unique(path, places)
    step = _Step(layer.cell, training, path)
    mask = None if mask is None else tree.flatten(mask)[0]
    places[path] = step.find_states(sequences[:, 0], initial_state), mask
    e = zeros((*ops.shape(sequences)[:2], step.width), sequences.dtype)  # (B, T, width)
    with replaced(layer, cell=step):
        x_and_e = ops.concatenate([sequences, e], axis=-1)
        return type(layer).inner_loop(layer, x_and_e, initial_state, mask=mask, training=training)


class _Step:
    """Stands in for the cell of a layer: splits e_t from x_t and hands its parts to the cells of the stack."""

    def __init__(self, cell, training, path):
        self.stacks, self.leaves, self.e, self.width = [], [], None, 0
        self.outermost = self._stand_in(cell, training, path)

    def _stand_in(self, cell, training, path):
        if isinstance(cell, keras.layers.StackedRNNCells):
            inner = []
            for each in cell.cells:
                taken = [leaf.path for leaf in self.leaves]
                inner.append(self._stand_in(each, training, unique(f"{path}/{getattr(each, 'name', 'cell')}", taken)))
            self.stacks.append((cell, inner))
            return functools.partial(cell, training=training)
        self.leaves.append(_Leaf(self, cell, training, path))
        return self.leaves[-1]

    def find_states(self, x_1, states):
        """Run one step, for nothing but the names and widths of its states."""
        self(x_1, states, taps=False)
        self.width = sum(width for leaf in self.leaves for _, _, width in leaf.places)
        return [place for leaf in self.leaves for place in leaf.places]

    def __call__(self, inputs, states, taps=True):
        x, self.e = (inputs[:, : -self.width], inputs[:, -self.width :]) if taps else (inputs, None)
        with contextlib.ExitStack() as stack:
            for cell, stand_ins in self.stacks:
                stack.enter_context(replaced(cell, cells=stand_ins))
            return self.outermost(x, states)

    def take(self, state):
        """Return the next zeros, in the shape of a state: (B, H), or a matrix for every sequence."""
        width = math.prod(state.shape[1:])
        part, self.e = self.e[:, :width], self.e[:, width:]
        return ops.reshape(part, ops.shape(state))


class _Leaf:
    """Stands in for one cell: its step, then s_t + e_t for every state, and for the output, which mostly is h_t."""

    def __init__(self, step, cell, training, path):
        self.step, self.cell, self.path = step, cell, path
        takes_training = isinstance(cell, keras.Layer) and cell._call_has_training_arg
        self.options = {"training": training} if takes_training else {}

    def __call__(self, x, states):
        output, new = self.cell(x, states, **self.options)
        handed_on = tree.flatten(new)
        number = len(handed_on)
        of_output = next((k for k, state in enumerate(handed_on) if state is output), number)
        if of_output == number:
            handed_on.append(output)
        if self.step.e is None:
            self.names = self._names(number, len(handed_on) - number)
            named = [(n, s) for n, s in zip(self.names, handed_on, strict=True) if n]
            self.places = [(self.path, n, math.prod(s.shape[1:])) for n, s in named]
            return output, new
        handed_on = [s + self.step.take(s) if n else s for n, s in zip(self.names, handed_on, strict=True)]
        return handed_on[of_output], tree.pack_sequence_as(new, handed_on[:number])

    def _names(self, number, extra):
        """The names of the states: the cell's `state_names`, where None is a state not to report, or h and c."""
        default = ("h", "c") if number <= 2 else ("h", *(f"state_{k}" for k in range(2, number + 1)))
        names = [*getattr(self.cell, "state_names", default[:number])]
        if len(names) != number:
            raise ValueError(f"state_names of {self.path!r} must name its {number} states, got {names!r}.")
        return names + ["output"] * extra
