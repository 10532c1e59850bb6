"""Checks of lesson 02. Reading on spoils the exercises."""

from course.classroom import checks
import numpy as np

# Which kind?

KINDS = ("one to one", "one to many", "many to one", "in step", "encoder and decoder")
_APART = str.maketrans("-_,/()", "      ")
_OTHERS = {"stacked", "bidirectional", "masked", "stateful"}
_ANSWERS = ("many to one", "in step", "encoder and decoder", "one to many", "one to one")
_EARLY = "the alarm must sound while the heart beats, not after the recording has ended"
_ADVICE = {
    (1, "in step"): "One verdict on the whole review is asked for, not one per word.",
    (1, "encoder and decoder"): "The answer is no sequence: it is one verdict.",
    (1, "one to one"): "A review is read word by word, and reviews differ in length.",
    (2, "many to one"): f"Problem 2 wants an answer at every beat: {_EARLY}.",
    (
        2,
        "encoder and decoder",
    ): f"An encoder reads to the end before anything is answered: {_EARLY}.",
    (
        3,
        "in step",
    ): "A translation has another number of words, in another order: its first word may depend on the last.",
    (3, "many to one"): "The answer is a sentence, not one word.",
    (
        4,
        "many to one",
    ): "The name comes in, the tune goes out: which of the two is the sequence?",
    (
        4,
        "encoder and decoder",
    ): "What comes in is one thing, a composer: there is no sequence to encode.",
    (
        4,
        "in step",
    ): "What comes in is one thing, a composer: there is nothing to keep step with.",
    (
        5,
        "many to one",
    ): "Eight measurements in no order are eight features of one step, not eight steps.",
    (
        5,
        "in step",
    ): "One price is asked for, and the eight measurements are features, not steps.",
}


@checks.judged(
    hints=[
        "Ask twice: is what comes in a sequence, with an order? Is what goes out one?",
        "If both are: may each answer be given at once, and are there as many as inputs? Then in step, else encoder and "
        "decoder.",
        "Numbers that stand beside each other in no order are features of one step.",
    ]
)
def kinds(answer):
    """Check five words, one for each problem."""
    answer = _listed(answer)
    if isinstance(answer, str) or not isinstance(answer, (list, tuple)) or len(answer) != 5:
        return checks.wrong(f"A list of five words is expected, one for each problem, got {answer!r}.")
    for number, (given, right) in enumerate(zip(answer, _ANSWERS, strict=True), 1):
        if not isinstance(given, str):
            return checks.wrong(f"Answer {number} is to be one of {', '.join(KINDS)}; got {given!r}.")
        said = " ".join(given.lower().translate(_APART).split())
        said = {"encoder decoder": KINDS[-1], "many to many in step": "in step", "many to many": ""}.get(said, said)
        if said in _OTHERS:
            return checks.wrong(f"Answer {number}: {said} is an addition to a kind. Which of the five is it?")
        if said not in KINDS:
            more = "; of many to many there are two" if not said else ""
            return checks.wrong(f"Answer {number} is to be one of {', '.join(KINDS)}{more}; got {given!r}.")
        if said != right:
            ask = "Is what comes in a sequence, and what goes out?"
            return checks.wrong(f"Answer {number}: {_ADVICE.get((number, said), f'not {said}. {ask}')}")
    return checks.right("Correct. Problem 5 is the one that costs most questions on the net: features are not steps.")


def _listed(answer):
    """An answer in the form of a list where it is a dictionary or an array."""
    if isinstance(answer, dict):
        return list(answer.values())
    return answer.tolist() if isinstance(answer, np.ndarray) else answer


# Shapes

