"""The Privileged Attribution Loss and its rivals: attend where the landmarks are.

Each is a Keras loss with the landmarks as target and a map of :class:`~palcore.attribution.AttributionHead` as prediction, so that
they differ in nothing but how the two are compared. All of them cost 0, with a gradient of 0, for a face without landmarks and for
a map that is dead, and none of them returns NaN for landmarks that can be fractions; others are refused.
"""

import math
from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from palcore import Tensor
from palcore.heatmaps import SIGMA, _check_sigma, _check_weights, gaussian_heatmap
from palcore.landmarks import MIDDLE, SPAN, face_extents, landmark_fault, median_face

FLAT, TINY = 1e-5, 1e-25
"""A map is flat when its standard deviation is below this share of its largest value (rounding of a constant map in float32 gives
about 1e-7), and dead when that is below ``TINY``."""

SAMPLES = 48  # points along the image side, at least, on which "near a landmark" is decided
FEW = 8  # faces with landmarks, at least, in a batch of which the middle and the span are judged: fewer may all be odd
UPRIGHT = 0.8  # share of such a batch in which x and y were exchanged, or y counts upwards, where a network would be told nonsense
LARGEST = 1e12  # an attribution beyond this is taken for this, so that its square stays a number in float32


def _columns(maps):
    """``(N, h, w)`` or ``(N, h, w, C)`` as ``(N, cells, C)`` float32."""
    channels = maps.shape[3] if len(maps.shape) == 4 else 1
    return ops.reshape(ops.cast(maps, "float32"), (-1, maps.shape[1] * maps.shape[2], channels))


def _rescale(maps):
    """``(N, cells, C)`` with each column divided by its largest absolute value; a dead or non-finite column becomes 0.

    Standardising undoes any scale, so the divisor may be held constant, and nothing overflows or underflows after it.
    """
    maps = ops.where(ops.isfinite(maps), maps, 0.0)
    largest = ops.stop_gradient(ops.max(ops.abs(maps), axis=1, keepdims=True))
    alive = largest > TINY
    return ops.where(alive, maps / ops.where(alive, largest, 1.0), 0.0)


def _standardise(maps):
    """``(N, cells, C)`` with mean 0 and deviation 1 over the cells; flat maps become 0, with a gradient of 0."""
    maps = _rescale(maps)
    centred = maps - ops.mean(maps, axis=1, keepdims=True)
    variance = ops.mean(ops.square(centred), axis=1, keepdims=True)
    varied = variance > FLAT**2
    # Guarded inside the root too: the gradient of sqrt at 0 is infinite, and `where` would pass infinity times 0 back.
    deviation = ops.sqrt(ops.where(varied, variance, 1.0))
    return ops.where(varied, centred / deviation, 0.0)


def attribution_correlation(attribution: Tensor, heatmap: Tensor, scaled: bool = True) -> Tensor:
    """Correlation of attribution maps with heatmaps, per face (:eq:`correlation`; PAL, :eq:`pal`, is minus this).

    :param attribution: ``(N, h, w)``, or ``(N, h, w, C)`` to correlate each channel and average the results.
    :param heatmap: ``(N, h, w)``.
    :param scaled: True divides by the heatmap's deviation and the number of cells: Pearson's correlation, in [-1, 1]
        whatever the resolution. False is the source's form, the sum over cells of the standardised attribution times the
        heatmap.
    :return: ``(N,)`` float32. A flat or dead map gives 0, with a gradient of 0; a channel that is dead counts as 0.
    :raises ValueError: where the maps' heights and widths differ.
    """
    if tuple(attribution.shape[1:3]) != tuple(heatmap.shape[1:3]):
        raise ValueError(
            f"attribution of {tuple(attribution.shape[1:3])} cells and heatmap of {tuple(heatmap.shape[1:3])}: "
            "draw the heatmap at the attribution's resolution"
        )
    heatmap = _columns(heatmap)
    products = _standardise(_columns(attribution)) * (_standardise(heatmap) if scaled else heatmap)
    return ops.mean(ops.mean(products, axis=1) if scaled else ops.sum(products, axis=1), axis=-1)


