"""The instrument: gradient norms per weight and per time step of any Keras RNN, in plain `fit` or at once."""

from course.gradients.callbacks import GradientFlow, GradientNorms
from course.gradients.gates import saturation
from course.gradients.inputs import input_norms
from course.gradients.jacobian import state_jacobian
from course.gradients.time_steps import time_step_norms

__all__ = ["GradientFlow", "GradientNorms", "input_norms", "saturation", "state_jacobian", "time_step_norms"]