_SHAPES = ((32, 5), (32, 20, 5), (32, 20, 2), (32, 20, 10), (32, 7, 5))
_MISREAD = {
    (1, (32, 20, 5)): "Without return_sequences the layer gives its last state alone.",
    (1, (32, 20)): "There are 5 units, so 5 numbers come out; 20 is the number of steps.",
    (1, (32, 3)): "3 features go in; what comes out is a number for each unit.",
    (1, (32, 3, 5)): "Features are replaced by units, not joined by them, and only the last state comes out.",
    (2, (32, 20, 3, 5)): "The 3 features are gone: at each step a number for each unit comes out.",
    (2, (32, 5)): "return_sequences=True gives the state of every step.",
    (2, (32, 5, 20)): "Steps come before units: (batch, steps, units).",
    (2, (32, 20, 3)): "3 features go in; at each step a number for each unit comes out.",
    (3, (32, 2)): "Dense works on the last axis and leaves the others as they are, steps too.",
    (3, (32, 40)): "Dense puts nothing side by side: each step keeps its place.",
    (3, (32, 20, 3, 2)): "Dense replaces the last axis, which is units by then; it adds none.",
    (3, (32, 20, 5, 2)): "Dense replaces the last axis; it adds none.",
    (
        4,
        (32, 20, 5),
    ): "Two layers of 5 units read it, one from each end: their states are put side by side.",
    (
        4,
        (32, 40, 5),
    ): "The two directions are put side by side at each step, not one after the other.",
    (5, (32, 7)): "RepeatVector gives the whole vector at each of the 7 steps.",
    (4, (32, 10)): "return_sequences=True is set in it: the steps stay.",
    (4, (32, 20, 5, 2)): "No axis is added: the states of both are put side by side in the last one.",
    (4, (2, 32, 20, 5)): "No axis is added: the states of both are put side by side in the last one.",
    (5, (7, 32, 5)): "The batch comes first; the new axis of steps stands behind it.",
    (5, (224, 5)): "The batch stays 32: the vector is repeated as steps, an axis of its own.",
    (5, (32, 20, 35)): "RepeatVector takes what layer 1 gives, without steps, and makes an axis of the 7.",
    (5, (32, 5, 7)): "Steps come before units: (batch, steps, units).",
    (
        5,
        (32, 20, 7, 5),
    ): "RepeatVector takes what layer 1 gives: one vector for each sequence, without steps.",
    (5, (32, 35)): "The vector is repeated as steps: an axis of its own.",
}


@checks.judged(
    hints=[
        "Keras' order is (batch, steps, features). A recurrent layer replaces features by units.",
        "Without return_sequences the axis of steps is gone. Dense and Bidirectional change the last axis alone.",
        "RepeatVector(7) puts an axis of 7 steps between batch and units.",
    ]
)
def shapes(answer):
    """Check five shapes, each a tuple."""
    answer = _listed(answer)
    if not isinstance(answer, (list, tuple)) or len(answer) != 5:
        return checks.wrong(f"A list of five shapes is expected, got {answer!r}.")
    for number, (given, right) in enumerate(zip(answer, _SHAPES, strict=True), 1):
        if isinstance(given, str) or not hasattr(given, "__len__"):
            return checks.wrong(f"Shape {number} is to be a tuple such as (32, 20, 3), got {given!r}.")
        given = tuple(given)
        full = (32, *given[1:]) if given[:1] == (None,) else given
        if full == right:
            continue
        without_batch = {right[1:]} | {wrong[1:] for n, wrong in _MISREAD if n == number and wrong[0] == 32}
        if full[:1] != (32,) and full in without_batch:
            return checks.wrong(f"Shape {number}, {given}: the batch comes first, 32 sequences.")
        added = _MISREAD.get((number, full), "Keras' order is (batch, steps, units); which of them are left?")
        return checks.wrong(f"Shape {number}, {given}: {added}")
    return checks.right("Correct. Keras tells you, too: model.summary().")


# Batches for a stateful layer

_STREAMS = ((24, 2, 3), (50, 3, 4), (30, 1, 5))  # length, rows, steps


@checks.judged(
    hints=[
        "Cut the stream into `rows` long pieces first; row r of every batch comes from piece r.",
        "batches = len(stream) // (rows * steps); what is left over at the end is dropped.",
        "pieces = stream[: batches * rows * steps].reshape(rows, batches, steps); then the first two axes change "
        "places.",
    ]
)
def in_order(attempt):
    """Check a function that cuts a stream into batches of which every row goes on where it ended."""
    if not callable(attempt):
        return checks.wrong(f"A function is expected, got {attempt!r}.")
    for length, rows, steps in _STREAMS:
        case = f"For a stream 0 … {length - 1} of {length} values, rows = {rows}, steps = {steps}:"
        found = checks.call(attempt, np.arange(length), rows, steps)
        if isinstance(found, checks.Raised):
            return checks.wrong(f"{case} your function {_came(found)}")
        if found is None:
            return checks.wrong("Your function returns nothing: is a `return` missing?")
        fault = _fault(checks.numbers(found), length, rows, steps)
        if fault:
            return checks.wrong(f"{case} {fault}")
    return checks.right("Correct: every row goes on, in the next batch, where it ended.")


