from course import plots
import matplotlib.pyplot as plt
import numpy as np
import pytest


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def alternative_text(ax):
    return plots.basics._ALT[ax.figure]


def test_norm_by_distance_fits_the_factor_and_draws_the_prediction():
    norms = 2.0 * 0.8 ** np.arange(30)[::-1]  # shrinks by 0.8 for each step away from the last
    ax = plots.norm_by_distance({"RNN": norms}, predicted={"RNN": 0.8})
    measured, predicted = ax.lines[0], ax.lines[1]
    assert measured.get_label() == "RNN: ×0.80 a step"
    assert np.allclose(measured.get_ydata(), predicted.get_ydata())
    assert measured.get_ydata()[0] == 2.0
    assert "factor of 0.8 per step" in alternative_text(ax)


def test_norm_by_distance_leaves_out_what_has_no_logarithm():
    ax = plots.norm_by_distance({"RNN": [0.0, np.nan, 0.5, 1.0]})
    assert ax.lines[0].get_xdata().tolist() == [0, 1]


def test_heat_map_has_epochs_down_time_across_and_a_log_scale():
    norms = 10.0 ** -np.arange(12).reshape(3, 4)
    ax = plots.gradient_heatmap(norms, epochs=[5, 6, 7])
    (image,) = ax.images
    assert image.get_array().shape == (3, 4)
    assert image.get_extent() == [0.5, 4.5, 7.5, 4.5]
    assert (image.norm.vmin, image.norm.vmax) == (1e-11, 1.0)
    assert "1.0e+00 at step 1 and 1.0e-03 at step 4" in alternative_text(ax)


def test_heat_map_draws_zero_and_nan_in_grey_and_survives_nothing_else():
    ax = plots.gradient_heatmap([[0.0, 1.0], [np.nan, 1e-3]])
    assert ax.images[0].get_array().mask.tolist() == [[True, False], [True, False]]
    ax = plots.gradient_heatmap([[0.0, np.nan]])
    assert ax.images[0].get_array().mask.all()
    ax.figure.canvas.draw()


def test_weight_norms_draw_the_threshold():
    ax = plots.weight_norms({"rnn/kernel": [1.0, 10.0], "dense/bias": [0.1, 0.2]}, threshold=5.0)
    assert ax.get_yscale() == "log"
    assert ax.lines[2].get_ydata()[0] == 5.0
    assert "clipped above 5" in alternative_text(ax)


def test_jacobian_spectrum_draws_the_singular_values():
    J = np.stack([np.diag([3.0, 2.0, 0.5]), np.diag([-1.0, 0.1, 0.0])])
    ax = plots.jacobian_spectrum(J)
    drawn = [line.get_ydata().tolist() for line in ax.lines[:3]]
    assert np.allclose(drawn, [[3.0, 1.0], [2.0, 0.1], [0.5, 0.0]])


@pytest.mark.parametrize(
    ("call", "argument"),
    [
        (lambda: plots.gradient_heatmap([1.0, 2.0]), "norms"),
        (lambda: plots.gradient_heatmap(np.zeros((0, 3))), "norms"),
        (lambda: plots.jacobian_spectrum(np.ones((2, 3, 4))), "J must have shape"),
        (lambda: plots.jacobian_spectrum(np.ones((3, 3))), "J must have shape"),
    ],
)
def test_bad_input_names_the_argument(call, argument):
    with pytest.raises(ValueError, match=argument):
        call()
