"""The checks of lesson 06: the usual mistakes are told what to look at, right answers written differently pass."""

from course.classroom.exercises import lesson_06
import keras
import numpy as np
import pytest
from verdicts import verdict, wrong

pytestmark = pytest.mark.filterwarnings("ignore:invalid value|divide by zero|overflow:RuntimeWarning")

# Clipping by the norm over all variables


def total(gradients):
    return np.sqrt(sum((g**2).sum() for g in gradients))


def per_variable(gradients, threshold):
    clipped = []
    for g in gradients:
        n = np.linalg.norm(g)
        clipped.append(g * threshold / n if n > threshold else g)
    return clipped


def in_place_of_zero(gradients, threshold):
    with np.errstate(invalid="ignore"):
        return [g / total(gradients) * min(total(gradients), threshold) for g in gradients]


def added(gradients, threshold):
    n = sum(np.linalg.norm(g) for g in gradients)
    return [g * threshold / n for g in gradients] if n > threshold else gradients


@pytest.mark.parametrize(
    ("attempt", "hint"),
    [
        (per_variable, "that is `clipnorm`"),
        (lambda gs, t: [np.clip(g, -t, t) for g in gs], "that is `clipvalue`"),
        (lambda gs, t: [np.minimum(np.maximum(g, -t), t) for g in gs], "that is `clipvalue`"),
        (
            lambda gs, t: [g * t / (total(gs) + 1e-12) for g in gs],
            "is made longer: leave it as it is",
        ),
        (
            lambda gs, t: [g * t / total(gs) for g in gs],
            "made longer, and one that is 0 becomes NaN",
        ),
        (in_place_of_zero, "0 becomes NaN"),
        (added, "The norms of the variables have been added up"),
        (
            lambda gs, t: [g * min(1, t / max(sum((p**2).sum() for p in gs), 1e-9)) for g in gs],
            "The root is missing",
        ),
        (
            lambda gs, t: [g * min(1, t / max(max(np.linalg.norm(p) for p in gs), 1e-9)) for g in gs],
            "the largest norm of a variable",
        ),
        (
            lambda gs, t: [g * min(1, t / max(max(abs(p).max() for p in gs), 1e-9)) for g in gs],
            "This is the largest entry",
        ),
        (
            lambda gs, t: [g / total(gs) if total(gs) > t else g for g in gs],
            "is given the length 1",
        ),
        (
            lambda gs, t: [g * t if total(gs) > t else g for g in gs],
            "multiplied by the threshold",
        ),
        (lambda gs, t: [0 * g for g in gs] if total(gs) > t else gs, "is thrown away"),
        (lambda gs, t: gs, "Nothing is clipped"),
        (lambda gs, t: [g * max(1, total(gs) / t) for g in gs], "upside down"),
        (lambda gs, t: [g * t / total(gs) if 0 < total(gs) < t else g for g in gs], "wrong way round"),
        (lambda gs, t: [g * np.sqrt(min(1, t / max(total(gs), 1e-9))) for g in gs], "The global norm was"),
        (lambda gs, t: [g for g in gs if np.linalg.norm(g) < t], "3 results are expected"),
        (
            lambda gs, t: np.concatenate([g.ravel() for g in gs]) * min(1, t / max(total(gs), 1e-9)),
            "in one long vector",
        ),
        (lambda gs, t: total(gs), "3 results are expected"),
        (lambda gs: gs, "TypeError"),
        (lambda gs, t: None if total(gs) else 0, "returns"),
        (1.0, "a function is expected"),
    ],
)
def test_clip_by_global_norm_names_the_mistake(attempt, hint):
    wrong(lesson_06.clip_by_global_norm, attempt, hint)


def test_clip_by_global_norm_is_accepted_written_differently():
    def looping(gradients, threshold):
        squares = 0
        for g in gradients:
            squares += float(np.vdot(g, g))
        if squares**0.5 <= threshold:
            return gradients
        return tuple(threshold * g / squares**0.5 for g in gradients)

    def through_a_vector(gradients, threshold):
        n = np.linalg.norm(np.concatenate([np.ravel(g) for g in gradients]))
        return [g / max(1, n / threshold) for g in gradients]

    def with_keras(gradients, threshold):
        n = keras.ops.sqrt(sum(keras.ops.sum(keras.ops.square(g)) for g in gradients))
        factor = keras.ops.minimum(1.0, threshold / keras.ops.maximum(n, 1e-12))
        return [keras.ops.convert_to_numpy(factor) * g for g in gradients]

    for attempt in (looping, through_a_vector, with_keras):
        assert verdict(lesson_06.clip_by_global_norm, attempt).status == "right"