def _fault(found, length, rows, steps):
    """Return what is wrong with the batches cut from 0 … length − 1, or None."""
    batches = length // (rows * steps)
    if found is None:
        return "an array of the stream's values is expected."
    if found.shape == (batches, rows, steps, 1):
        return "there is one axis too many: (batches, rows, steps) is asked for, features come later."
    if found.shape != (batches, rows, steps):
        swapped = found.ndim == 3 and found.shape == (rows, batches, steps) and batches != rows
        if swapped:
            return (
                "the shape is (rows, batches, steps): the batches come first, as Keras is given one after the other."
            )
        if found.ndim == 3 and found.shape == (batches, steps, rows) and steps != rows:
            return "the shape is (batches, steps, rows): within a batch the rows come first."
        return f"the shape is {found.shape}, expected is ({batches}, {rows}, {steps}): {batches} batches fit."
    if not np.isin(found, np.arange(length)).all():
        return "there are values in it that are not in the stream."
    inside = np.diff(found, axis=2) != 1
    if inside.any():
        batch, row, _ = np.argwhere(inside)[0]
        values = ", ".join(f"{v:g}" for v in found[batch, row])
        return f"row {row} of batch {batch} holds {values}: within a row the values are to follow each other."
    across = found[1:, :, 0] - found[:-1, :, -1]
    if (across != 1).any():
        batch, row = np.argwhere(across != 1)[0]
        end, begin = found[batch, row, -1], found[batch + 1, row, 0]
        usual = ""
        if rows > 1 and found[batch, 1, 0] == found[batch, 0, -1] + 1:
            usual = " Here the stream goes on in the next row of the same batch, which has another state."
        if begin < end and found[batch, row, 0] == begin + steps:
            usual = " The batches are in the wrong order: time runs backwards."
        return (
            f"row {row} of batch {batch} ends with {end:g}, and row {row} of batch {batch + 1} begins with {begin:g}: "
            f"the state that is carried belongs before {end + 1:g}.{usual}"
        )
    if len(np.unique(found)) < found.size:
        return "a value stands in two rows: the rows are to be different pieces of the stream."
    return None


# What the decoder reads in training


def _answers():
    """Answers as numbers, of different lengths, padded with 0 behind, no two neighbours alike; and the number for start."""
    one = np.array([[5, 3, 4, 1, 0, 0], [2, 6, 2, 5, 7, 1], [7, 1, 0, 0, 0, 0]])
    two = np.array([[3, 8, 3, 2], [6, 2, 0, 0]])
    return [(one, 1), (two, 9)]


def _behind(y, start):
    """Start in front of every row, nothing cut off."""
    return np.pad(y, ((0, 0), (1, 0)), constant_values=start)


