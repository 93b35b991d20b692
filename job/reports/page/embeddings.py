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
TSNE_INPUTS = 50  # principal components that t-SNE begins from
LEAST = 10  # images below which nothing is drawn


class Sample(NamedTuple):
    """Images whose features are shown. features: float32 [N, F]. domains: N names. labels: int [N]."""

    features: np.ndarray
    domains: Sequence[str]
    labels: np.ndarray


def plans(sample: Sample, classes: Sequence[str], wanted: Callable[[], bool] = lambda: True) -> List[Plan]:
    """The figures.

    Args:
        classes: names in label order. wanted: asked before t-SNE, which takes some seconds for 500 images.
    """
    if len(sample.features) < LEAST or not np.isfinite(sample.features).all():
        return []
    scores, shares = principal_components(sample.features, TSNE_INPUTS)
    told = f"{len(sample.features)} images"
    found = _pair("pca", scores[:, :2], sample, classes, f"PCA of the features of {told}; the two components hold "
                  f"{100 * shares[:2].sum():.0f} % of the variance")
    placed = tsne(scores) if wanted() else None
    if placed is not None:
        found += _pair("tsne", placed, sample, classes, f"t-SNE of the features of {told}")
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


def _pair(name: str, places: np.ndarray, sample: Sample, classes: Sequence[str], told: str) -> List[Plan]:
    domains = colours_of_domains(sample.domains)
    members = np.array(sample.domains, dtype=object)
    by_domain = [(each, colour, members == each) for each, colour in domains.items()]
    by_class = [(each, colour, sample.labels == number)
                for number, (each, colour) in enumerate(zip(classes, colours_of_classes(classes)))]
    return [Plan(f"{name}_domains", f"{told}. Coloured by domain.", _scatter(places, by_domain), (SIZE[0], 4.2)),
            Plan(f"{name}_classes", f"{told}. Coloured by class.", _scatter(places, by_class), (SIZE[0], 4.2))]


def _scatter(places: np.ndarray, groups: Sequence[Tuple[str, str, np.ndarray]]) -> Draw:
    def draw(axes: Any) -> None:
        for name, colour, rows in groups:
            if rows.any():
                axes.plot(places[rows, 0], places[rows, 1], "o", markersize=3.5, color=colour, alpha=0.7,
                          markeredgewidth=0, label=label(name))
        axes.set_xticks([])
        axes.set_yticks([])
        axes.grid(visible=False)
        if len(groups) <= MOST_NAMES:
            axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.02), ncol=3, markerscale=1.8, handletextpad=0.2)

    return draw
