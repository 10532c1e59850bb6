"""Checks of lesson 06. Reading on spoils the exercises."""

from pathlib import Path
import tempfile

from course.classroom import checks
import numpy as np


def _gradients():
    """Gradients of three variables, and a threshold: above it, above it only together, below it, above it in one; 0."""
    cases = []
    for seed, (scales, threshold) in enumerate(
        (
            ((1, 3, 2), 0.7),
            ((1, 1, 1), 4.0),
            ((0.1, 0.2, 0.1), 5.0),
            ((0.01, 4, 0.02), 1.5),
            ((0, 0, 0), 1.0),
        )
    ):
        rng = np.random.default_rng(seed)
        shapes = (2, 3), (3, 3), (3,)
        cases.append(
            (
                [scale * rng.normal(size=shape) for scale, shape in zip(scales, shapes, strict=True)],
                threshold,
            )
        )
    return cases


def _norm(gradients):
    return np.sqrt(sum(np.sum(g**2) for g in gradients))


def _measured(answer, gradients, threshold):
    """What the learner's gradient measures, if it has the right form."""
    parts = [checks.numbers(part) for part in answer] if isinstance(answer, list | tuple) else []
    if [np.shape(part) for part in parts] != [g.shape for g in gradients]:
        return ""
    return f"The global norm was {_norm(gradients):.3g}, of yours it is {_norm(parts):.3g}."


def _times(factor):
    """A function that multiplies every gradient by `factor`, a function of the gradients and the threshold."""
    return lambda gradients, threshold: [g * factor(gradients, threshold) for g in gradients]


def _each(change):
    """A function that treats every variable by itself."""
    return lambda gradients, threshold: [change(g, threshold) for g in gradients]


def _shorten(norm):
    """The factor of norm clipping, with another norm."""
    return lambda gradients, threshold: min(1.0, threshold / max(norm(gradients), 1e-300))


@checks.function(
    _gradients,
    mistakes=[
        (
            _each(lambda g, threshold: g * _shorten(_norm)([g], threshold)),
            "Each variable is clipped by its own norm: that is `clipnorm`. Take one norm over all of them.",
        ),
        (
            _each(lambda g, threshold: np.clip(g, -threshold, threshold)),
            "Each number is clipped by itself: that is `clipvalue`, and it turns the gradient. Take one factor for all.",
        ),
        (
            _times(lambda g, threshold: threshold / max(_norm(g), 1e-300)),
            "A gradient shorter than the threshold is made longer: leave it as it is, the factor is at most 1.",
        ),
        (
            _times(lambda g, threshold: threshold / _norm(g)),
            "A gradient shorter than the threshold is made longer, and one that is 0 becomes NaN: the factor is at most 1.",
        ),
        (
            _times(lambda g, threshold: np.minimum(1, np.divide(threshold, _norm(g))) if _norm(g) else np.nan),
            "A gradient that is 0 becomes NaN: 0 · (threshold / 0). Clip only if the norm is above the threshold.",
        ),
        (
            _times(_shorten(lambda g: sum(_norm([part]) for part in g))),
            "The norms of the variables have been added up; add their squares, and take the root.",
        ),
        (
            _times(_shorten(lambda g: sum(np.sum(part**2) for part in g))),
            "The root is missing: the norm is the root of the sum of squares.",
        ),
        (
            _times(_shorten(lambda g: max(_norm([part]) for part in g))),
            "This is the largest norm of a variable; the norm over all is the root of the sum of all squares.",
        ),
        (
            _times(_shorten(lambda g: max(np.max(np.abs(part)) for part in g))),
            "This is the largest entry; the norm over all is the root of the sum of all squares.",
        ),
        (
            _times(_shorten(lambda g: np.sqrt(np.mean(np.concatenate([part.ravel() for part in g]) ** 2)))),
            "The squares have been averaged; add them up.",
        ),
        (
            _times(_shorten(lambda g: sum(np.sum(np.abs(part)) for part in g))),
            "The absolute values have been added up; the norm is the root of the sum of squares.",
        ),
        (
            _times(
                _shorten(
                    lambda g: np.sqrt(sum((np.linalg.norm(p, 2) if p.ndim == 2 else _norm([p])) ** 2 for p in g))
                )
            ),
            "norm(g, 2) of a matrix is its largest singular value; here every entry counts: np.sum(g**2).",
        ),
        (
            _times(lambda g, threshold: 1.0 if _norm(g) <= threshold else 1 / _norm(g)),
            "A long gradient is given the length 1; it should get the length of the threshold.",
        ),
        (
            _times(lambda g, threshold: 1.0 if _norm(g) <= threshold else threshold),
            "A long gradient is multiplied by the threshold; divide by the norm, too.",
        ),
        (
            _times(lambda g, threshold: 1.0 if _norm(g) <= threshold else 0.0),
            "A long gradient is thrown away: its direction is right, only its length is to be cut.",
        ),
        (
            lambda gradients, threshold: gradients,
            "Nothing is clipped: look at the norm over all variables together.",
        ),
        (
            _times(lambda g, threshold: 1.0 if _norm(g) <= threshold else _norm(g) / threshold),
            "The factor is upside down: a long gradient becomes longer. It is threshold / norm.",
        ),
        (
            _times(lambda g, threshold: threshold / _norm(g) if 0 < _norm(g) < threshold else 1.0),
            "The comparison is the wrong way round: short gradients are made longer, long ones are left alone.",
        ),
        (
            lambda gradients, threshold: np.concatenate(
                [g.ravel() * _shorten(_norm)(gradients, threshold) for g in gradients]
            ),
            "Right numbers in one long vector: return a list of arrays, in the shapes they came in.",
        ),
    ],
    hints=[
        "One norm for all: add up np.sum(g**2) over the list, and take the root.",
        "If it is above the threshold, every array is multiplied by threshold / norm, which is below 1.",
        "Otherwise return the gradients as they are. That spares you a division by 0, too.",
    ],
    praise="Correct: one factor for all, so the direction stays.",
    remark=_measured,
)
def clip_by_global_norm(gradients, threshold):
    return _times(_shorten(_norm))(gradients, threshold)


