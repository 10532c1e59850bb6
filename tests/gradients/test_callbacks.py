import copy
import csv
import os
import pickle
import warnings

from course.gradients import GradientFlow, GradientNorms, autodiff, time_step_norms
import keras
from keras import layers
import numpy as np
import pytest

TENSORFLOW = keras.backend.backend() == "tensorflow"
# For oracles, and where names and shapes are tested and not a compiled step: tracing it takes longer than the steps.
EAGER = {"run_eagerly": TENSORFLOW, "jit_compile": not TENSORFLOW}
B, T, D, H = 2, 3, 4, 5
WEIGHTS = ["m/r/simple_rnn_cell/kernel", "m/r/simple_rnn_cell/recurrent_kernel", "m/r/simple_rnn_cell/bias"]
WEIGHTS += ["m/d/kernel", "m/d/bias"]
rng = np.random.default_rng(0)
X, Y = rng.normal(size=(6 * B, T, D)).astype("float32"), rng.normal(size=(6 * B, 1)).astype("float32")


def make(optimizer=None, with_input=True, start="orthogonal", **options):
    keras.utils.set_random_seed(1)
    inputs, rnn = (
        [keras.Input((T, D))] if with_input else [],
        layers.SimpleRNN(H, recurrent_initializer=start, name="r"),
    )
    model = keras.Sequential([*inputs, rnn, layers.Dense(1, name="d")], name="m")
    model.compile(optimizer or keras.optimizers.SGD(0.1), "mse", **({"jit_compile": not TENSORFLOW} | options))
    return model


def fit(model, *callbacks, epochs=1, batch_size=B, **options):
    options = {"verbose": 0, "shuffle": False} | options
    return model.fit(X, Y, batch_size=batch_size, epochs=epochs, callbacks=list(callbacks), **options).history


def sgd_by_hand(model, epochs=1, rate=0.1, every=1, clip=np.inf):
    """The gradients (steps, weights) of plain descent by NumPy's own backpropagation, and the norms of the updates."""
    W, U, b, V, v = [w.astype("float64") for w in model.get_weights()]
    steps, updates, held = [], [], []
    for start in [*range(0, len(X), B)] * epochs:
        x, y = X[start : start + B].astype("float64"), Y[start : start + B]
        h = [np.zeros((B, H))]
        for t in range(T):
            h.append(np.tanh(x[:, t] @ W + h[-1] @ U + b))
        d = 2 * (h[-1] @ V + v - y) / B
        g = [np.zeros_like(w) for w in (W, U, b)] + [h[-1].T @ d, d.sum(0)]
        d = d @ V.T
        for t in reversed(range(T)):
            a = d * (1 - h[t + 1] ** 2)
            g[0], g[1], g[2] = g[0] + x[:, t].T @ a, g[1] + h[t].T @ a, g[2] + a.sum(0)
            d = a @ U.T
        steps.append([np.linalg.norm(w) for w in g])
        held.append(g)
        if len(held) == every:
            mean = [sum(parts) / every for parts in zip(*held, strict=True)]
            updates.append(np.sqrt(sum((w**2).sum() for w in mean)))
            factor = rate * min(1, clip / updates[-1])
            W, U, b, V, v = [w - factor * m for w, m in zip((W, U, b, V, v), mean, strict=True)]
            held = []
    steps = np.array(steps)
    return np.column_stack([steps, np.sqrt((steps**2).sum(1))]), np.array(updates)


@pytest.mark.parametrize("options", [{}, {"steps_per_execution": 4}, {"jit_compile": True}, {"with_input": False}])
def test_logs_hold_mean_and_maximum_over_all_steps_of_each_epoch(options):
    model = make(**options)
    model.build((None, T, D))
    norms, _ = sgd_by_hand(model, epochs=2)
    if not options.get("with_input", True):
        model = make(**options)  # has no weights before its first step
    logs = fit(model, GradientNorms(), epochs=2)
    for column, name in enumerate([*WEIGHTS, "global"]):
        per_epoch = norms[:, column].reshape(2, 6)
        np.testing.assert_allclose(logs[f"grad_norm/{name}"], per_epoch.mean(1), rtol=1e-5)
        np.testing.assert_allclose(logs[f"grad_norm_max/{name}"], per_epoch.max(1), rtol=1e-5)
    assert len(logs) == 1 + 2 * 6


