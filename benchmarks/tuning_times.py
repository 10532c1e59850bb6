"""The time of one search with one worker and with two, and the memory of its processes over the trials."""

from pathlib import Path
import tempfile
import time

from course import sequences
import course.classroom  # noqa: F401  (quiets TensorFlow)
from course.experiments import Processes
from course.tuning import RandomSearch
import keras
import psutil

from benchmarks.tables import show

TRIALS = 24


def build(hp):
    """Return a classifier of digits read row by row."""
    model = keras.Sequential([keras.Input((8, 8)), keras.layers.GRU(hp.Int("units", 8, 64, sampling="log"))])
    model.add(keras.layers.Dropout(hp.Float("dropout", 0.0, 0.6)))
    model.add(keras.layers.Dense(10))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, metrics=["accuracy"], jit_compile=True)
    return model


class Watch(keras.callbacks.Callback):
    """Writes to a file when a training began and ended, and the memory of its process then."""

    def __init__(self, path):
        super().__init__()
        self.path = path

    def on_train_begin(self, logs=None):
        self.begun = time.time()

    def on_train_end(self, logs=None):
        process = psutil.Process()
        with open(self.path, "a") as file:
            file.write(f"{process.pid} {process.memory_info().rss / 2**20:.0f} {self.begun} {time.time()}\n")


def count(number):
    """Do nothing but count."""
    while number:
        number -= 1


def counted(workers, number=30_000_000):
    """Return the seconds that so many workers take to count so far in all: what the machine itself gives."""
    executor = Processes(workers)
    list(executor.map(count, [1] * workers))  # started
    begun = time.perf_counter()
    list(executor.map(count, [2 * number // workers] * workers))
    return time.perf_counter() - begun


def searched(workers, folder):
    """Return the seconds of a search, those from the first training's begin to the last's end, and [(pid, MB), …]."""
    data, path = sequences.digits("row", train=96, validation=100, test=350), str(Path(folder) / f"{workers}.txt")
    tuner = RandomSearch(
        build,
        objective="val_accuracy",
        max_trials=TRIALS,
        seed=0,
        directory=folder,
        project_name=str(workers),
        executor=Processes(workers),
    )
    begun = time.perf_counter()
    tuner.search(
        data.x_train,
        data.y_train,
        validation_data=(data.x_validation, data.y_validation),
        batch_size=16,
        epochs=30,
        callbacks=[Watch(path)],
        verbose=0,
    )
    seconds = time.perf_counter() - begun
    rows = [line.split() for line in Path(path).read_text().splitlines()]
    from_first_to_last = max(float(row[3]) for row in rows) - min(float(row[2]) for row in rows)
    return seconds, from_first_to_last, [(row[0], float(row[1])) for row in rows]


def main():
    """Print both tables."""
    with tempfile.TemporaryDirectory() as folder:
        one, two = ((*searched(workers, folder), counted(workers)) for workers in (1, 2))
    rows = [
        {"seconds": name, "one worker": one[k], "two workers": two[k], "ratio": one[k] / two[k]}
        for k, name in ((0, "from start to end"), (1, "from first to last trial"), (3, "counting, nothing else"))
    ]
    show(f"A search of {TRIALS} trials: what two workers save", rows)
    rows = [{"trials done": k + 1, "process": pid, "MB": mb} for k, (pid, mb) in enumerate(one[2]) if k % 4 == 3]
    show("The process of the search with one worker", rows)


if __name__ == "__main__":
    main()
