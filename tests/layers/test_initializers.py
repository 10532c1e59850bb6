"""The starting values: their definitions, their use in our cells and in Keras', seeds, saving."""

from course.layers import Chrono, ForgetBias, GRUCell, LSTMCell, MinGRUCell, PeepholeLSTMCell, SparseRadius
import keras
import numpy as np
import pytest

# Keras 3.15 and NumPy 2, when Keras turns its variables into arrays

B, T, D, H = 2, 3, 4, 5
SEEDED = (lambda seed: Chrono(100, seed=seed), lambda seed: SparseRadius(3, seed=seed))
SHAPES = ((4 * H,), (H, H))
each_seeded = pytest.mark.parametrize(
    ("make", "shape"), list(zip(SEEDED, SHAPES, strict=True)), ids=["chrono", "sparse"]
)


def test_forget_bias_sets_f_alone():
    np.testing.assert_array_equal(ForgetBias(5)((4 * 2,)), [0, 0, 5, 5, 0, 0, 0, 0])


def test_chrono_draws_the_time_constant_uniformly():
    """e^b_f is uniform from 1 to T_max - 1: range, mean and spread of 10,000 draws."""
    b_i, b_f, b_g, b_o = np.split(np.array(Chrono(101, seed=1)((40_000,))), 4)
    e = np.exp(b_f.astype("float64"))
    assert e.min() >= 1 - 1e-6
    assert e.max() <= 100 + 1e-4
    assert abs(e.mean() - 50.5) < 5 * (99 / np.sqrt(12)) / 100  # five standard errors
    assert abs(e.std() - 99 / np.sqrt(12)) < 0.5
    np.testing.assert_array_equal(b_i, -b_f)
    assert not np.any(b_g)
    assert not np.any(b_o)


def test_chrono_is_the_same_memory_in_each_cell():
    """With x, h and the other weights at 0, every cell keeps the share 1 - 1/(1 + e^a) of its memory a step."""
    a = np.log(np.array(keras.initializers.RandomUniform(1.0, 19.0, seed=2)((H,))))
    kept = 1 - 1 / (1 + np.exp(a))
    for cell, name in ((LSTMCell, "lstm"), (PeepholeLSTMCell, "lstm"), (GRUCell, "gru"), (MinGRUCell, "mingru")):
        layer = keras.layers.RNN(cell(H, bias_initializer=Chrono(20, name, seed=2)), return_state=True)
        layer.build((B, 1, D))
        start = [np.zeros((B, H))] * (cell.states - 1) + [np.ones((B, H))]
        layer.set_weights([w if w.ndim == 1 else 0 * w for w in layer.get_weights()])
        # h starts at 0 in the LSTM, and so does the candidate in every cell
        *_, memory = layer(np.zeros((B, 1, D)), initial_state=start)
        np.testing.assert_allclose(memory, np.tile(kept, (B, 1)), rtol=1e-5, err_msg=name)


def test_chrono_works_in_keras_layers():
    lstm = keras.layers.LSTM(H, bias_initializer=Chrono(20, seed=2), unit_forget_bias=False)
    lstm.build((B, T, D))
    np.testing.assert_array_equal(lstm.cell.bias, Chrono(20, seed=2)((4 * H,)))
    gru = keras.layers.GRU(H, bias_initializer=Chrono(20, "gru", seed=2), reset_after=False)
    gru.build((B, T, D))
    np.testing.assert_array_equal(gru.cell.bias, Chrono(20, "gru", seed=2)((3 * H,)))


@pytest.mark.parametrize(("nonzeros", "radius", "size"), [(15, 0.95, 50), (3, 1.2, 7), (7, 0.5, 7), (1, 0.9, 6)])
def test_sparse_has_the_spectral_radius_and_the_non_zeros(nonzeros, radius, size):
    U = np.array(SparseRadius(nonzeros, radius, seed=3)((size, size)))
    assert U.dtype == "float32"
    np.testing.assert_array_equal(np.count_nonzero(U, axis=0), nonzeros)
    np.testing.assert_allclose(np.abs(np.linalg.eigvals(U.astype("float64"))).max(), radius, rtol=1e-5)


def test_sparse_places_its_non_zeros_everywhere():
    places = sum(np.array(SparseRadius(2, seed=seed)((H, H))) != 0 for seed in range(100))
    # each place holds a weight in 2 of 5 matrices: 40 of 100, standard deviation 4.9
    assert places.min() > 20
    assert places.max() < 60


