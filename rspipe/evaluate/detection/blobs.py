# SPDX-License-Identifier: Apache-2.0
"""The floor of detection: boxes of one size where colours look right. No encoder, no shapes.

Of each class the median box of the training objects is kept, and a logistic regression that tells
the places of its objects from other places by colour and brightness alone: mean and spread of
every band within a square of the box's size, in the ring around it, and how the two differ. In an
image it is asked everywhere, and its best places, not too close to each other, become boxes of
that one size. A detector that does not beat it has learned nothing of what objects look like.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, UInt8
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

Rgb = UInt8[np.ndarray, "H W 3"]

OTHER_PLACES = 300
"""Of each training image that stand for the background of a class, drawn evenly."""
STEPS_PER_SIDE = 6
"""Places that are asked, along the side of a box."""


@dataclass(frozen=True)
class Example:
    """A training image and the places of its objects."""

    image: Rgb
    centres: Float[np.ndarray, "n 2"]
    """x, y."""
    labels: Int[np.ndarray, " n"]


class Surroundings:
    """Colours around any place of an image, from sums over rectangles."""

    def __init__(self, image: Rgb) -> None:
        values = image.astype(np.float64) / 255
        both = np.concatenate([values, values**2], axis=2)
        self.sums = np.pad(both.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0), (0, 0)))
        self.size_px = image.shape[:2]

    def describe(
        self, centres: Float[np.ndarray, "n 2"], side_px: float
    ) -> Float[np.ndarray, "n 15"]:
        """Describe places x, y by a square of a side around them and the ring as wide again."""
        inner, area = self._sums(centres, side_px)
        outer, whole = self._sums(centres, 2 * side_px)
        means, spreads = _moments(inner, area)
        around, roughness = _moments(outer - inner, np.maximum(whole - area, 1))
        return np.concatenate([means, around, spreads, roughness, np.abs(means - around)], axis=1)

    def _sums(
        self, centres: Float[np.ndarray, "n 2"], side_px: float
    ) -> tuple[Float[np.ndarray, "n 6"], Float[np.ndarray, "n 1"]]:
        """Sums within squares, as far as they lie in the image, and their areas."""
        limits = np.array(self.size_px[::-1])
        first = np.clip(np.rint(centres - side_px / 2), 0, limits - 1).astype(np.int64)
        end = np.clip(np.rint(centres + side_px / 2), first + 1, limits).astype(np.int64)
        (x0, y0), (x1, y1) = first.T, end.T
        total = self.sums[y1, x1] - self.sums[y0, x1] - self.sums[y1, x0] + self.sums[y0, x0]
        return total, np.prod(end - first, axis=1, keepdims=True).astype(np.float64)


def _moments(
    sums: Float[np.ndarray, "n 6"], area: Float[np.ndarray, "n 1"]
) -> tuple[Float[np.ndarray, "n 3"], Float[np.ndarray, "n 3"]]:
    mean, square = np.split(sums / area, 2, axis=1)
    return mean, np.sqrt(np.maximum(square - mean**2, 0))


class BlobFinder:
    """One box and one regression per class; classes without training objects are never found."""

    def __init__(self, examples: Iterable[Example], sides_px: dict[int, float], seed: int) -> None:
        """Fit the regressions.

        Args:
            examples: training images.
            sides_px: of the square that a class's places are described by; its keys are the
                classes.
            seed: of the places that stand for the background.
        """
        self.sides_px = sides_px
        rows: dict[int, list[np.ndarray]] = {label: [] for label in sides_px}
        there: dict[int, list[np.ndarray]] = {label: [] for label in sides_px}
        for number, example in enumerate(examples):
            surroundings = Surroundings(example.image)
            rng = np.random.default_rng((seed, number))
            limits = np.array(surroundings.size_px[::-1])
            for label, side_px in sides_px.items():
                mine = example.centres[example.labels == label]
                others = rng.uniform(0, limits, (OTHER_PLACES, 2))
                others = others[_distance(others, mine) > side_px / 2]
                places = np.concatenate([mine, others])
                rows[label].append(surroundings.describe(places, side_px))
                there[label].append(np.arange(len(places)) < len(mine))
        self.models = {
            label: _regression(np.concatenate(rows[label]), np.concatenate(there[label]))
            for label in sides_px
        }

    def places(
        self, image: Rgb, label: int
    ) -> tuple[Float[np.ndarray, "n 2"], Float[np.ndarray, " n"]]:
        """Return places x, y all over an image and how likely an object of a class is there."""
        side_px = self.sides_px[label]
        surroundings = Surroundings(image)
        step = max(side_px / STEPS_PER_SIDE, 1.0)
        y, x = (np.arange(step / 2, length, step) for length in surroundings.size_px)
        places = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
        scores = self.models[label].predict_proba(surroundings.describe(places, side_px))[:, 1]
        return places, scores


def _distance(
    places: Float[np.ndarray, "n 2"], centres: Float[np.ndarray, "m 2"]
) -> Float[np.ndarray, " n"]:
    """Return the larger of the distances in x and y to the nearest centre; none: infinity."""
    apart = np.abs(places[:, None] - centres).max(axis=2)
    nearest: Float[np.ndarray, " n"] = apart.min(axis=1, initial=np.inf)
    return nearest


def _regression(rows: Float[np.ndarray, "n 15"], there: np.ndarray) -> Pipeline:
    model = make_pipeline(
        StandardScaler(), LogisticRegression(class_weight="balanced", max_iter=1000)
    )
    return model.fit(rows, there)