def test_flow_measures_a_model_that_has_no_weights_before_its_first_step():
    flow, plain = GradientFlow(X[:B], Y[:B]), make(with_input=False)
    model = make(with_input=False)
    logs = fit(model, flow, epochs=2)
    assert flow.history["r"]["h"].shape == (3, T)
    assert logs == fit(plain, epochs=2)


def test_norms_are_those_before_clipping_and_the_shares_count_steps_above_a_threshold():
    model = make(keras.optimizers.SGD(0.1, global_clipnorm=3.0))
    norms = sgd_by_hand(model, clip=3.0)[0][:, -1]
    low, high = np.sort(norms)[[1, 4]] + 1e-3
    logs = fit(model, GradientNorms([low, high]), GradientNorms(thresholds=float(high)))
    np.testing.assert_allclose(logs["grad_norm_max/global"][0], norms.max(), rtol=1e-5)
    assert norms.max() > 3.0 > norms.min()
    np.testing.assert_allclose(logs["grad_clipped"][0], np.mean(norms > 3.0), rtol=1e-6)
    np.testing.assert_allclose(logs[f"grad_norm_above/{low:g}"][0], 4 / 6, rtol=1e-6)
    np.testing.assert_allclose(logs[f"grad_norm_above/{high:g}"][0], 1 / 6, rtol=1e-6)


@pytest.mark.parametrize(("kind", "size"), [("clipnorm", np.linalg.norm), ("clipvalue", lambda g: np.abs(g).max())])
def test_clipping_per_weight_and_per_value_is_counted_too(kind, size):
    probe, sizes = make(keras.optimizers.SGD(1.0), **EAGER), []
    before = probe.get_weights()
    for start in range(0, len(X), B):
        probe.set_weights(before)
        probe.train_on_batch(X[start : start + B], Y[start : start + B])
        sizes.append(max(size(b - a) for b, a in zip(before, probe.get_weights(), strict=True)))
    limit = float(np.sort(sizes)[1:3].mean())
    model = make(keras.optimizers.SGD(1e-6, **{kind: limit}))  # so slow that all steps have the first weights
    logs = fit(model, GradientNorms())
    np.testing.assert_allclose(logs["grad_clipped"][0], 4 / 6, rtol=1e-6)


def test_accumulated_gradients_are_recorded_per_batch_and_counted_per_update():
    model = make(keras.optimizers.SGD(0.1, gradient_accumulation_steps=3, global_clipnorm=0.8))
    norms, updates = sgd_by_hand(model, epochs=2, every=3, clip=0.8)
    logs = fit(model, GradientNorms(0.5), epochs=2)
    np.testing.assert_allclose(logs["grad_norm/global"], norms[:, -1].reshape(2, 6).mean(1), rtol=1e-5)
    np.testing.assert_allclose(logs["grad_norm_above/0.5"], (updates > 0.5).reshape(2, 2).mean(1), rtol=1e-6)
    np.testing.assert_allclose(logs["grad_clipped"], (updates > 0.8).reshape(2, 2).mean(1), rtol=1e-6)


@pytest.mark.parametrize(
    "make_optimizer",
    [
        lambda: keras.optimizers.SGD(0.1, loss_scale_factor=64.0),
        lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1), initial_scale=64.0),
    ],
)
def test_loss_scaling_does_not_scale_the_norms(make_optimizer):
    model = make(make_optimizer())
    norms, _ = sgd_by_hand(model)
    logs = fit(model, GradientNorms())
    np.testing.assert_allclose(logs["grad_norm/global"][0], norms[:, -1].mean(), rtol=1e-5)