def landmark_neighbourhood(
    landmarks: Tensor, size: tuple[int, int], radius: float = 2 * SIGMA, weights: Sequence[float] | None = None
) -> Tensor:
    """Share of each of ``(h, w)`` cells' area that lies within ``radius``, in image sides, of a landmark: ``(N, h, w)``
    float32 in [0, 1], ``palcore.evaluation.near_landmarks`` in the graph.

    :param landmarks: ``(N, 68, 2)`` fractions; those that are not finite are left out, and those whose ``weights`` ``(68,)`` are 0.
    """
    height, width = size
    landmarks = ops.cast(ops.convert_to_tensor(landmarks), "float32")
    counted = ops.all(ops.isfinite(landmarks), axis=-1, keepdims=True)
    if weights is not None:
        counted = ops.logical_and(counted, ops.cast(weights, "float32")[:, None] > 0)
    landmarks = ops.where(counted, landmarks, 1e3)  # far away
    rows, columns = (cells * math.ceil(SAMPLES / cells) for cells in (height, width))
    x = (ops.arange(columns, dtype="float32") + 0.5) / columns
    y = (ops.arange(rows, dtype="float32") + 0.5) / rows
    across = ops.square(landmarks[..., 0:1] - x)[:, :, None, :]
    down = ops.square(landmarks[..., 1:2] - y)[:, :, :, None]
    near = ops.cast(ops.min(across + down, axis=1) <= radius**2, "float32")
    near = ops.reshape(near, (-1, height, rows // height, width, columns // width))
    return ops.mean(near, axis=(2, 4))


def has_landmarks(landmarks: Tensor) -> Tensor:
    """1 for a face with at least one finite landmark, else 0: ``(N,)`` float32."""
    landmarks = ops.cast(ops.convert_to_tensor(landmarks), "float32")
    return ops.cast(ops.any(ops.all(ops.isfinite(landmarks), axis=-1), axis=-1), "float32")


def _turned(landmarks, xp=np):
    """The share of faces whose chin lies to the right of the brows, or the share in which it lies above them: the larger one."""
    chin = landmarks[:, 8] - xp.mean(landmarks[:, 17:27], axis=1)
    x, y = chin[:, 0], chin[:, 1]
    there = xp.maximum(xp.sum(xp.where(xp.isfinite(x + y), 1.0, 0.0)), 1.0)
    shares = [xp.sum(xp.where(aside > xp.abs(other), 1.0, 0.0)) / there for aside, other in ((x, y), (-y, x))]
    return xp.maximum(*shares)


def _refuse(landmarks):
    """Say what is wrong with the landmarks of a batch."""
    landmarks = np.asarray(landmarks)
    fault = landmark_fault(landmarks) or "they can be no fractions of the picture's sides"
    if landmarks.shape[1] == 68 and _turned(landmarks) >= UPRIGHT:
        fault = "the chin lies beside the brows or above them: x comes first, and y counts down from the picture's upper edge"
    raise ValueError(f"landmarks in the loss of the attribution: {fault}")


def checked_landmarks(landmarks: Tensor, told: bool = True) -> tuple:
    """Refuse a batch of landmarks that cannot be fractions of the image's sides, as ``palcore.landmarks.landmark_fault`` does.

    Pixels would cost exactly 0 for ever and teach nothing; those centred on 0 would teach to look at the upper left corner. Of 68
    points those are refused too whose x and y are exchanged, or whose y counts upwards, unless nobody is to be ``told``.

    :param landmarks: ``(N, 68, 2)``.
    :param told: False for a JAX step that becomes NaN without a sentence: what calls Python is not kept by JAX's compilation cache.
    :return: ``(landmarks, number)``: faces whose landmarks all coincide, as those of faces that were not found do, have NaN; the
        number, to be added to the loss, is 0, or NaN for a batch to be refused, where XLA leaves out what would raise.
    :raises ValueError: at once where the values are known; else the compiled step raises an error of the backend's that says so.
    """
    landmarks = ops.cast(ops.convert_to_tensor(landmarks), "float32")
    if len(landmarks.shape) != 3 or landmarks.shape[-1] not in (2, None):
        raise ValueError(f"landmarks of shape {tuple(landmarks.shape)} in the loss of the attribution: they must be (faces, 68, 2)")
    count, median = median_face(landmarks, ops)
    middle, span = median[:2], median[2]
    pixels = ops.max(ops.abs(middle)) > SPAN[1]
    beside = ops.logical_or(ops.min(middle) < MIDDLE[0], ops.max(middle) > MIDDLE[1])
    odd = ops.logical_or(beside, ops.logical_or(span < SPAN[0], span > SPAN[1]))
    if told and landmarks.shape[1] == 68:
        odd = ops.logical_or(odd, _turned(landmarks, ops) >= UPRIGHT)
    wrong = ops.logical_or(ops.logical_and(count > 0, pixels), ops.logical_and(count >= FEW, odd))
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        if tf.executing_eagerly():
            if wrong:
                _refuse(landmarks)
        else:
            sentence = (
                "landmarks in the loss of the attribution: they can be no fractions of the picture's width and height, from its "
                "upper left corner; middle and span of the median face:"
            )
            with tf.control_dependencies([tf.debugging.Assert(tf.logical_not(wrong), [sentence, median])]):
                landmarks = tf.identity(landmarks)
    elif backend == "jax":
        import jax

        if isinstance(wrong, jax.core.Tracer):
            if told:
                jax.lax.cond(wrong, lambda values: jax.debug.callback(_refuse, values), lambda values: None, landmarks)
        elif wrong:
            _refuse(landmarks)
    _, _, spans = face_extents(landmarks, ops)
    landmarks = ops.where(spans[:, None] > 0, landmarks, float("nan"))
    return landmarks, ops.where(wrong, float("nan"), 0.0)


@keras.saving.register_keras_serializable("palcore")
class SmoothedCrossEntropy(keras.losses.Loss):
    """Cross-entropy of logits with labels of which a share ``s`` in [0, 1) is spread over all classes (Szegedy et al., 2016).

    ``-(1 - s) log p_y - s / C sum_i log p_i``: ``label_smoothing`` of ``CategoricalCrossentropy``, for labels that are numbers.
    """

    def __init__(self, smoothing: float, name: str = "smoothed_cross_entropy", **kwargs):
        super().__init__(name=name, **kwargs)
        self.smoothing = smoothing

    def call(self, y_true, y_pred):
        logs = ops.log_softmax(ops.cast(y_pred, "float32"), axis=-1)
        labels = ops.one_hot(ops.cast(ops.reshape(y_true, (-1,)), "int32"), logs.shape[-1], dtype="float32")
        return -ops.sum(logs * ((1.0 - self.smoothing) * labels + self.smoothing / logs.shape[-1]), axis=-1)

    def get_config(self):
        return {**super().get_config(), "smoothing": self.smoothing}


class _LandmarkLoss(keras.losses.Loss):
    """What PAL and its rivals share: landmarks as target, a map as prediction, the same two options (see PAL)."""

    told = True
    """Whether a compiled step of JAX refuses landmarks in a sentence (``checked_landmarks``); a run's faces were judged before."""

    def __init__(self, sigma=SIGMA, landmark_weights=None, reduction="sum_over_batch_size", name=None, dtype="float32"):
        _check_sigma(sigma)
        if landmark_weights is not None:
            _check_weights(landmark_weights)
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.sigma = sigma
        self.landmark_weights = None if landmark_weights is None else [float(weight) for weight in landmark_weights]

    def __call__(self, y_true, y_pred, sample_weight=None):
        y_true, refused = checked_landmarks(y_true, self.told)
        return super().__call__(y_true, y_pred, sample_weight) + refused

    def _heatmap(self, landmarks, maps):
        return gaussian_heatmap(landmarks, tuple(maps.shape[1:3]), self.sigma, self.landmark_weights)

    def _near(self, landmarks, maps):
        return _columns(landmark_neighbourhood(landmarks, tuple(maps.shape[1:3]), 2 * self.sigma, self.landmark_weights))

    def get_config(self):
        return {**super().get_config(), "sigma": self.sigma, "landmark_weights": self.landmark_weights, "dtype": "float32"}


@keras.saving.register_keras_serializable("palcore")
class PrivilegedAttributionLoss(_LandmarkLoss):
    """PAL: minus the correlation of the attribution with the heatmap of the landmarks, :eq:`pal`.

    The target is the landmarks ``(N, 68, 2)`` as fractions of the image's sides, the prediction is the attribution
    ``(N, h, w)`` or ``(N, h, w, C)``, at whose resolution the heatmap is drawn here. The loss of a face is in [-1, 1] by default.
    Bonnard, Dapogny, Dhombres and Bailly, ICPR 2022, arXiv 2203.12905.

    :param sigma: width of a landmark's Gaussian, as a fraction of the image side.
    :param scaled: see ``attribution_correlation``.
    :param landmark_weights: ``(68,)``, see ``palcore.heatmaps.region_weights``; None for all equal.
    :raises ValueError: for a ``sigma`` that is not positive.
    """

    def __init__(self, sigma: float = SIGMA, scaled: bool = True, landmark_weights: Sequence[float] | None = None, **kwargs):
        super().__init__(sigma, landmark_weights, **kwargs)
        self.scaled = scaled

    def call(self, y_true, y_pred):
        return -attribution_correlation(y_pred, self._heatmap(y_true, y_pred), self.scaled)

    def get_config(self):
        return {**super().get_config(), "scaled": self.scaled}


@keras.saving.register_keras_serializable("palcore")
class EnergyLoss(_LandmarkLoss):
    """Share of the positive attribution that lies outside the neighbourhood of the landmarks, in [0, 1].

    ``1 - sum_ij(a+_ij m_ij) / sum_ij(a+_ij)`` with ``a+ = max(a, 0)`` and ``m`` the share of a cell within ``2 sigma`` of a
    landmark: one minus the energy of the pointing game, after Rao et al. (ICCV 2023, arXiv 2303.11932), there with bounding boxes.
    Maps ``(N, h, w, C)`` are taken channel by channel.
    """

    def call(self, y_true, y_pred):
        positive = ops.relu(_rescale(_columns(y_pred)))
        total = ops.sum(positive, axis=1)
        alive = total > 0
        inside = ops.sum(positive * self._near(y_true, y_pred), axis=1)
        outside = ops.where(alive, 1.0 - inside / ops.where(alive, total, 1.0), 0.0)
        return ops.mean(outside, axis=-1) * has_landmarks(y_true)


@keras.saving.register_keras_serializable("palcore")
class RightReasonsLoss(_LandmarkLoss):
    """Squared attribution outside the neighbourhood of the landmarks, at least 0, without an upper bound.

    ``sum_ij a_ij^2 (1 - m_ij)`` with ``m`` as for :class:`EnergyLoss`; maps ``(N, h, w, C)`` are summed over channels. After Ross
    et al. (IJCAI 2017, arXiv 1703.03717). Small attributions everywhere lower it too: its weight has to be found for each network.
    """

    def call(self, y_true, y_pred):
        maps = _columns(y_pred)
        maps = ops.where(ops.isfinite(maps), ops.clip(maps, -LARGEST, LARGEST), 0.0)
        outside = ops.square(maps) * (1.0 - self._near(y_true, y_pred))
        return ops.sum(outside, axis=(1, 2)) * has_landmarks(y_true)


@keras.saving.register_keras_serializable("palcore")
class CosineLoss(_LandmarkLoss):
    """One minus the cosine of the map and the heatmap of the landmarks, in [0, 2].

    ``1 - sum_ij(f_ij h_ij) / (|f| |h|)``. On features averaged over their channels (the map ``"features"`` of
    :func:`~palcore.attribution.attribution_map`) it asks them to be active where the landmarks are: what PAL would be without its
    gradient and without subtracting means. Maps ``(N, h, w, C)`` are taken channel by channel.
    """

    def call(self, y_true, y_pred):
        maps, heatmap = _rescale(_columns(y_pred)), _rescale(_columns(self._heatmap(y_true, y_pred)))
        squares = ops.sum(ops.square(maps), axis=1) * ops.sum(ops.square(heatmap), axis=1)
        alive = squares > 0
        # Guarded inside the root too: its gradient at 0 is infinite.
        cosine = ops.sum(maps * heatmap, axis=1) / ops.sqrt(ops.where(alive, squares, 1.0))
        return ops.mean(ops.where(alive, 1.0 - cosine, 0.0), axis=-1)


LOSSES = {
    "pal": (PrivilegedAttributionLoss, None),
    "energy": (EnergyLoss, None),
    "rrr": (RightReasonsLoss, None),
    "cosine": (CosineLoss, "features"),
}
"""PAL and its rivals by name: the loss, and the map that it is a loss of (None: the attribution that the run asks for)."""
