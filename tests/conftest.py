import course.classroom  # noqa: F401  (quiets TensorFlow, as in a lesson)
import matplotlib

matplotlib.use("Agg")
