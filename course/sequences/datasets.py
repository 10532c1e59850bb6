"""Real data: series and handwritten digits, split before anything is scaled or cut into windows.

Text is in `course.sequences.text`.
"""

from dataclasses import dataclass
from typing import NamedTuple

from course import arguments
import numpy as np


@dataclass(frozen=True)
class Series:
    """A series cut into windows: x (n, window, 1) and y (n, 1), float32, in units of `std` around `mean`.

    `y_train[k]` is the value `horizon` steps after the last step of `x_train[k]`, and `years_train[k]` its
    time in years (1932.0; for months, 1964.25 is April). `mean` and `std` are those of the training years.
    """

    x_train: np.ndarray
    y_train: np.ndarray
    years_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    years_test: np.ndarray
    mean: float
    std: float

    def unscale(self, values):
        """Return scaled `values` in the units of the data."""
        return np.asarray(values) * self.std + self.mean


class Digits(NamedTuple):
    """Images x (n, T, D), float32 from 0 to 1, and their digits y (n,), 0 to 9."""

    x_train: np.ndarray
    y_train: np.ndarray
    x_validation: np.ndarray
    y_validation: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray


def sunspots(window=22, horizon=1, test_fraction=0.25):
    """Return the yearly sunspot numbers, 1700 to 2008, as a `Series`; see `series`."""
    return series("sunspots", window, horizon, test_fraction)


def co2(window=24, horizon=1, test_fraction=0.25):
    """Return the monthly CO2 at Mauna Loa, March 1958 to 2001, in ppm, as a `Series`; see `series`."""
    return series("co2", window, horizon, test_fraction)


def series(name, window, horizon=1, test_fraction=0.25):
    """Return the series called `name` ("sunspots" or "co2"), split by time, scaled and cut into windows.

    The last `test_fraction` of the years are held out. Mean and standard deviation are those of the training
    years alone, and no window, its target included, reaches across the split: the first test target lies
    `window + horizon - 1` steps after the first test year.

    sunspots: the number that Wolf defined around 1850; he reconstructed it back to 1700 from old records, so the early
    years are the least certain. statsmodels names the National Geophysical Data Center as its source. The
    values are those of version 1: the official series was rescaled and corrected in July 2015, so newer tables show
    other, larger numbers. co2: Keeling & Whorf, weekly with 59 weeks missing: here the mean of each month's weeks,
    and the five months without any (the last is April 1964) on a straight line between their neighbours. CO2 keeps
    rising, so most test values lie above all training values: a network does better to predict the change. Both
    come with statsmodels.

    Raises ValueError naming `name`, `window`, `horizon` or `test_fraction`, also when no window is left.
    """
    years, values = _SERIES[arguments.one_of("name", name, _SERIES)]()
    arguments.integer("window", window, at_least=1)
    arguments.integer("horizon", horizon, at_least=1)
    arguments.number("test_fraction", test_fraction, at_least=0.05, at_most=0.5)
    split = len(values) - round(len(values) * test_fraction)
    room = len(values) - split  # the shorter part
    for argument, given, largest in (("window", window, room - 1), ("horizon", horizon, room - window)):
        if given > largest:
            raise ValueError(
                f"{argument} must be at most {largest}, got {given}: a window of {window} steps and a target "
                f"{horizon} later need {window + horizon} steps, and the held-out part of {name} has {room}."
            )
    mean, std = values[:split].mean(), values[:split].std()
    scaled = ((values - mean) / std).astype("float32")
    train = _windows(years[:split], scaled[:split], window, horizon)
    test = _windows(years[split:], scaled[split:], window, horizon)
    return Series(*train, *test, mean=float(mean), std=float(std))


def digits(by="row", train=1097, validation=350, test=350, seed=0, wrong=0.0):
    """Return handwritten digits read by row (n, 8, 8) or by pixel (n, 64, 1), as `Digits`.

    1,797 grey images of 8 × 8 pixels (Alpaydin & Kaynak 1998, as bundled with scikit-learn); `train`,
    `validation` and `test` say how many go where. Each part holds every digit in proportion, to within two
    images, so guessing scores .1. `seed` draws the order, of which the test part comes first: with the same
    seed a smaller `train` is a part of the larger one and leaves the test images as they are. `wrong` is the share of
    training labels, to the nearest image, that name one of the nine other digits instead: a network that learns these
    by heart has memorised. The labels of validation and test are right.
    Raises ValueError or TypeError naming the argument.
    """
    from sklearn.datasets import load_digits

    shape = {"row": (-1, 8, 8), "pixel": (-1, 64, 1)}[arguments.one_of("by", by, ("row", "pixel"))]
    bundled = load_digits()
    x, y = (bundled.images / 16).astype("float32").reshape(shape), bundled.target
    left = len(y)
    for name, size in (("test", test), ("validation", validation), ("train", train)):
        left -= arguments.integer(name, size, at_least=10, at_most=left)
    order = _stratified_order(y, np.random.default_rng(arguments.integer("seed", seed, at_least=0)))
    of_test, of_validation, of_train = np.split(order[: test + validation + train], [test, test + validation])
    rng, given = np.random.default_rng([seed, 1]), y[of_train].copy()
    slips = rng.permutation(train)[: round(arguments.number("wrong", wrong, at_least=0, below=1) * train)]
    given[slips] = (given[slips] + rng.integers(1, 10, len(slips))) % 10
    return Digits(x[of_train], given, x[of_validation], y[of_validation], x[of_test], y[of_test])


def _stratified_order(y, rng):
    """Return a random order of `y` in which any stretch holds every class in proportion."""
    position = np.empty(len(y))
    for label in np.unique(y):
        of_label = rng.permutation(np.flatnonzero(y == label))
        evenly = (np.arange(len(of_label)) + rng.random()) / len(of_label)  # from 0 to 1
        position[of_label] = evenly
    return np.argsort(position)


def _windows(years, values, window, horizon):
    count = len(values) - window - horizon + 1
    x = np.lib.stride_tricks.sliding_window_view(values, window)[:count, :, None].copy()  # (n, window, 1)
    return x, values[-count:, None].copy(), years[-count:].copy()


def _yearly_sunspots():
    from statsmodels.datasets import sunspots as bundled  # takes half a second: only for who asks

    data = bundled.load_pandas().data
    return data["YEAR"].to_numpy(), data["SUNACTIVITY"].to_numpy()


def _monthly_co2():
    from statsmodels.datasets import co2 as bundled

    months = bundled.load_pandas().data["co2"].resample("MS").mean().interpolate("linear")
    return (months.index.year + (months.index.month - 1) / 12).to_numpy(), months.to_numpy()


_SERIES = {"sunspots": _yearly_sunspots, "co2": _monthly_co2}