@checks.function(
    _answers,
    mistakes=[
        (
            lambda y, start: y,
            "This is what the decoder is to say. If it reads that at the same step, it learns to copy its input, and in "
            "use there is nothing to copy.",
        ),
        (
            lambda y, start: np.pad(y[:, 1:], ((0, 0), (0, 1)), constant_values=start),
            "This is moved the wrong way: at each step the decoder would read the letter after, which it has yet to say.",
        ),
        (
            lambda y, start: y[:, 1:],
            "Here the first letters are cut off. The decoder reads start, then each answer but the last.",
        ),
        (
            _behind,
            "There is one step too many: the last answer is the input of nothing.",
        ),
        (
            lambda y, start: y[:, :-1],
            "The start is missing in front: at its first step the decoder would read its first answer.",
        ),
        (
            lambda y, start: np.roll(y, 1, axis=1),
            "At the first step stands the last answer, which roll has carried round. Start belongs there.",
        ),
        (
            lambda y, start: np.roll(y, 1),
            "roll without an axis moves letters from one row into the next, and start is missing. The steps are axis 1.",
        ),
        (
            lambda y, start: _behind(y, 0)[:, :-1],
            "The first input is 0, which is padding; it is to be `start`.",
        ),
        (
            lambda y, start: np.full_like(y, start),
            "Start belongs to the first step alone. At the others the decoder reads the answer before.",
        ),
        (
            lambda y, start: np.hstack([np.full_like(y[:, :1], start), y[:, 1:]]),
            "Start has taken the place of the first answer; nothing has moved. The decoder never reads its first answer, "
            "and from step 2 on it reads what it is to say.",
        ),
        (
            lambda y, start: y[:, ::-1],
            "The answers are turned round. Only moved by one step are they asked for.",
        ),
        (
            lambda y, start: _behind(y[:, ::-1], start)[:, :-1],
            "Start stands where it should, but the answers are turned round: y is what the decoder is to say already.",
        ),
        (
            lambda y, start: np.pad(y, ((0, 0), (2, 0)), constant_values=start)[:, :-2],
            "This is moved by two steps; the letter before is one step back.",
        ),
        (
            lambda y, start: np.insert(y, 0, start),
            "Without an axis insert makes one long row of all. The steps are axis 1.",
        ),
        (
            lambda y, start: np.vstack([np.full_like(y[:1], start), y[:-1]]),
            "This moves along the batch: each row would hold another string. The steps are axis 1.",
        ),
        (
            lambda y, start: np.concatenate([[start], y]),
            "One number does not fit in front of an array (B, T): make it a column (B, 1), and join along axis 1.",
        ),
        (
            lambda y, start: np.concatenate([np.full((len(y), 1), start), y]),
            "Joined along the batch, which does not fit: the steps are axis 1.",
        ),
    ],
    hints=[
        "At step 1 nothing has been said yet: the decoder reads `start`. At step 2 it reads the answer of step 1.",
        "So everything moves one step to the right; what falls out at the end is the last answer.",
        "np.pad(y, ((0, 0), (1, 0)), constant_values=start) puts start in front of each row; then cut off one step.",
    ],
    praise="Correct: each answer is the next input, and none is read before it is to be said.",
)
def decoder_inputs(y, start):
    return _behind(y, start)[:, :-1]


# The mask

_SIZES = {"D": 3, "units": 4, "classes": 5}


@checks.judged(
    hints=[
        "A mask is made by a layer of its own, which stands before the recurrent layer.",
        "keras.layers.Masking() marks the steps at which every feature is 0.",
        "Input((T, D)), Masking(), SimpleRNN(units), Dense(classes), in a keras.Sequential.",
    ]
)
def reads_padded(attempt):
    """Check a function that builds a model to which padding behind makes no difference."""
    if not callable(attempt):
        return checks.wrong(f"A function that returns a model is expected, got {attempt!r}.")
    import keras

    short, long = 6, 10
    models = []
    for T in (short, long):
        model = checks.call(attempt, T, *_SIZES.values(), seconds=60)
        if isinstance(model, checks.Raised):
            return checks.wrong(f"Your function {_came(model)}")
        if model is None:
            return checks.wrong("Your function returns nothing: is a `return` missing?")
        if not isinstance(model, keras.Model):
            return checks.wrong(f"A keras.Model is expected, got a {type(model).__name__}.")
        recurrent = [layer.cell for layer in model._flatten_layers() if isinstance(layer, keras.layers.RNN)]
        units = [getattr(cell, "units", None) for outer in recurrent for cell in getattr(outer, "cells", [outer])]
        if not units:
            return checks.wrong("There is no recurrent layer in the model.")
        if _SIZES["units"] not in units:
            return checks.wrong(
                f"With units = {_SIZES['units']} no recurrent layer has {_SIZES['units']}, but {units[0]}."
            )
        models.append(model)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(4, short, _SIZES["D"])).astype("float32")
    padded = np.pad(x, ((0, 0), (0, long - short), (0, 0)))
    plain, fault = _answer(models[0], x)
    if fault:
        return checks.wrong(fault)
    weights = [w.shape for w in models[0].trainable_weights]
    behind, fault = _answer(models[1], padded)
    if fault:
        return checks.wrong(fault)
    if weights != [w.shape for w in models[1].trainable_weights]:
        return checks.wrong(
            "With T the number of weights changes: the model looks at steps by their place. Use an RNN."
        )
    drawn = [rng.normal(0, 0.5, shape) for shape in weights]  # biases too, which start at 0
    for model in models:
        for weight, values in zip(model.trainable_weights, drawn, strict=True):
            weight.assign(values)
    plain, behind = _answer(models[0], x)[0], _answer(models[1], padded)[0]
    for step in range(short):
        moved = x.copy()
        moved[:, step] += rng.normal(size=_SIZES["D"])  # not one number for all: a normalisation would take it off
        if np.allclose(_answer(models[0], moved)[0], plain, atol=1e-6):
            return checks.wrong(f"Step {step + 1} of {short} is no padding, and changes nothing in the answer.")
    if not np.allclose(plain, behind, atol=1e-5):
        change = np.abs(plain - behind).max()
        added = _where_the_mask_is(models[1])
        return checks.wrong(f"{long - short} steps of zeros behind change the answer by up to {change:.2f}. {added}")
    return checks.right("Correct: padding behind changes nothing, whatever the weights.")