# A threshold from recorded norms


@pytest.mark.parametrize(
    ("attempt", "hint"),
    [
        (lambda n, s: np.nanquantile(n[np.isfinite(n)], s), "Nearly all norms lie above this"),
        (
            lambda n, s: np.percentile(n[np.isfinite(n)], 1 - s),
            "np.percentile counts from 0 to 100",
        ),
        (lambda n, s: np.quantile(n, 1 - s), "the quantile of it is NaN"),
        (lambda n, s: np.nanquantile(n, 1 - s), "infinity is not"),
        (lambda n, s: np.quantile(np.nan_to_num(n, posinf=0), 1 - s), "replaced by 0"),
        (lambda n, s: np.quantile(np.nan_to_num(n), 1 - s), "np.nan_to_num turns NaN into 0"),
        (lambda n, s: n[np.isfinite(n)].mean(), "a few huge norms pull up"),
        (lambda n, s: np.median(n[np.isfinite(n)]), "Half of the norms"),
        (lambda n, s: (1 - s) * n[np.isfinite(n)].max(), "Count norms, not their sizes"),
        (lambda n, s: n[np.isfinite(n)].max(), "nothing would ever be clipped"),
        (lambda n, s: 1.0, "% of the finite norms lie above yours"),
        (lambda n, s: [1.0, 2.0], "a single number"),
        (lambda n, s: None, "not attempted"),
        (0.5, "a function is expected"),
    ],
)
def test_threshold_names_the_mistake(attempt, hint):
    found = verdict(lesson_06.threshold, attempt)
    assert found.status != "right"
    assert hint in found.message or hint in found.status


def test_threshold_is_accepted_written_differently():
    def sorting(norms, share):
        finite = np.sort(norms[np.isfinite(norms)])
        return finite[int((1 - share) * len(finite))]

    def from_the_top(norms, share):
        finite = sorted((n for n in norms if np.isfinite(n)), reverse=True)
        return finite[round(share * len(finite))]

    def percentile(norms, share):
        return float(np.percentile(norms[np.isfinite(norms)], 100 - 100 * share))

    for attempt in (sorting, from_the_top, percentile):
        assert verdict(lesson_06.threshold, attempt).status == "right"


# The share of runs that diverged