@pytest.mark.parametrize("jit", [False, True])
def test_rows_of_a_word_that_occurs_twice_are_summed_and_no_gradient_counts_as_zero(jit):
    class Unused(layers.Layer):
        def build(self, shape):
            self.w = self.add_weight((3,), name="w")

        def call(self, x):
            return x

    keras.utils.set_random_seed(0)
    parts = [keras.Input((3,), dtype="int32"), layers.Embedding(6, 2, name="e"), Unused(name="u"), layers.Flatten()]
    model = keras.Sequential([*parts, layers.Dense(1, name="d")], name="m")
    model.compile(keras.optimizers.SGD(0.1), "mse", jit_compile=jit)
    (V, v), (E, *_) = model.get_layer("d").get_weights(), model.get_weights()
    x, y = np.array([[1, 1, 4], [1, 0, 4]], "int32"), np.array([[1.0], [-2.0]], "float32")
    d = 2 * (E[x].reshape(2, -1) @ V + v - y) / 2
    g = np.zeros_like(E)
    np.add.at(g, x, (d @ V.T).reshape(2, 3, 2))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Gradients do not exist")
        logs = model.fit(x, y, batch_size=2, verbose=0, callbacks=[GradientNorms()]).history
    np.testing.assert_allclose(logs["grad_norm/m/e/embeddings"], np.linalg.norm(g), rtol=1e-5)
    assert logs["grad_norm/m/u/w"] == [0.0]


def test_training_with_it_gives_the_same_weights_and_optimizer_as_without():
    with_it, without = make(keras.optimizers.Adam(0.01)), make(keras.optimizers.Adam(0.01))
    fit(with_it, GradientNorms(1.0), GradientFlow(X[:B], Y[:B]), epochs=2)
    fit(without, epochs=2)
    for ours, theirs in zip(with_it.get_weights(), without.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
    for ours, theirs in zip(with_it.optimizer.variables, without.optimizer.variables, strict=True):
        np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-4, atol=1e-6)


def test_second_fit_neither_compiles_again_nor_is_fooled_by_another_compile_or_threshold():
    traces = []

    class Counting(keras.Sequential):
        def train_step(self, *data):
            traces.append(1)
            return super().train_step(*data)

    model = Counting([keras.Input((T, D)), layers.SimpleRNN(H), layers.Dense(1)])
    model.compile("sgd", "mse", jit_compile=not TENSORFLOW)
    first = fit(model, GradientNorms())
    number = len(traces)
    second = fit(model, GradientNorms())
    assert len(traces) == number
    assert first["grad_norm/global"] != second["grad_norm/global"]
    assert "grad_norm/global" not in fit(model)
    assert "grad_norm_above/3" in fit(model, GradientNorms(3))
    still = keras.optimizers.SGD(0.0)
    model.compile(still, "mse", jit_compile=not TENSORFLOW)
    once = fit(model, GradientNorms())["grad_norm/global"][0]
    model.compile(still, lambda y, p: 1e3 * keras.ops.mean(keras.ops.square(y - p)), jit_compile=not TENSORFLOW)
    np.testing.assert_allclose(fit(model, GradientNorms())["grad_norm/global"][0], 1e3 * once, rtol=1e-5)