def _came(raised):
    """What came of a function instead of a result, in one line."""
    (said, *_), name = str(raised.error).splitlines() or [""], type(raised.error).__name__.strip("_")
    return said if name == "Late" else f"raised {name}: {said}"


def _answer(model, x):
    """What a model says to x, or what is wrong with that."""
    found = checks.call(lambda: np.asarray(model(x)), seconds=60)
    if isinstance(found, checks.Raised):
        return None, f"The model {_came(found)}"
    if found.shape != (len(x), _SIZES["classes"]):
        steps = " Has return_sequences been left on?" if found.ndim == 3 else ""
        expected = len(x), _SIZES["classes"]
        return None, f"To {x.shape} the model says {found.shape}, expected is {expected}.{steps}"
    return found, None


def _where_the_mask_is(model):
    """Say why a model does not mask its padding."""
    from keras import layers

    masking = [n for n, layer in enumerate(model.layers) if isinstance(layer, layers.Masking)]
    recurrent = [n for n, layer in enumerate(model.layers) if isinstance(layer, (layers.RNN, layers.Bidirectional))]
    if not masking:
        return "No layer makes a mask."
    if model.layers[masking[0]].mask_value != 0:
        return f"Masking looks for steps of {model.layers[masking[0]].mask_value:g}; the padding is 0."
    if recurrent and masking[0] > recurrent[0]:
        return "Masking stands behind the recurrent layer, which has read the padding by then."
    return "Something between makes the padding other than 0, or loses the mask: put Masking() first."


# The leak


def _windows(values, window):
    cut = np.lib.stride_tricks.sliding_window_view(np.asarray(values, float), window + 1)
    return cut[:, :-1], cut[:, -1]


def _prepared(series, window, split, ddof):
    """The four arrays, and the other right answer for the test part: windows that begin before the split."""
    mean, std = series[:split].mean(), series[:split].std(ddof=ddof)
    scaled = (series - mean) / std
    return (*_windows(scaled[:split], window), *_windows(scaled[split:], window)), _windows(
        scaled[split - window :], window
    )


@checks.judged(
    hints=[
        "What may the network know before the test begins? Only series[:split], its mean and its spread included.",
        "Split first; then mean and std of the training part; scale both parts with these; then cut windows, each part "
        "by itself.",
        "windows(values, window) is there: x_train, y_train = windows((series[:split] - mean) / std, window).",
    ]
)
def prepare(attempt):
    """Check a function that prepares a series without telling the training part about the test part."""
    if not callable(attempt):
        return checks.wrong(f"A function is expected, got {attempt!r}.")
    rng, window, split = np.random.default_rng(0), 4, 30
    series = 5 + np.cumsum(rng.normal(size=45))
    other = np.concatenate([series[:split], series[split:] * 2 + 7])  # another future
    answers = []
    for values in (series, other):
        found = checks.call(attempt, values.copy(), window, split)
        if isinstance(found, checks.Raised):
            return checks.wrong(f"Your function {_came(found)}")
        if found is None:
            return checks.wrong("Your function returns nothing: is a `return` missing?")
        if not isinstance(found, (tuple, list)) or len(found) != 4:
            return checks.wrong("Four results are expected: x_train, y_train, x_test, y_test.")
        parts = [checks.numbers(part) for part in found]
        if any(part is None for part in parts):
            return checks.wrong("All four results are to be arrays of numbers.")
        answers.append([part[..., 0] if part.ndim == 3 and part.shape[-1] == 1 else part for part in parts])
    # the standard deviation with n or with n - 1: both are in use
    faults = [_flaw(*answers, series, window, split, ddof) for ddof in (0, 1)]
    if all(faults):
        return checks.wrong(faults[0])
    return checks.right("Correct: another future leaves the training part as it is.")