@each_seeded
def test_seeds_are_those_of_keras(make, shape):
    """An int: the same values at every call; None: one draw per initializer; a generator: others at every call."""
    first, again, other = np.array(make(1)(shape)), np.array(make(1)(shape)), np.array(make(2)(shape))
    np.testing.assert_array_equal(first, again)
    assert np.any(first != other)
    unseeded = make(None)
    np.testing.assert_array_equal(unseeded(shape), unseeded(shape))
    assert np.any(np.array(unseeded(shape)) != np.array(make(None)(shape)))
    stream = make(keras.random.SeedGenerator(1))
    assert np.any(np.array(stream(shape)) != np.array(stream(shape)))


@each_seeded
def test_set_random_seed_makes_unseeded_starts_repeatable(make, shape):
    values = []
    for _ in range(2):
        keras.utils.set_random_seed(4)
        values.append(np.array(make(None)(shape)))
    np.testing.assert_array_equal(*values)


@pytest.mark.parametrize("given", [ForgetBias(2.0), Chrono(30, "gru", seed=5), SparseRadius(2, 0.8, seed=5)])
def test_config_round_trip(given):
    again = keras.initializers.get(keras.saving.serialize_keras_object(given))
    assert again.get_config() == given.get_config()
    shape = {ForgetBias: (4 * H,), Chrono: (3 * H,), SparseRadius: (H, H)}[type(given)]
    np.testing.assert_array_equal(again(shape), given(shape))


def test_config_keeps_a_seed_generator():
    given = Chrono(30, seed=keras.random.SeedGenerator(5))
    again = Chrono.from_config(given.get_config())
    np.testing.assert_array_equal(again((4 * H,)), given((4 * H,)))


def test_weights_can_be_made_while_the_first_step_is_traced():
    cell = LSTMCell(H, bias_initializer=Chrono(30, seed=5))
    sparse = keras.layers.SimpleRNN(H, recurrent_initializer=SparseRadius(2, seed=6))
    model = keras.Sequential([keras.layers.RNN(cell, return_sequences=True), sparse])  # no Input
    model.compile("sgd", "mse")
    model.fit(np.ones((B, T, D), "float32"), np.ones((B, H), "float32"), verbose=0)
    assert all(np.isfinite(w).all() for w in model.get_weights())


def test_saved_model_keeps_its_initializers(tmp_path):
    cell = LSTMCell(H, recurrent_initializer="identity", bias_initializer=Chrono(30, seed=5))
    sparse = keras.layers.SimpleRNN(H, recurrent_initializer=SparseRadius(2, seed=6))
    model = keras.Sequential([keras.Input((T, D)), keras.layers.RNN(cell, return_sequences=True), sparse])
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert again.layers[0].cell.bias_initializer.get_config() == {"T_max": 30.0, "cell": "lstm", "seed": 5}
    assert again.layers[1].cell.recurrent_initializer.get_config()["nonzeros"] == 2
    x = np.ones((B, T, D), "float32")
    np.testing.assert_array_equal(again(x), model(x))


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: ForgetBias("one"), "value must be a number, got 'one'"),
        (lambda: ForgetBias(float("nan")), "value must be finite"),
        (lambda: Chrono(2), "T_max must be above 2, got 2"),
        (lambda: Chrono("100"), "T_max must be a number"),
        (lambda: Chrono(10, "rnn"), "cell must be one of 'lstm', 'gru', 'mingru', got 'rnn'"),
        (lambda: Chrono(10, seed="x"), "seed"),
        (lambda: Chrono(10)((4 * H + 1,)), r"shape must be that of the bias of the lstm, \(4 H,\), got \(21,\)"),
        (lambda: Chrono(10, "gru")((2, 3 * H)), r"shape must be that of the bias of the gru, \(3 H,\)"),
        (lambda: SparseRadius(0), "nonzeros must be at least 1, got 0"),
        (lambda: SparseRadius(2.0), "nonzeros must be an integer"),
        (lambda: SparseRadius(2, 0), "spectral_radius must be above 0, got 0"),
        (lambda: SparseRadius(6)((H, H)), "nonzeros must be at most 5, got 6"),
        (lambda: SparseRadius(2)((H, 4 * H)), r"shape must be square, \(H, H\), .* got \(5, 20\)"),
    ],
)
def test_bad_input_is_refused(make, error):
    with pytest.raises((ValueError, TypeError), match=error):
        make()
