"""Two maps that the attribution is compared with, Grad-CAM and integrated gradients: they explain one class, after training."""

import keras
import numpy as np
from keras import ops

from palcore import Tensor
from palcore.attribution import compiled, value_and_gradient
from palcore.splitting import split_at


def class_score(logits: Tensor, classes: np.ndarray) -> Tensor:
    """The sum, a float32 scalar, over the faces of each face's logit of its class, from ``(N, classes)`` and ``(N,)``."""
    chosen = ops.one_hot(classes, logits.shape[-1])
    return ops.sum(ops.cast(logits, "float32") * chosen)


def _check(images, classes):
    if len(images) != len(classes):
        raise ValueError(f"{len(images)} images and {len(classes)} classes: give one class for each image")


def grad_cam(classifier: keras.Model, images: np.ndarray, classes: np.ndarray, layer: str | None = None) -> Tensor:
    """Grad-CAM: the channels weighted by their mean gradient, summed, its negative part cut off (:eq:`grad-cam`).

    Selvaraju et al., ICCV 2017, arXiv 1610.02391.

    :param classifier: and ``layer``: see ``palcore.splitting.split_at``.
    :param images: ``(N, H, W, 3)``, values 0 to 255; ``classes``: ``(N,)`` the class to explain for each.
    :return: ``(N, h, w)`` float32, not negative.
    :raises ValueError: where there is no such layer, or the numbers of images and classes differ.
    """
    _check(images, classes)
    image, features, head = split_at(classifier, layer)
    values = ops.cast(keras.Model(image, features)(images), "float32")
    _, gradient = value_and_gradient(lambda values: class_score(head(values), classes), values)
    weights = ops.mean(gradient, axis=(1, 2), keepdims=True)
    return ops.relu(ops.sum(weights * values, axis=-1))


def integrated_gradients(
    classifier: keras.Model,
    images: np.ndarray,
    classes: np.ndarray,
    baseline: float | np.ndarray = 0.0,
    steps: int = 64,
    together: int | None = None,
) -> np.ndarray:
    """Integrated gradients: the pixels' gradient averaged on the way from a baseline, times the way.

    See :eq:`integrated-gradients`; the integral is taken by the midpoint rule, up to whose error the attributions of an image sum
    to the class's logit at the image minus that at the baseline. Sundararajan, Taly and Yan, ICML 2017, arXiv 1703.01365.

    :param classifier: see ``palcore.splitting.split_at``.
    :param images: ``(N, H, W, 3)``, values 0 to 255; ``classes``: ``(N,)`` the class to explain for each.
    :param baseline: an image of nothing, anything that broadcasts to the images; black by default.
    :param steps: points at which the gradient is taken.
    :param together: images at a time, which bounds the memory; None for all.
    :return: ``(N, H, W, 3)`` float32, of either sign.
    :raises ValueError: where ``steps`` is below 1, or the numbers of images and classes differ.
    """
    _check(images, classes)
    if steps < 1:
        raise ValueError(f"steps {steps!r} of integrated gradients: it must be at least 1")
    image, features, head = split_at(classifier)
    logits = keras.Model(image, head(features))

    def score_gradient(trainable, state, points, classes):
        # The weights are arguments: as constants they would be compiled in.
        def score(points):
            return class_score(logits.stateless_call(trainable, state, points, training=False)[0], classes)

        return value_and_gradient(score, points)[1]

    gradient = compiled(score_gradient)
    weights = [[variable.value for variable in kind] for kind in (logits.trainable_variables, logits.non_trainable_variables)]
    images, classes = np.asarray(images, np.float32), np.asarray(classes)
    way = images - np.asarray(baseline, np.float32)
    total = np.zeros_like(images)
    together = min(together or len(images), len(images))
    for start in range(0, len(images), together):
        # The last ones begin again with the first, so that every gradient is of the same shape and compiled once.
        chosen = np.arange(start, start + together) % len(images)
        for part in (np.arange(steps, dtype=np.float32) + 0.5) / steps:
            points = images[chosen] - (1 - part) * way[chosen]
            gradients = ops.convert_to_numpy(gradient(*weights, points, classes[chosen]))
            total[start : start + together] += gradients[: len(images) - start]
    return way * total / steps
