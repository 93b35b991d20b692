"""Features of images in two dimensions, coloured by domain and by class.

By PCA, and by t-SNE where scikit-learn is installed.
"""
from __future__ import annotations

import logging
from typing import Any, Callable, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from job.printable import printable
from job.reports.page.colours import colours_of_classes, colours_of_domains
from job.reports.page.plotting import SIZE, Draw, Plan, label

log = logging.getLogger(__name__)

MOST_NAMES = 12  # classes in a legend
MOST_COMPONENTS = 50  # principal components, from which t-SNE begins
DIGITS = 4  # of a coordinate
LEAST = 10  # images below which nothing is drawn


class Sample(NamedTuple):
    """Images whose features are shown. features: float32 [N, F]. domains: N names. labels: int [N]."""

    features: np.ndarray
    domains: Sequence[str]
    labels: np.ndarray


class Places(NamedTuple):
    """Where these images are among each other.

    scores: float64 [N, K], K ≥ 2, coordinates along the principal components. variance: the share of the variance that
    the first two hold. domains: N names. labels: int [N].
    """

    scores: np.ndarray
    variance: float
    domains: Sequence[str]
    labels: np.ndarray


def places_of(sample: Sample) -> Optional[Places]:
    """The places of the images; None if they are too few, or if a feature is not finite."""
    if len(sample.features) < LEAST or not np.isfinite(sample.features).all():
        return None
    scores, shares = principal_components(sample.features, MOST_COMPONENTS)
    # Rounded here, so that a report is the same whether its places come from a file or not.
    rounded = [[float(f"{each:.{DIGITS}g}") for each in row] for row in scores]
    return Places(np.array(rounded), round(float(shares[:2].sum()), DIGITS), sample.domains, sample.labels)


def plans(places: Places, classes: Sequence[str], wanted: Callable[[], bool] = lambda: True) -> List[Plan]:
    """The figures.

    Args:
        classes: names in label order. wanted: asked before t-SNE, which takes some seconds for 500 images.
    """
    told = f"{len(places.scores)} images"
    found = _pair("pca", places.scores[:, :2], places, classes, f"PCA of the features of {told}; the two components "
                  f"hold {100 * places.variance:.0f} % of the variance")
    placed = tsne(places.scores) if wanted() else None
    if placed is not None:
        found += _pair("tsne", placed, places, classes, f"t-SNE of the features of {told}")
    return found


def principal_components(features: np.ndarray, most: int) -> Tuple[np.ndarray, np.ndarray]:
    """Coordinates along the directions of the largest variance, the largest first.

    The sign of each direction is fixed: its largest coordinate is positive.

    Args:
        features: float [N, F], N ≥ 2. most: directions.

    Returns:
        (coordinates float64 [N, K], share of the variance float64 [K]), K ≥ 2, of which unused ones are zero
    """
    centred = np.asarray(features, np.float64) - np.mean(features, axis=0, dtype=np.float64)
    values, vectors = np.linalg.eigh(centred @ centred.T)  # N is smaller than F
    order = np.argsort(values)[::-1][:max(2, min(most, len(values)))]
    values = np.maximum(values[order], 0.0)
    scores = vectors[:, order] * np.sqrt(values)
    signs = np.sign(scores[np.argmax(np.abs(scores), axis=0), np.arange(scores.shape[1])])
    total = float((centred ** 2).sum()) or 1.0
    return scores * np.where(signs == 0.0, 1.0, signs), values / total


def tsne(scores: np.ndarray) -> Optional[np.ndarray]:
    """t-SNE of float [N, K], float [N, 2]; None where scikit-learn is not installed or fails."""
    try:
        from sklearn.manifold import TSNE

        return TSNE(n_components=2, init="pca", random_state=0, perplexity=min(30.0, (len(scores) - 1) / 3.0)
                    ).fit_transform(scores)
    except ImportError:
        return None
    except Exception as error:  # of another version of scikit-learn
        log.warning("t-SNE is left out (%s: %s)", type(error).__name__, printable(str(error)))
        return None


def _pair(name: str, spots: np.ndarray, places: Places, classes: Sequence[str], told: str) -> List[Plan]:
    """Figures by domain and by class. spots: float [N, 2]."""
    domains = colours_of_domains(places.domains)
    members = np.array(places.domains, dtype=object)
    by_domain = [(each, colour, members == each) for each, colour in domains.items()]
    by_class = [(each, colour, places.labels == number)
                for number, (each, colour) in enumerate(zip(classes, colours_of_classes(classes)))]
    return [Plan(f"{name}_domains", f"{told}. Coloured by domain.", _scatter(spots, by_domain), (SIZE[0], 4.2)),
            Plan(f"{name}_classes", f"{told}. Coloured by class.", _scatter(spots, by_class), (SIZE[0], 4.2))]


def _scatter(spots: np.ndarray, groups: Sequence[Tuple[str, str, np.ndarray]]) -> Draw:
    def draw(axes: Any) -> None:
        for name, colour, rows in groups:
            if rows.any():
                axes.plot(spots[rows, 0], spots[rows, 1], "o", markersize=3.5, color=colour, alpha=0.7,
                          markeredgewidth=0, label=label(name))
        axes.set_xticks([])
        axes.set_yticks([])
        axes.grid(visible=False)
        if len(groups) <= MOST_NAMES:
            axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.02), ncol=3, markerscale=1.8, handletextpad=0.2)

    return draw