def _flaw(found, with_other, series, window, split, ddof):
    """Return what is wrong with the four arrays, or None."""
    (x_train, y_train, x_test, y_test), reaching_back = _prepared(series, window, split, ddof)
    x, y, x_new, y_new = found
    if y.ndim == 2 and y.shape[1] == window and x_new.shape == (len(x), 1):
        return "The order is x_train, y_train, x_test, y_test: a window's target comes behind it."
    y, y_new = y.reshape(-1), y_new.reshape(-1)
    if x.ndim != 2 or x.shape[1] != window or len(x) != len(y):
        return f"x_train is to have {window} values a row, and y_train one value a row; the shapes are {x.shape}, {y.shape}."
    other = [part.reshape(len(part), -1) for part in with_other[:2]]
    if other[0].shape != x.shape or not np.allclose(_sorted(np.c_[x, y]), _sorted(np.column_stack(other))):
        where = "Another future, series[split:] changed, changes the training arrays: it has leaked into them."
        whole = (series - series.mean()) / series.std()
        if x.shape == x_train.shape and np.allclose(
            _sorted(x), _sorted(_windows(whole[:split], window)[0]), atol=1e-4
        ):
            return f"{where} Mean and std are those of the whole series."
        if len(x) > len(x_train):
            return f"{where} There are {len(x)} training windows; only {len(x_train)} end before the split."
        return f"{where} Are mean and std taken after the split, and is the series split before windows are cut or shuffled?"
    if np.allclose(y, x[:, -1]):
        return "y_train stands in x_train already, as the last value of each window: the target is the one after it."
    if x.shape != x_train.shape:
        return f"There are {len(x)} training windows; {len(x_train)} fit into the first {split} values."
    if np.allclose(_sorted(x), _sorted(_windows(series[:split], window)[0]), atol=1e-4):
        return "Nothing is scaled."
    both, wanted = (np.column_stack(pair) for pair in ((x, y), (x_train, y_train)))
    if not np.allclose(_sorted(both), _sorted(wanted), rtol=1e-4, atol=1e-4):
        low, span = series[:split].min(), np.ptp(series[:split])
        if np.allclose(_sorted(x), _sorted((_windows(series[:split], window)[0] - low) / span)):
            return "This scales by least and largest value; mean and std of the training part are asked for."
        if np.allclose(_sorted(x), _sorted(x_train)):
            if np.allclose(np.sort(y), np.sort(series[window:split])):
                return "y_train is not scaled: the target is to be in the units of its window."
            return "The windows are right, their targets are not: does a shuffle move x and y alike?"
        mean, std = series[:split].mean(), series[:split].std()
        others = {
            "Only the mean is taken off: divide by the standard deviation, too.": (mean, 1),
            "This divides by the variance; the standard deviation is its root.": (mean, std**2),
            "The mean is not taken off.": (0, std),
        }
        for said, (less, over) in others.items():
            if np.allclose(_sorted(x), _sorted(_windows((series[:split] - less) / over, window)[0])):
                return said
        return "The training windows are not those of the first values, less their mean, over their std."
    for name, (a, b) in {
        "from the split": (x_test, y_test),
        "reaching back": reaching_back,
    }.items():
        if x_new.shape == a.shape and np.allclose(x_new, a, atol=1e-4) and np.allclose(y_new, b, atol=1e-4):
            return None
        own = series[split:].mean(), series[split:].std()
        back = a * series[:split].std() + series[:split].mean()
        if name == "from the split" and x_new.shape == a.shape and np.allclose(x_new * own[1] + own[0], back):
            return (
                "The test part is scaled with its own mean and std, which nobody knows before it is over, and which "
                "are other units than the network was trained in."
            )
    raw = _windows(series[split:], window)[0]
    if x_new.shape == raw.shape and np.allclose(x_new, raw):
        return "The test part is not scaled: the network would see other units than in training."
    return "Training is right. The test part is to be the windows after the split, scaled with the same two numbers."


def _sorted(rows):
    rows = np.asarray(rows)
    return rows[np.lexsort(rows.T)] if rows.ndim == 2 else np.sort(rows)