class Fail(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        raise KeyboardInterrupt


def test_nothing_is_left_behind_when_training_is_interrupted():
    model = make(keras.optimizers.Adam(0.01))
    with pytest.raises(KeyboardInterrupt):
        fit(model, GradientNorms(), Fail())
    trained = make(keras.optimizers.Adam(0.01), **EAGER)
    fit(trained)
    assert set(vars(model.optimizer)) == set(vars(trained.optimizer))
    assert "grad_norm/global" not in fit(model)
    assert model.train_function is not vars(model)["_course_recorder"]


def test_models_saved_during_and_after_training_restore_their_optimizer(tmp_path):
    model = make(keras.optimizers.Adam(0.01))
    during = keras.callbacks.ModelCheckpoint(tmp_path / "during.keras")
    weights = keras.callbacks.ModelCheckpoint(tmp_path / "w.weights.h5", save_weights_only=True)
    each_step = keras.callbacks.ModelCheckpoint(tmp_path / "step.keras", save_freq=3)
    fit(model, GradientNorms(), during, weights, each_step)
    model.save(tmp_path / "after.keras")
    copies = [keras.saving.load_model(tmp_path / f"{name}.keras") for name in ("during", "after", "step")]
    copies += [pickle.loads(pickle.dumps(model)), make(keras.optimizers.Adam(0.01))]
    copies[-1].optimizer.build(copies[-1].trainable_variables)
    copies[-1].load_weights(tmp_path / "w.weights.h5")
    for restored in copies:
        for theirs, ours in zip(restored.weights, model.weights, strict=True):
            np.testing.assert_array_equal(theirs.numpy(), ours.numpy())
        for theirs, ours in zip(restored.optimizer.variables, model.optimizer.variables, strict=True):
            np.testing.assert_array_equal(theirs.numpy(), ours.numpy())
    np.testing.assert_allclose(fit(copies[2])["loss"], fit(model)["loss"], rtol=1e-6)  # saved within an epoch


def test_callbacks_listed_after_it_see_its_numbers_and_those_before_do_not(tmp_path):
    before, after = (keras.callbacks.CSVLogger(tmp_path / name) for name in ("before.csv", "after.csv"))
    stop = keras.callbacks.EarlyStopping("grad_norm/global", mode="min", patience=5)
    logs = fit(make(), before, GradientNorms(), after, stop, epochs=2)
    rows = {}
    for name in ("before", "after"):
        with open(tmp_path / f"{name}.csv") as file:
            rows[name] = list(csv.DictReader(file))
    assert [float(row["grad_norm/global"]) for row in rows["after"]] == logs["grad_norm/global"]
    assert "grad_norm/global" not in rows["before"][0]


def test_frozen_weights_are_left_out_and_a_loop_over_train_on_batch_records_too():
    model = make()
    model.get_layer("r").trainable = False
    model.compile("sgd", "mse", jit_compile=not TENSORFLOW)
    callbacks = keras.callbacks.CallbackList([GradientNorms()], add_history=True, model=model)
    callbacks.on_train_begin()
    callbacks.on_epoch_begin(0)
    for start in (0, B):
        model.train_on_batch(X[start : start + B], Y[start : start + B])
    callbacks.on_epoch_end(0)
    callbacks.on_train_end()
    logs = model.history.history
    assert list(logs) == [
        f"grad_norm{kind}/{w}" for w in ("m/d/kernel", "m/d/bias", "global") for kind in ("", "_max")
    ]
    assert logs["grad_norm_max/global"][0] > logs["grad_norm/global"][0] > 0


def test_exploding_gradients_are_reported_as_large_as_they_are_and_nan_stays_nan():
    model = make(keras.optimizers.SGD(0.0))
    y = Y.copy()
    y *= np.float32(1e15)  # the loss is 1e30; the squares of its gradients would not be finite in float32
    logs = model.fit(X, y * np.float32(1e3), batch_size=B, verbose=0, callbacks=[GradientNorms()]).history
    assert 1e18 < logs["grad_norm/global"][0] < 1e20
    y[0] = np.nan
    logs = model.fit(X, y, batch_size=B, verbose=0, callbacks=[GradientNorms()]).history
    assert np.isnan(logs["grad_norm/global"][0])
    assert np.isnan(logs["grad_norm_max/global"][0])


@pytest.mark.skipif(not TENSORFLOW, reason="JAX's gradients are dense")
@pytest.mark.parametrize("jit", [False, True])
def test_sparse_rows_are_summed_without_the_whole_matrix(jit):
    import tensorflow as tf

    values, indices = rng.normal(size=(7, 2)).astype("float32"), np.array([5, 1, 5, 0, 9, 1, 5])
    dense = np.zeros((10, 2))
    np.add.at(dense, indices, values)

    @tf.function(jit_compile=jit)
    def rows(values, indices):
        return autodiff.rows(tf.IndexedSlices(values, indices, (10, 2)))

    found = rows(values, indices)
    assert found.shape == (7, 2)
    np.testing.assert_allclose(np.sort(found[:4], axis=0), np.sort(dense[[0, 1, 5, 9]], axis=0), rtol=1e-5)
    np.testing.assert_array_equal(found[4:], 0)


@pytest.mark.parametrize("size", [2e-38, 1e-30, 1.0, 8e37, 1e38, 3e38])
@pytest.mark.parametrize("jit", [False, True])
def test_norm_is_right_from_the_smallest_to_the_largest_number(size, jit):
    g = np.array([[0.6 * size, -0.8 * size], [0.0, size]], "float32")
    model = make(jit_compile=jit)
    norms = autodiff.compiled(lambda g: autodiff.norm(g, axis=1), model)(keras.ops.convert_to_tensor(g))
    np.testing.assert_allclose(norms, [size, size], rtol=1e-5)


@pytest.mark.parametrize("bad", [0, -1.0, "1", [1.0, np.nan], None])
def test_bad_thresholds_are_refused(bad):
    with pytest.raises((TypeError, ValueError), match="thresholds must be"):
        GradientNorms(bad)


def test_train_step_that_bypasses_the_optimizer_is_reported_as_nan_with_a_warning():
    if not TENSORFLOW:
        pytest.skip("a train_step of one's own looks otherwise on JAX")

    class Own(keras.Sequential):
        def train_step(self, data):
            return {"loss": keras.ops.sum(self(data[0]))}

    model = Own([keras.Input((T, D)), layers.SimpleRNN(H)])
    model.compile("sgd", "mse")
    with pytest.warns(RuntimeWarning, match="no gradient reached the optimizer"):
        logs = fit(model, GradientNorms())
    assert np.isnan(logs["grad_norm/global"][0])


def test_progress_line_shows_the_global_norm_alone_and_all_on_request(capsys):
    logs = fit(make(**EAGER), GradientNorms(0.5), verbose=2, batch_size=len(X))
    line = capsys.readouterr().out
    assert "grad_norm/global: " in line
    assert line.count("grad_") == 1
    assert len([name for name in logs if name.startswith("grad_")]) == 13
    fit(make(**EAGER), GradientNorms(verbose=True), verbose=2, batch_size=len(X))
    assert capsys.readouterr().out.count("grad_") == 12
    alone = fit(make(**EAGER), GradientNorms(0.5, weights=False), batch_size=len(X))
    assert list(alone) == ["loss", "grad_norm/global", "grad_norm_max/global", "grad_norm_above/0.5"]


def test_epoch_without_logs_is_no_error():
    model = make()
    callback = GradientNorms()
    callback.set_model(model)
    callback.on_train_begin()
    callback.on_epoch_begin(0)
    model.train_on_batch(X[:B], Y[:B])
    callback.on_epoch_end(0)
    callback.on_train_end()


@pytest.mark.skipif(not TENSORFLOW, reason="a train_step looks otherwise on JAX")
@pytest.mark.parametrize("split", [False, True])
def test_step_that_applies_twice_does_not_halve_the_means(split):
    import tensorflow as tf

    class Twice(keras.Sequential):
        def train_step(self, data):
            with tf.GradientTape() as tape:
                loss = keras.ops.mean((self(data[0]) - data[1]) ** 2)
            weights = self.trainable_weights
            pairs = list(zip(tape.gradient(loss, weights), weights, strict=True))
            for part in (pairs[:3], pairs[3:]) if split else (pairs, pairs):
                self.optimizer.apply_gradients(part)
            return {"loss": loss}

    model = Twice(make().layers, name="m")
    model.compile(keras.optimizers.SGD(0.0), "mse")
    model.optimizer.build(model.trainable_variables)
    plain = make(keras.optimizers.SGD(0.0), **EAGER)
    twice, once = (fit(m, GradientNorms()) for m in (model, plain))
    for name in WEIGHTS:
        np.testing.assert_allclose(twice[f"grad_norm/{name}"], once[f"grad_norm/{name}"], rtol=1e-5)


@pytest.mark.skipif(not TENSORFLOW, reason="on JAX Keras itself stops")
def test_compile_in_a_callback_is_followed_from_the_next_epoch_on():
    class Compile(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.compile(keras.optimizers.SGD(0.0), "mse")
            self.model.make_train_function()

    logs = fit(make(), Compile(), GradientNorms(), epochs=3)["grad_norm/global"]
    assert np.isfinite(logs).all()
    assert logs[1] == pytest.approx(logs[2], rel=1e-6)


@pytest.mark.parametrize("floatx", ["float16", "bfloat16", "float64"])
def test_other_precisions_agree_with_single(floatx):
    if floatx == "float64" and not TENSORFLOW:
        pytest.skip("JAX has float64 only when told so at its start")
    keras.config.set_floatx(floatx)
    keras.config.set_dtype_policy(floatx)
    try:
        model = make(keras.optimizers.SGD(0.0), start="glorot_uniform")  # Keras has no orthogonal half
        reference = make_like(model)
        logs = fit(model, GradientNorms(0.5))
        norms = time_step_norms(model, X[:B], Y[:B])
    finally:
        keras.config.set_floatx("float32")
        keras.config.set_dtype_policy("float32")
    tolerance = {"float16": 0.02, "bfloat16": 0.15, "float64": 1e-4}[floatx]
    reference = reference()
    expected = fit(reference, GradientNorms(0.5))
    flows = time_step_norms(reference, X[:B], Y[:B])
    np.testing.assert_allclose(logs["grad_norm/global"], expected["grad_norm/global"], rtol=tolerance)
    np.testing.assert_allclose(
        norms["r"]["h"].astype("float64"), flows["r"]["h"], rtol=tolerance, atol=tolerance * flows["r"]["h"].max()
    )


def make_like(model):
    """A function that makes the same model in float32."""
    weights = [np.asarray(w, "float32") for w in model.get_weights()]

    def make_it():
        twin = make(keras.optimizers.SGD(0.0), **EAGER)
        twin.set_weights(weights)
        return twin

    return make_it


# GradientFlow
def test_flow_holds_the_norms_before_training_and_after_every_epoch():
    model, flow = make(), GradientFlow(X[:B], Y[:B])
    rows = [time_step_norms(model, X[:B], Y[:B])["r"]["h"]]
    snapshot = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: rows.append(time_step_norms(model, X[:B], Y[:B])["r"]["h"])
    )
    fit(model, flow, snapshot, epochs=2)
    assert flow.epochs == [0, 1, 2]
    np.testing.assert_array_equal(flow.history["r"]["h"], rows)
    frame = flow.to_frame()
    assert list(frame.columns) == ["epoch", "layer", "state", "step", "norm"]
    assert frame[["layer", "state"]].drop_duplicates().to_numpy().tolist() == [["r", "h"]]
    np.testing.assert_array_equal(frame.pivot(index="epoch", columns="step", values="norm"), rows)
    assert list(frame["step"])[:T] == [1, 2, 3]


def test_flow_goes_on_where_the_last_fit_ended_and_starts_anew_otherwise():
    model, flow = make(**EAGER), GradientFlow(X[:B], Y[:B])
    fit(model, flow, epochs=2, batch_size=len(X))
    fit(model, flow, epochs=3, initial_epoch=2, batch_size=len(X))
    assert flow.epochs == [0, 1, 2, 3]
    assert flow.history["r"]["h"].shape == (4, T)
    fit(model, flow, batch_size=len(X))
    assert flow.epochs == [0, 1]
    assert GradientFlow(X, Y).history == {}
    assert len(GradientFlow(X, Y).to_frame()) == 0


def test_flow_writes_scalars_and_a_picture_that_tensorboard_can_read(tmp_path):
    tf = pytest.importorskip("tensorflow")
    flow = GradientFlow(X[:B], Y[:B], tensorboard=tmp_path)
    fit(make(**EAGER), flow, batch_size=len(X))
    (path,) = tmp_path.iterdir()
    found = {}
    for record in tf.data.TFRecordDataset(str(path)):
        event = tf.compat.v1.Event.FromString(record.numpy())
        for value in event.summary.value:
            found[value.tag, event.step] = value.metadata.plugin_data.plugin_name, tf.make_ndarray(value.tensor)
    h = flow.history["r"]["h"]
    for epoch in (0, 1):
        for name, step in (("first_step", 0), ("last_step", -1)):
            plugin, number = found["gradient_flow/r/h/" + name, epoch]
            assert (plugin, float(number)) == ("scalars", float(h[epoch][step]))
        plugin, (width, height, png) = found["gradient_flow", epoch]
        picture = tf.io.decode_png(png)
        assert plugin == "images"
        assert (int(width), int(height)) == (picture.shape[1], picture.shape[0])
    assert len(found) == 6


def test_flow_redraws_one_figure_in_a_notebook(monkeypatch):
    import IPython
    import IPython.display

    calls = []

    class Handle:
        def update(self, figure, metadata):
            calls.append(("update", len(figure.axes), metadata["image/png"]["alt"]))

    def display(figure, metadata, display_id):
        calls.append(("display", len(figure.axes), metadata["image/png"]["alt"]))
        return Handle()

    monkeypatch.setattr(IPython, "get_ipython", lambda: object())
    monkeypatch.setattr(IPython.display, "display", display)
    flow = GradientFlow(X[:B], Y[:B], live=True)
    fit(make(**EAGER), flow, epochs=2, batch_size=len(X))
    assert [kind for kind, *_ in calls] == ["display", "update", "update"]
    first = flow.history["r"]["h"][-1][0]
    assert f"After epoch 2: r: h {first:.1e} at the first" in calls[-1][-1]


def test_flow_refuses_live_outside_a_notebook_tensorboard_without_tensorflow_and_bad_data(monkeypatch, tmp_path):
    with pytest.raises(ValueError, match="live must be False outside a notebook"):
        GradientFlow(X, Y, live=True)
    with pytest.raises(ValueError, match="same number of sequences"):
        fit(make(), GradientFlow(X[:B], Y[:1]))
    copy.deepcopy(GradientFlow(X, Y, tensorboard=tmp_path))  # as Keras Tuner does
    monkeypatch.setattr("course.gradients.views.find_spec", lambda name: None)
    with pytest.raises(ImportError, match="tensorboard needs TensorFlow"):
        GradientFlow(X, Y, tensorboard=os.fspath(tmp_path))


def test_flow_takes_the_first_batch_of_a_dataset_once():
    batches = [(X[k : k + B], Y[k : k + B]) for k in range(0, len(X), B)]

    class Dataset(keras.utils.PyDataset):
        def __getitem__(self, index):
            return batches[index]

        def __len__(self):
            return len(batches)

    sources = [iter(batches), Dataset()]
    if TENSORFLOW:
        import tensorflow as tf

        sources.append(tf.data.Dataset.from_tensor_slices((X, Y)).batch(B))
    expected = time_step_norms(make(**EAGER), X[:B], Y[:B])["r"]["h"]
    for source in sources:
        flow = GradientFlow(source)
        np.testing.assert_array_equal(flow.data[0], X[:B])
    fit(make(**EAGER), flow, batch_size=len(X))
    np.testing.assert_allclose(flow.history["r"]["h"][0], expected, rtol=1e-5)
    with pytest.raises(ValueError, match="y and sample_weight must be None"):
        GradientFlow(Dataset(), Y)
    with pytest.raises(ValueError, match=r"x must yield batches \(x, y\)"):
        GradientFlow(iter([X]))
    with pytest.raises(TypeError, match=r"x must be an array, or a list .* got a list with floats in it"):
        time_step_norms(make(), [1.0, 2.0], Y)


def test_flow_draws_itself_and_keeps_the_layers_it_is_asked_for():
    keras.utils.set_random_seed(0)
    both = [layers.LSTM(H, return_sequences=True, name="low"), layers.GRU(H, name="top")]
    model = keras.Sequential([keras.Input((T, D)), *both, layers.Dense(1)])
    model.compile("sgd", "mse", **EAGER)
    flow = GradientFlow(X[:B], Y[:B], layers=["top"])
    with pytest.raises(ValueError, match="nothing was measured yet"):
        flow.plot()
    fit(model, flow)
    assert {layer: list(states) for layer, states in flow.history.items()} == {"top": ["h"]}
    (ax,) = flow.plot()
    assert "top: h" in (ax.get_title(), ax.get_title("left"))
    with pytest.raises(ValueError, match=r"layers must be some of \['low', 'top'\], got \['no'\]"):
        fit(model, GradientFlow(X[:B], Y[:B], layers=["no"]))
