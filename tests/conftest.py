import course.classroom  # noqa: F401  (quiets TensorFlow, as in a lesson)
import matplotlib

matplotlib.use("Agg")


def pytest_collection_modifyitems(items):
    """Begin with the longest file: at the end, one of two processes would be at it alone."""
    items.sort(key=lambda item: "tuning" not in item.nodeid)
