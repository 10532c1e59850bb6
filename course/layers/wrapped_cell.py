"""What the cells of `course.layers.skip` share: each has another cell inside, whose states are among its own."""

import keras
from keras import ops
from keras.src.layers.rnn.dropout_rnn_cell import DropoutRNNCell  # not public; RNN asks it for masks


class WrappedCell(DropoutRNNCell, keras.layers.Layer):
    """What the wrappers share: the cell, its states, its dropout masks."""

    def __init__(self, cell, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(cell, keras.layers.Layer) or not hasattr(cell, "state_size"):
            raise TypeError(f"cell must be a recurrent cell such as GRUCell(8), got {cell!r}.")
        size = cell.state_size
        self.cell, self.state_size = cell, list(size) if isinstance(size, list | tuple) else [size]
        self.output_size = self.state_size[0]
        stacked = isinstance(cell, keras.layers.StackedRNNCells)
        if stacked or getattr(cell, "output_size", self.output_size) != self.output_size:
            raise ValueError(f"cell must have its output as first state (wrap each cell of a stack), got {cell!r}.")
        # RNN asks only the outermost cell for its masks: the question is passed on.
        for name in [f"{verb}_{kind}_mask" for verb in ("get", "reset") for kind in ("dropout", "recurrent_dropout")]:
            setattr(self, name, getattr(cell, name, lambda *args: None))

    def build(self, input_shape):
        if not self.cell.built:
            self.cell.build(input_shape)

    def step(self, x, states, training):
        """Return the list of states that the wrapped cell makes of x_t and its states."""
        _, states = self.cell(x, list(states), training=training)
        return list(states) if isinstance(states, list | tuple) else [states]

    def get_initial_state(self, batch_size=None):
        sizes = keras.tree.flatten(self.cell.state_size)
        zeros = [ops.zeros((batch_size, size), dtype=self.compute_dtype) for size in sizes]
        start = getattr(self.cell, "get_initial_state", lambda batch_size: zeros)
        return keras.tree.flatten(start(batch_size=batch_size))

    @property
    def state_names(self):
        """For the gradient instrument: the wrapped cell's states, and None for those that only help."""
        names = getattr(self.cell, "state_names", ("h", "c")[: len(keras.tree.flatten(self.cell.state_size))])
        return [*names, *[None] * len(self.state_size)][: len(self.state_size)]

    def get_config(self):
        return {**super().get_config(), "cell": keras.saving.serialize_keras_object(self.cell)}

    @classmethod
    def from_config(cls, config):
        return cls(**{**config, "cell": keras.saving.deserialize_keras_object(config["cell"])})