def tail(losses):
    return losses[:, -(losses.shape[1] // 10) :]


@pytest.mark.parametrize(
    ("attempt", "hint"),
    [
        (lambda x, c: np.mean(tail(x).mean(axis=1) > c), "`nan > limit` is False"),
        (lambda x, c: np.mean(np.isnan(tail(x)).any(axis=1)), "the runs with NaN alone"),
        (lambda x, c: np.mean(np.isnan(x).any(axis=1)), "the runs with NaN alone"),
        (
            lambda x, c: np.mean(~np.isfinite(tail(x)).all(axis=1)),
            "the runs that are not finite",
        ),
        (lambda x, c: np.mean(~(x.max(axis=1) <= c)), "jumps once and recovers"),
        (lambda x, c: np.mean(~(x.mean(axis=1) <= c)), "over all updates"),
        (lambda x, c: np.mean(~(x[:, -1] <= c)), "The last loss alone"),
        (lambda x, c: np.mean(~(tail(x).max(axis=1) <= c)), "One high loss"),
        (lambda x, c: np.mean(~(x[:, -10:].mean(axis=1) <= c)), "the last ten losses"),
        (lambda x, c: np.mean(~(np.median(tail(x), axis=1) <= c)), "This is the median"),
        (lambda x, c: np.mean(~(tail(x) <= c).any(axis=1)), "every loss of the last tenth"),
        (lambda x, c: np.mean(~(tail(x) <= c)), "a share of losses"),
        (lambda x, c: np.mean(~(tail(x).mean(axis=0) <= c)), "axis=1"),
        (
            lambda x, c: np.mean(~(x[:, : x.shape[1] // 10].mean(axis=1) <= c)),
            "the first tenth",
        ),
        (lambda x, c: float(not tail(x).mean() <= c), "averaged together"),
        (lambda x, c: np.sum(~(tail(x).mean(axis=1) <= c)), "asked for is their share"),
        (lambda x, c: np.mean(tail(x).mean(axis=1) <= c), "did not diverge"),
        (lambda x, c: ~(tail(x).mean(axis=1) <= c), "truth values"),
        (lambda x, c: 0.3, "is not it"),
        (lambda x: 0.3, "TypeError"),
    ],
)
def test_diverged_share_names_the_mistake(attempt, hint):
    wrong(lesson_06.diverged_share, attempt, hint)


def test_diverged_share_is_accepted_written_differently():
    def looping(losses, limit):
        count = 0
        for run in losses:
            end = np.mean(run[-len(run) // 10 :])
            count += 1 if np.isnan(end) or end > limit else 0
        return count / len(losses)

    def filled(losses, limit):
        return np.mean(np.nan_to_num(tail(losses), nan=np.inf).mean(axis=1) > limit)

    def finite_first(losses, limit):
        ends = tail(losses).mean(axis=1)
        return float(1 - (np.isfinite(ends) & (ends <= limit)).mean())

    for attempt in (looping, filled, finite_first):
        assert verdict(lesson_06.diverged_share, attempt).status == "right"


# What truncation leaves out


def size(g):
    return np.sqrt((g**2).sum())


@pytest.mark.parametrize(
    ("attempt", "hint"),
    [
        (lambda terms, w: size(terms[w + 1 :].sum(0)) / size(terms.sum(0)), "One term too few"),
        (lambda terms, w: size(terms[w - 1 :].sum(0)) / size(terms.sum(0)), "One term too many"),
        (lambda terms, w: size(terms[:w].sum(0)) / size(terms.sum(0)), "what is kept"),
        (lambda terms, w: 1 - size(terms[:w].sum(0)) / size(terms.sum(0)), "do not add up"),
        (
            lambda terms, w: sum(map(size, terms[w:])) / sum(map(size, terms)),
            "This adds up norms",
        ),
        (lambda terms, w: size(terms[w:]) / size(terms), "side by side"),
        (lambda terms, w: size(terms[: len(terms) - w].sum(0)) / size(terms.sum(0)), "the last ones as the near"),
        (lambda terms, w: size(terms[w:].sum(0)), "divide it by the norm of the whole"),
        (lambda terms, w: size(terms[w:].sum(0)) / size(terms[:w].sum(0)), "relative to what is kept"),
        (lambda terms, w: (terms[w:].sum(0) ** 2).sum() / (terms.sum(0) ** 2).sum(), "The root is missing"),
        (lambda terms, w: abs(terms[w:].sum()) / abs(terms.sum()), "all entries into one number"),
        (lambda terms, w: 1 - w / len(terms), "whatever their size"),
        (lambda terms, w: terms[w:].sum(0) / size(terms.sum(0)), "This is a matrix"),
        (lambda terms, w: terms[w:].mean(0), "a single number"),
        (lambda terms, w: size(terms[w:].mean(0)) / size(terms.mean(0)), "is not it"),
        (lambda terms, w: size(terms[w % len(terms)]) / size(terms.sum(0)), "is not it"),
        (lambda terms: 0.5, "TypeError"),
        (0.5, "a function is expected"),
    ],
)
def test_bias_names_the_mistake(attempt, hint):
    wrong(lesson_06.bias, attempt, hint)


def test_bias_is_accepted_written_differently():
    def by_difference(terms, window):
        whole, kept = terms.sum(axis=0), terms[:window].sum(axis=0)
        return np.linalg.norm(whole - kept) / np.linalg.norm(whole)

    def looping(terms, window):
        whole, cut = 0, np.zeros_like(terms[0])
        for d, term in enumerate(terms):
            whole = whole + term
            if d >= window:
                cut += term
        return float(np.sqrt((cut**2).sum() / (whole**2).sum()))

    def with_einsum(terms, window):
        far = np.arange(len(terms)) >= window
        return np.linalg.norm(np.einsum("t,tij->ij", far, terms).ravel()) / size(terms.sum(0))

    for attempt in (by_difference, looping, with_einsum):
        assert verdict(lesson_06.bias, attempt).status == "right"


# A training that loses an epoch at most


def fitting(
    first=True,
    raise_error=True,
    backup=True,
    again=1.0,
    catch=True,
    answer=lambda model: model,
    **options,
):
    """A function that trains, with one thing done otherwise."""

    def train(build, x, y, folder):
        for threshold in (None if first else 1.0, again):
            model = build(threshold)
            callbacks = [keras.callbacks.TerminateOnNaN(raise_error=raise_error)] if raise_error is not None else []
            callbacks += [keras.callbacks.BackupAndRestore(folder, **options)] if backup else []
            try:
                model.fit(x, y, batch_size=4, epochs=6, callbacks=callbacks, verbose=0)
            except RuntimeError:
                if not catch:
                    raise
            else:
                break
        return answer(model)

    return train


def without_try(build, x, y, folder):
    model = build(None)
    saved = keras.callbacks.BackupAndRestore(folder, delete_checkpoint=False)
    callbacks = [keras.callbacks.TerminateOnNaN(), saved]
    history = model.fit(x, y, batch_size=4, epochs=6, callbacks=callbacks, verbose=0)
    if not np.isfinite(history.history["loss"][-1]):
        model = build(1.0)
        model.fit(x, y, batch_size=4, epochs=6, callbacks=callbacks, verbose=0)
    return model


def every_batch(build, x, y, folder):
    for threshold in (None, 1.0):
        model = build(threshold)
        saved = keras.callbacks.BackupAndRestore(folder, save_freq=1)
        callbacks = [saved, keras.callbacks.TerminateOnNaN(raise_error=True)]
        try:
            model.fit(x, y, batch_size=4, epochs=6, callbacks=callbacks, verbose=0)
            return model
        except RuntimeError:
            continue
    return model


@pytest.mark.parametrize(
    ("attempt", "hint"),
    [
        (fitting(raise_error=None), "nothing stops the run"),
        (fitting(raise_error=False), "TerminateOnNaN() alone raises no error"),
        (fitting(catch=False), "catch it, then train again"),
        (fitting(backup=False), "The second training began anew"),
        (fitting(again=None), "RuntimeError|does not clip either"),
        (fitting(first=False), "The first training should not clip"),
        (fitting(answer=lambda model: model.history), "its History"),
        (fitting(answer=lambda model: None), "returns nothing"),
        (fitting(answer=lambda model: 1.0), "got a float"),
        (without_try, "NaN or infinity in its weights"),
        (every_batch, "NaN or infinity in its weights"),
        (lambda build, x, y, folder: build(None), "yours took 0 batches"),
        (lambda build, x, y, folder: keras.Sequential(), "has not called build"),
        (lambda build, x, y: build(None), "TypeError"),
        (1.0, "A function is expected"),
    ],
)
def test_train_names_what_is_missing(attempt, hint):
    found = verdict(lesson_06.train, attempt)
    assert found.status == "wrong"
    assert any(part in found.message for part in hint.split("|")), found


def test_train_is_accepted_written_differently():
    def nested(build, x, y, folder):
        callbacks = [
            keras.callbacks.BackupAndRestore(folder),
            keras.callbacks.TerminateOnNaN(raise_error=True),
        ]
        model = build(None)
        try:
            model.fit(x, y, batch_size=4, epochs=6, callbacks=callbacks, verbose=0)
        except RuntimeError:
            model = build(0.5)
            model.fit(x, y, batch_size=4, epochs=6, callbacks=callbacks, verbose=0)
        return model

    def by_checkpoint(build, x, y, folder):
        """With a file for every epoch, and without BackupAndRestore."""
        ends = []

        class Ends(keras.callbacks.Callback):
            def on_epoch_end(self, epoch, logs=None):
                ends.append((epoch + 1, self.model.get_weights()))

        stop = keras.callbacks.TerminateOnNaN(raise_error=True)
        model = build(None)
        try:
            model.fit(x, y, batch_size=4, epochs=6, callbacks=[stop, Ends()], verbose=0)
        except RuntimeError:
            model = build(1.0)
            model.set_weights(ends[-1][1])
            model.fit(
                x,
                y,
                batch_size=4,
                epochs=6,
                initial_epoch=ends[-1][0],
                callbacks=[stop],
                verbose=0,
            )
        return model

    for attempt in (fitting(), nested, by_checkpoint):
        assert verdict(lesson_06.train, attempt).status == "right"
