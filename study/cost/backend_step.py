"""Some steps of ``compact`` on the backend that KERAS_BACKEND names, from weights that NumPy drew, then one step a line of input.

KERAS_BACKEND=jax python -m study.cost.backend_step PIXELS FACES
"""

import sys

import keras

from study.cost.models import classifier_with_weights, compiled, fixed_batch, targets
from study.cost.timing import serve

STEPS = 4
RATE = 1e-5
"""Adam turns the rounding of a small gradient into a whole step: at 1e-4 the fourth losses of two backends lie 3e-3 apart."""


def compilations():
    """A function that tells how often JAX has traced or compiled something so far; 0 on TensorFlow, where nobody counts."""
    if keras.backend.backend() != "jax":
        return lambda: 0
    import jax

    seen = []
    jax.monitoring.register_event_duration_secs_listener(lambda name, *_, **__: "compile" in name and seen.append(name))
    return lambda: len(seen)


def main(size, count):
    batch = fixed_batch(size, count)
    model = compiled(classifier_with_weights("compact", size), rate=RATE)
    goal, seen, losses = targets(batch), compilations(), []
    for number in range(STEPS):
        losses.append(float(model.train_on_batch(batch[0], goal, return_dict=True)["loss"]))
        if number == 1:
            before = seen()
    facts = {"losses": losses, "compiled": before, "compiled_again": seen() - before}
    serve(lambda: model.train_on_batch(batch[0], goal), facts)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