def _recorded():
    """Norms as training records them: many small, some huge, and after a divergence NaN and infinite ones."""
    from scipy.stats import norm

    cases = []
    for seed, (n, middle, spread, lost, share) in enumerate(
        ((3000, 0.4, 1.0, 300, 0.1), (4000, 2.0, 1.5, 0, 0.05), (5000, 0.03, 0.8, 1200, 0.2))
    ):
        rng = np.random.default_rng(seed)
        z = norm.ppf((np.arange(n) + 0.5) / n)
        finite = rng.permutation(middle * np.exp(spread * z))
        cases.append(
            (
                np.concatenate([finite, np.full(lost // 10, np.inf), np.full(lost - lost // 10, np.nan)]),
                share,
            )
        )
    return cases


def _of_finite(function):
    return lambda norms, share: function(norms[np.isfinite(norms)], share)


@checks.function(
    _recorded,
    mistakes=[
        (
            _of_finite(lambda f, share: np.quantile(f, share)),
            "Nearly all norms lie above this: a share of 0.1 above it means 0.9 below it.",
        ),
        (
            _of_finite(lambda f, share: np.percentile(f, 1 - share)),
            "np.percentile counts from 0 to 100: this is the lowest norms. np.quantile counts from 0 to 1.",
        ),
        (
            lambda norms, share: np.quantile(norms, 1 - share),
            "There is a NaN among the norms, and the quantile of it is NaN: leave out what is not finite, first.",
        ),
        (
            lambda norms, share: np.nanquantile(norms, 1 - share),
            "NaN is left out, infinity is not: it counts as a large norm. Keep norms[np.isfinite(norms)].",
        ),
        (
            lambda norms, share: np.quantile(np.nan_to_num(norms), 1 - share),
            "np.nan_to_num turns NaN into 0, a small norm, which it was not: leave those updates out.",
        ),
        (
            lambda norms, share: np.quantile(np.nan_to_num(norms, posinf=0), 1 - share),
            "What is not finite has been replaced by 0, a small norm, which it was not: leave those updates out.",
        ),
        (
            _of_finite(lambda f, share: f.mean()),
            "This is the mean, which a few huge norms pull up; the share above it is whatever it is.",
        ),
        (
            _of_finite(lambda f, share: np.median(f)),
            "Half of the norms lie above the median; asked for is `share`.",
        ),
        (
            _of_finite(lambda f, share: (1 - share) * f.max()),
            "This is a part of the largest norm, which is huge: next to nothing lies above. Count norms, not their sizes.",
        ),
        (
            _of_finite(lambda f, share: share * f.max()),
            "This is a part of the largest norm. Count norms, not their sizes: a quantile.",
        ),
        (
            _of_finite(lambda f, share: f.max()),
            "Nothing lies above the largest norm: nothing would ever be clipped.",
        ),
        (
            _of_finite(lambda f, share: np.sort(f)[::-1][: round(share * len(f))].mean()),
            "This is the mean of the largest norms; the threshold is the smallest of them.",
        ),
    ],
    hints=[
        "Which norms count? finite = norms[np.isfinite(norms)].",
        "A share above means 1 - share below: that is a quantile.",
        "np.quantile(finite, 1 - share); or sort, and count from the end.",
    ],
    tolerance=0.01,
    praise="Correct: so many updates would have been clipped, and no more.",
    remark=lambda answer, norms, share: (
        f"{np.mean(norms[np.isfinite(norms)] > answer):.1%} of the finite norms lie above yours; {share:.0%} are asked for."
        if checks.number(answer) is not None
        else ""
    ),
)
def threshold(norms, share):
    return np.quantile(norms[np.isfinite(norms)], 1 - share)


def _losses():
    """Losses of several runs, a row each, of the kinds named below."""
    cases = []
    for seed, (updates, limit, order) in enumerate(
        (
            (40, 1.0, "lcjhniapbroo"),
            (100, 0.25, "ljhhhnicappbrrss"),
            (60, 2.0, "nniclhjjabbbrs"),
            (50, 1.0, "lcjhaprbs"),
        )
    ):
        rng = np.random.default_rng(seed)
        rows = {}
        t = np.linspace(0, 1, updates)
        rows["l"] = limit * (0.02 + 0.9 * np.exp(-6 * t))  # learned
        rows["c"] = limit * (0.9 + 0.01 * rng.normal(size=updates))  # at chance
        rows["j"] = np.where(np.abs(t - 0.5) < 0.03, 300 * limit, rows["l"])  # a jump from which it recovers
        rows["h"] = limit * np.where(t > 0.6, 5.0, 0.4)  # jumped and stayed
        rows["a"] = limit * np.where(t > 0.5, 0.95, 0.5)  # nearly
        rows["b"] = np.where(np.arange(updates) == updates - 1, 2.5 * limit, rows["l"])  # the last one alone is high
        rows["p"] = np.where(np.arange(updates) == updates - 2, 2.5 * limit, rows["l"])  # the last but one
        ending = np.arange(updates) >= updates - updates // 10
        rows["r"] = limit * np.where(ending, 0.1, 5.0)  # recovers just in time
        rows["s"] = rows["l"].copy()
        rows["s"][-2] = 30 * limit  # a spike in the last tenth, in the mean but not in the median
        rows["o"] = np.where(ending, 3.0 * limit, rows["l"])
        rows["o"][-1] = 0.2 * limit  # high in the last tenth, but for the last
        rows["n"] = np.where(t > 0.7, np.nan, rows["l"])
        rows["i"] = np.where(t > 0.8, np.inf, rows["l"])
        cases.append((np.stack([rows[kind] for kind in order]), limit))
    return cases


def _share(judge):
    """A function that gives the share of the runs for which `judge` of a row and the limit holds."""

    def rate(losses, limit):
        return np.mean([bool(judge(row, limit)) for row in losses])

    return rate


def _tail(row):
    return row[-(len(row) // 10) :]


@checks.function(
    _losses,
    mistakes=[
        (
            _share(lambda row, limit: _tail(row).mean() > limit),
            "`nan > limit` is False, so a run that ended in NaN counts as a good one. Ask `not (mean <= …)`, or isfinite.",
        ),
        (
            _share(lambda row, limit: np.isnan(_tail(row)).any()),
            "These are the runs with NaN alone. A loss may be far above the limit, and infinite, without any.",
        ),
        (
            _share(lambda row, limit: not np.isfinite(_tail(row)).all()),
            "These are the runs that are not finite. A loss that jumped and stayed there is finite, and no use either.",
        ),
        (
            _share(lambda row, limit: not row.max() <= limit),
            "A loss that jumps once and recovers has not diverged: look at the last tenth alone.",
        ),
        (
            _share(lambda row, limit: not row.mean() <= limit),
            "This takes the mean over all updates, a jump in the middle included: look at the last tenth alone.",
        ),
        (
            _share(lambda row, limit: not row[-1] <= limit),
            "The last loss alone is one batch: take the mean of the last tenth.",
        ),
        (
            _share(lambda row, limit: not _tail(row).max() <= limit),
            "One high loss in the last tenth is not enough: take the mean.",
        ),
        (
            _share(lambda row, limit: not row[-10:].mean() <= limit),
            "These are the last ten losses; asked for is the last tenth, losses.shape[1] // 10 of them.",
        ),
        (
            _share(lambda row, limit: not np.median(_tail(row)) <= limit),
            "This is the median; asked for is the mean.",
        ),
        (
            _share(lambda row, limit: not (_tail(row) <= limit).any()),
            "This asks that every loss of the last tenth is above the limit; asked for is their mean.",
        ),
        (
            lambda losses, limit: np.mean(~(losses[:, -(losses.shape[1] // 10) :] <= limit)),
            "This is a share of losses; asked for is a share of runs. Take each row's mean first.",
        ),
        (
            lambda losses, limit: np.mean(~(losses <= limit)),
            "This is a share of losses; asked for is a share of runs. Take each row's mean first.",
        ),
        (
            lambda losses, limit: np.mean(~(losses[:, -(losses.shape[1] // 10) :].mean(axis=0) <= limit)),
            "This is a mean over runs, one for each update: take it along the rows, axis=1.",
        ),
        (
            _share(lambda row, limit: not row[: len(row) // 10].mean() <= limit),
            "This is the first tenth; asked for is the last one.",
        ),
        (
            lambda losses, limit: float(not np.mean(losses[:, -(losses.shape[1] // 10) :]) <= limit),
            "All runs have been averaged together: one verdict for each row, then the share of the rows.",
        ),
        (
            lambda losses, limit: sum(not _tail(row).mean() <= limit for row in losses),
            "This counts the runs; asked for is their share.",
        ),
        (
            _share(lambda row, limit: _tail(row).mean() <= limit),
            "This is the share of the runs that did not diverge.",
        ),
    ],
    hints=[
        "One number for each run: the mean of its last tenth, losses[:, -(losses.shape[1] // 10):].mean(axis=1).",
        "A comparison with NaN is always False. So ask which means are fine, `mean <= limit`, and take the others.",
        "The share of True in an array of truth values is its np.mean.",
    ],
    praise="Correct, NaN included.",
)
def diverged_share(losses, limit):
    return _share(lambda row, limit: not _tail(row).mean() <= limit)(losses, limit)


def _terms():
    """Terms of dL/dU by distance, which fall, grow, or stay; the last window is as long as the sequence."""
    cases = []
    for seed, (T, H, factor, window) in enumerate(((8, 3, 0.7, 2), (6, 2, 1.3, 4), (5, 4, 1.0, 1), (4, 3, 0.8, 4))):
        rng = np.random.default_rng(seed)
        cases.append((rng.normal(size=(T, H, H)) * factor ** np.arange(T)[:, None, None], window))
    return cases


def _ratio(part, norm=np.linalg.norm, whole=lambda terms, window: terms.sum(axis=0)):
    """A function that gives the norm of a part of the terms relative to that of the whole."""
    return lambda terms, window: norm(part(terms, window)) / norm(whole(terms, window))


def _cut(terms, window):
    return terms[window:].sum(axis=0)


def _kept(terms, window):
    return terms[:window].sum(axis=0)


@checks.function(
    _terms,
    mistakes=[
        (
            _ratio(lambda terms, window: terms[window + 1 :].sum(axis=0)),
            "One term too few: distances 0 to window − 1 are kept, so the first that is cut has index `window`.",
        ),
        (
            _ratio(lambda terms, window: terms[window - 1 :].sum(axis=0)),
            "One term too many: distances 0 to window − 1 are kept, so the first that is cut has index `window`.",
        ),
        (_ratio(_kept), "This is the norm of what is kept; the bias is what is cut."),
        (
            lambda terms, window: 1 - _ratio(_kept)(terms, window),
            "Norms of two parts do not add up to the norm of their sum: take the norm of the part that is cut.",
        ),
        (
            lambda terms, window: np.abs(1 - _ratio(_kept)(terms, window)),
            "Norms of two parts do not add up to the norm of their sum: take the norm of the part that is cut.",
        ),
        (
            _ratio(
                lambda terms, window: terms[window:],
                lambda terms: sum(np.linalg.norm(term) for term in terms),
                lambda terms, window: terms,
            ),
            "This adds up norms. The terms are added up first, signs and all, then comes the norm.",
        ),
        (
            _ratio(lambda terms, window: terms[window:], whole=lambda terms, window: terms),
            "This is the norm over all terms side by side. Add them up first, over axis 0.",
        ),
        (
            _ratio(lambda terms, window: terms[:-window].sum(axis=0)),
            "This takes the last ones as the near ones; here the first term has distance 0.",
        ),
        (
            lambda terms, window: np.linalg.norm(_cut(terms, window)),
            "This is the norm of what is cut; divide it by the norm of the whole gradient.",
        ),
        (
            _ratio(_cut, whole=_kept),
            "This is relative to what is kept; asked for is relative to the whole gradient.",
        ),
        (
            _ratio(_cut, lambda g: np.sum(g**2)),
            "The root is missing: the norm is the root of the sum of squares.",
        ),
        (
            _ratio(_cut, lambda g: np.linalg.norm(g, 2)),
            "norm(g, 2) of a matrix is its largest singular value; here every entry counts: np.linalg.norm(g).",
        ),
        (
            _ratio(_cut, lambda g: np.abs(g).sum()),
            "The absolute values have been added up; the norm is the root of the sum of squares.",
        ),
        (
            _ratio(lambda terms, window: terms[window:].sum(), np.abs, lambda terms, window: terms.sum()),
            "This adds up all entries into one number: add up over axis 0 alone, which leaves a matrix.",
        ),
        (
            lambda terms, window: (len(terms) - window) / len(terms),
            "This is the share of the terms that are cut, whatever their size.",
        ),
        (
            lambda terms, window: _cut(terms, window) / np.linalg.norm(terms.sum(axis=0)),
            "This is a matrix: take the norm of what is cut.",
        ),
    ],
    hints=[
        "What is kept are the first `window` terms, distances 0 to window − 1. What is cut, then?",
        "cut = terms[window:].sum(axis=0), a matrix; the whole gradient is the sum of all terms.",
        "np.linalg.norm(cut) / np.linalg.norm(terms.sum(axis=0))",
    ],
    praise="Correct: that much of the gradient is missing, however many sequences are averaged.",
)
def bias(terms, window):
    return _ratio(_cut)(terms, window)


EPOCHS, BATCHES, BREAKS = (
    6,
    4,
    10,
)  # of the trainings that `train` is tried on; the update that blows up


class _Tried:
    """What a learner's `train` builds: small models, one of whose gradients is huge if `breaks`, and what they did."""

    def __init__(self, breaks):
        self.breaks, self.models, self.thresholds = breaks, [], []

    def build(self, threshold=None):
        import keras

        spike = 1.0
        if self.breaks:  # clipping squares the gradient first, and float32 ends at 1e38
            spike = 1e30 if threshold is None else 1e10

        class Spike(keras.optimizers.SGD):
            def apply(self, grads, trainable_variables=None):
                factor = keras.ops.where(keras.ops.equal(self.iterations, BREAKS), spike, 1.0)
                return super().apply([g * keras.ops.cast(factor, g.dtype) for g in grads], trainable_variables)

        class Counting(keras.Sequential):
            steps = 0

            def train_step(self, *arguments):
                self.steps += 1
                return super().train_step(*arguments)

        model = Counting([keras.Input((2,)), keras.layers.Dense(1)])
        model.compile(Spike(0.1, global_clipnorm=threshold), "mse", run_eagerly=True)
        self.models.append(model)
        self.thresholds.append(threshold)
        return model

    def run(self, attempt):
        """What `attempt` returns, or Raised, with data of a few batches and a folder of its own."""
        x = np.random.default_rng(0).normal(size=(BATCHES * 4, 2)).astype("float32")
        with tempfile.TemporaryDirectory() as folder:
            return checks.call(attempt, self.build, x, x[:, :1], str(Path(folder) / "backup"), seconds=60)


@checks.judged(
    hints=[
        "Put the fit into try … except RuntimeError: TerminateOnNaN(raise_error=True) raises one when the loss is NaN.",
        "Give both trainings BackupAndRestore(folder): the second one then starts from what the first one left.",
        "for threshold in (None, 1.0): model = build(threshold); try: model.fit(…); return model; except RuntimeError: pass",
    ]
)
def train(attempt):
    """Check a function that trains, and goes on with clipping from the last good epoch if the training blows up."""
    if not callable(attempt):
        return checks.wrong("A function is expected.")
    import keras

    calm = _Tried(breaks=False)
    answer = calm.run(attempt)
    if isinstance(answer, checks.Raised):
        return checks.wrong(f"On a training that goes well, your function raised {_said(answer.error)}")
    if fault := _no_model(answer, keras):
        return checks.wrong(fault)
    if not calm.models:
        return checks.wrong("Your function has not called build(threshold), which makes a compiled model.")
    steps = [model.steps for model in calm.models]
    if calm.thresholds[0] is not None:
        return checks.wrong(f"The first training should not clip: build(None), not build({calm.thresholds[0]}).")
    if steps[0] != EPOCHS * BATCHES:
        return checks.wrong(
            f"A training that goes well should take {EPOCHS} epochs of {BATCHES} batches; yours took {steps[0]} batches."
        )
    if len(steps) > 1:
        return checks.wrong("The training went well, and yet another model was built: return the first one.")

    broken = _Tried(breaks=True)
    answer = broken.run(attempt)
    if isinstance(answer, checks.Raised):
        if isinstance(answer.error, RuntimeError) and len(broken.models) == 1:
            return checks.wrong(
                "The error that TerminateOnNaN raises ends your function: catch it, then train again."
            )
        return checks.wrong(f"After the training has blown up, your function raised {_said(answer.error)}")
    if fault := _no_model(answer, keras):
        return checks.wrong(fault)
    steps, last = [model.steps for model in broken.models], broken.thresholds[-1]
    until = -(-(BREAKS + 2) // BATCHES) * BATCHES  # the loss shows it one batch later
    if len(steps) == 1 and steps[0] > until:
        return checks.wrong(
            f"The loss is not finite from batch {BREAKS + 2} on, and {steps[0]} were trained: nothing stops the run."
        )
    if len(steps) == 1:
        return checks.wrong(
            "The training has stopped, and nothing more: TerminateOnNaN() alone raises no error, so your function cannot "
            "tell, and at the end of fit BackupAndRestore removes its backup. Use raise_error=True."
        )
    if last is None:
        return checks.wrong("The second training does not clip either: build(1.0).")
    if answer is not broken.models[-1]:
        return checks.wrong("The model returned is not the one that was trained last.")
    again, left = steps[-1], (EPOCHS - BREAKS // BATCHES) * BATCHES
    if not all(np.isfinite(keras.ops.convert_to_numpy(v)).all() for v in answer.trainable_variables):
        return checks.wrong(
            "The model that you return has NaN or infinity in its weights: it went on from a backup that was saved "
            "after the blow-up, at the end of an epoch, or of a batch (save_freq)."
        )
    if again == EPOCHS * BATCHES:
        return checks.wrong(
            f"The second training began anew and took all {EPOCHS} epochs: {BREAKS // BATCHES} were good already. Is "
            f"BackupAndRestore(folder) in both trainings, with the folder that was passed in?"
        )
    if again != left:
        return checks.wrong(f"The second training took {again} batches; from the last good epoch on {left} are left.")
    return checks.right("Correct: one epoch was lost, and the clipped training went on from the one before.")


def _said(error):
    return f"{type(error).__name__}: {str(error).splitlines()[0][:300] if str(error) else ''}"


def _no_model(answer, keras):
    if answer is None:
        return "Your function returns nothing: is a `return model` missing?"
    if isinstance(answer, keras.callbacks.History):
        return "This is what fit returns, its History; return the model."
    if not isinstance(answer, keras.Model):
        return f"A trained model is expected, got a {type(answer).__name__}."
    return None
