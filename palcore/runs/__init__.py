"""A run, read top down: options -> faces -> model -> fit -> evaluation -> record."""

OF_ATTRIBUTION = ("loss", "pal_weight", "pal_share", "jaw", "landmark_source", "landmark_jitter")
"""Options without a meaning where the strategy is ``none``, whose loss has no attribution; here, where nothing is imported, so that
the grid of runs reads them too. ``attribution``, ``layer`` and ``sigma`` still say what is measured."""
