"""Where `callbacks.GradientFlow` shows what it measures while training runs: a notebook, and TensorBoard."""

from importlib.util import find_spec
import io
import os

LAST_STEPS = {"first_step": 0, "last_step": -1}


def draw(flow):
    """Return the figure of `flow.plot()`, closed, and its alternative text."""
    from course.plots import basics
    import matplotlib.pyplot as plt

    figure = flow.plot()[0].figure
    plt.close(figure)
    return figure, basics._ALT[figure]


class LiveView:
    """One figure in the output of the cell that trains, drawn again after every epoch."""

    def __init__(self):
        try:
            from IPython import get_ipython
        except ImportError:
            get_ipython = lambda: None  # noqa: E731
        if get_ipython() is None:
            raise ValueError("live must be False outside a notebook: there is no output to draw into.")
        self.handle = None

    def show(self, flow):
        from IPython.display import display

        figure, alt = draw(flow)
        metadata = {"image/png": {"alt": alt}}
        if self.handle is None or len(flow.epochs) == 1:  # a new training, a new figure
            self.handle = display(figure, metadata=metadata, display_id=True)
        else:
            self.handle.update(figure, metadata=metadata)


class TensorBoardView:
    """Scalars and an image per epoch in a directory that TensorBoard reads."""

    def __init__(self, directory):
        if find_spec("tensorflow") is None:
            raise ImportError("tensorboard needs TensorFlow, which writes the files, beside Keras' backend.")
        self.directory = os.fspath(directory)
        self.writer = None  # made when it is needed: a callback that is not in use can be copied

    def show(self, flow):
        import tensorflow as tf

        self.writer = self.writer or tf.summary.create_file_writer(self.directory)
        figure, _ = draw(flow)
        png = io.BytesIO()
        figure.savefig(png, format="png", dpi=100)
        width, height = (round(100 * inches) for inches in figure.get_size_inches())
        with self.writer.as_default(step=flow.epochs[-1]):
            # tf.summary.scalar and .image would ask for the package tensorboard; their formats are these.
            for layer, states in flow.history.items():
                for state, norms in states.items():
                    for name, step in LAST_STEPS.items():
                        _write(
                            f"gradient_flow/{layer}/{state}/{name}",
                            tf.constant(norms[-1][step], "float32"),
                            "scalars",
                        )
            _write("gradient_flow", tf.constant([str(width), str(height), png.getvalue()]), "images")
        self.writer.flush()


def _write(tag, tensor, plugin):
    import tensorflow as tf

    metadata = tf.compat.v1.SummaryMetadata()
    metadata.plugin_data.plugin_name = plugin
    tf.summary.write(tag, tensor, metadata=metadata)
