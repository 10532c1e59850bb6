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


def test_heat_map_draws_rows_at_the_numbers_of_their_epochs():
    assert plots.gradient_heatmap(np.ones((3, 2)), epochs=[0, 10, 20]).images[0].get_extent() == [0.5, 2.5, 25, -5]
    ax = plots.gradient_heatmap(np.ones((3, 2)), epochs=[0, 1, 5])
    assert ax.get_ylim() == (7, -0.5)
    assert all(float(tick).is_integer() for tick in ax.get_yticks())
    with pytest.raises(ValueError, match="epochs must be one number, or 3 rising ones"):
        plots.gradient_heatmap(np.ones((3, 2)), epochs=[0, 10])


def test_flow_of_many_layers_is_a_compact_grid_under_one_scale():
    history = {f"layer {k}": {"h": np.full((3, 4), 10.0**-k), "c": np.zeros((3, 4))} for k in range(4)}
    axes = plots.gradient_flow(history, epochs=[0, 1, 2])
    assert len(axes) == 8
    assert {(ax.images[0].norm.vmin, ax.images[0].norm.vmax) for ax in axes} == {(1e-3, 1.0)}
    width, height = axes[0].figure.get_size_inches()
    assert height < 5 < width < 16
    assert len(axes[0].figure.axes) == 9  # one colour bar
    assert "layer 3: h 1.0e-03 at the first" in alternative_text(axes[0])
    with pytest.raises(ValueError, match="nothing was measured yet"):
        plots.gradient_flow({})


def test_saturation_draws_a_point_for_each_unit():
    axes = plots.saturation({"lstm": {"i": np.array([[0.1, 0.2], [0.5, 0.5]]), "h": np.zeros((2, 2))}})
    assert axes[0].lines[1].get_xydata().tolist() == [[0.1, 0.2], [0.5, 0.5]]
    assert "lstm i 30% low and 35% high" in alternative_text(axes[0])
