"""An independent scorer: the DAVIS-2017 semi-supervised definition, written down as plainly as it can be.

It works the way the reference implementation (github.com/davisvideochallenge/davis2017-evaluation) does: one process,
every mask of a sequence decoded into a stack of float64, objects told apart on the stack, contours of whole frames,
void pixels (none in this task) left out of every step. The tests compare figures with it, ``scripts/bench.py``
compares times.
"""

from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from skimage.morphology import disk

VOID = 255


def contour_of(mask):
    """Bool H x W -> bool H x W: differs from the east, south or south-east neighbour."""
    east, south, south_east = np.zeros_like(mask), np.zeros_like(mask), np.zeros_like(mask)
    east[:, :-1] = mask[:, 1:]
    south[:-1] = mask[1:]
    south_east[:-1, :-1] = mask[1:, 1:]
    contour = (mask != east) | (mask != south) | (mask != south_east)
    contour[-1] = mask[-1] != east[-1]
    contour[:, -1] = mask[:, -1] != south[:, -1]
    contour[-1, -1] = False
    return contour


def j_of(prediction, truth, void=None):
    """Bool ... x H x W (a mask or a stack of them) -> float64 ...: intersection over union."""
    known = ~(np.zeros_like(truth) if void is None else void)
    both = np.sum(prediction & truth & known, axis=(-2, -1))
    either = np.sum((prediction | truth) & known, axis=(-2, -1))
    return np.where(either == 0, 1.0, both / np.maximum(either, 1))


def f_of(prediction, truth, void=None):
    """Bool H x W -> F-measure of the two contours."""
    known = ~(np.zeros_like(truth) if void is None else void)
    element = disk(int(np.ceil(0.008 * np.linalg.norm(truth.shape)))).astype(np.uint8)
    predicted, true = contour_of(prediction & known), contour_of(truth & known)
    near_predicted = cv2.dilate(predicted.astype(np.uint8), element)
    near_true = cv2.dilate(true.astype(np.uint8), element)
    found, hit = np.sum(true * near_predicted), np.sum(predicted * near_true)
    n_predicted, n_true = np.sum(predicted), np.sum(true)
    if n_predicted == 0 and n_true == 0:
        return 1.0
    if n_predicted == 0 or n_true == 0:
        return 0.0
    precision, recall = hit / float(n_predicted), found / float(n_true)
    return 0.0 if precision + recall == 0 else 2 * precision * recall / (precision + recall)


def statistics_of(values):
    """Mean, recall, decay."""
    index = (np.round(np.linspace(1, len(values), 5) + 1e-10) - 1).astype(int)
    quarters = [values[index[i] : index[i + 1] + 1] for i in range(4)]
    return np.nanmean(values), np.nanmean(values > 0.5), np.nanmean(quarters[0]) - np.nanmean(quarters[3])


def _stack(paths, year):
    first = np.array(Image.open(paths[0]))
    labels = np.zeros((len(paths), *first.shape))
    for i, path in enumerate(paths):
        labels[i] = np.array(Image.open(path))
    if year == 2016:
        labels[labels > 0] = 1
    else:
        labels[labels == VOID] = 0
    return labels


def _objects(labels, count):
    ids = np.ones((count, *labels.shape)) * np.arange(1, count + 1)[:, None, None, None]
    return ids == labels[None]


def score(results, annotations, sequences, year=2017):
    """{(sequence, object id): (statistics of J, statistics of F)}."""
    scores = {}
    for sequence in sequences:
        paths = sorted((Path(annotations) / sequence).glob("*.png"))
        labels = _stack(paths, year)
        count = int(labels[0].max())
        truth = _objects(labels, count)[:, 1:-1]
        prediction = _objects(_stack([Path(results) / sequence / path.name for path in paths[1:-1]], year), count)
        for i in range(count):
            j = j_of(prediction[i], truth[i])
            f = np.array([f_of(*pair) for pair in zip(prediction[i], truth[i], strict=True)])
            scores[sequence, i + 1] = statistics_of(j), statistics_of(f)
    return scores
