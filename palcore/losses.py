"""The Privileged Attribution Loss: attend where the landmarks are."""

import keras
from keras import ops

from palcore.heatmaps import SIGMA, _check_sigma, gaussian_heatmap

# A map is flat when its standard deviation is below this share of its largest value: float32 rounding of a constant map
# gives about 1e-7. A map whose largest value is below TINY is dead.
FLAT = 1e-5
TINY = 1e-25


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


def attribution_correlation(attribution, heatmap, scaled=True):
    """Correlation of attribution maps with heatmaps, per face (:eq:`correlation`; PAL, :eq:`pal`, is minus this).

    :param attribution: ``(N, h, w)``, or ``(N, h, w, C)`` to correlate each channel and average the results.
    :param heatmap: ``(N, h, w)``.
    :param scaled: True divides by the heatmap's deviation and the number of cells: Pearson's correlation, in [-1, 1]
        whatever the resolution. False is the source's form, the sum over cells of the standardised attribution times the
        heatmap.
    :return: ``(N,)`` float32. A flat or dead map gives 0, with a gradient of 0; a channel that is dead counts as 0.
    :raises ValueError: where the maps' heights and widths differ.
    """
    attribution = ops.cast(attribution, "float32")
    heatmap = ops.cast(heatmap, "float32")
    if tuple(attribution.shape[1:3]) != tuple(heatmap.shape[1:3]):
        raise ValueError(
            f"attribution of {tuple(attribution.shape[1:3])} cells and heatmap of {tuple(heatmap.shape[1:3])}: "
            "draw the heatmap at the attribution's resolution"
        )
    cells = attribution.shape[1] * attribution.shape[2]
    channels = attribution.shape[3] if len(attribution.shape) == 4 else 1
    attribution = _standardise(ops.reshape(attribution, (-1, cells, channels)))
    heatmap = ops.reshape(heatmap, (-1, cells, 1))
    products = attribution * (_standardise(heatmap) if scaled else heatmap)
    return ops.mean(ops.mean(products, axis=1) if scaled else ops.sum(products, axis=1), axis=-1)


@keras.saving.register_keras_serializable("palcore")
class PrivilegedAttributionLoss(keras.losses.Loss):
    """PAL: minus the correlation of the attribution with the heatmap of the landmarks, :eq:`pal`.

    The target is the landmarks ``(N, 68, 2)`` as fractions of the image's sides, the prediction is the attribution
    ``(N, h, w)`` or ``(N, h, w, C)``. The heatmap is drawn here, at the attribution's resolution. The loss of a face is in
    [-1, 1] by default; it is 0, with a gradient of 0, where either map is flat, dead or not finite, and for a face without
    landmarks (all NaN).

    Bonnard, Dapogny, Dhombres and Bailly, ICPR 2022, arXiv 2203.12905.

    :param sigma: width of a landmark's Gaussian, as a fraction of the image side.
    :param scaled: see ``attribution_correlation``.
    :param landmark_weights: ``(68,)``, see ``palcore.heatmaps.region_weights``; None for all equal.
    :raises ValueError: for a ``sigma`` that is not positive.
    """

    def __init__(
        self,
        sigma=SIGMA,
        scaled=True,
        landmark_weights=None,
        reduction="sum_over_batch_size",
        name="privileged_attribution_loss",
        dtype="float32",
    ):
        _check_sigma(sigma)
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.sigma = sigma
        self.scaled = scaled
        self.landmark_weights = None if landmark_weights is None else [float(weight) for weight in landmark_weights]

    def call(self, y_true, y_pred):
        heatmap = gaussian_heatmap(y_true, tuple(y_pred.shape[1:3]), self.sigma, self.landmark_weights)
        return -attribution_correlation(y_pred, heatmap, self.scaled)

    def get_config(self):
        return {
            **super().get_config(),
            "sigma": self.sigma,
            "scaled": self.scaled,
            "landmark_weights": self.landmark_weights,
            "dtype": "float32",
        }
