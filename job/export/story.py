"""Export a trained network: write it, run it with its own loader, compare it with the evaluator, deliver it.

The comparison computes in float32 on the processor, whatever the device of the run was. It brings TensorFlow.
"""
from __future__ import annotations

import collections
import logging
import os
from typing import Any, Dict, Mapping, NamedTuple, Tuple

import numpy as np

from job.config.settings import Config
from job.console import Console
from job.export.delivery import deliver, files_in, on_disk, staged
from job.export.samples import Samples
from job.export.sidecar import NAME, digests, document, to_text, versions
from job.inputs.fetch_trained import Network
from job.inputs.trained import OpenAt
from job.preparation import evaluation_model
from job.workspace import Workspace
from masf_core.devices.cpu import Cpu
from masf_core.errors import ParityError
from masf_core.export.comparison import Difference, compare
from masf_core.export.formats import Export, write
from masf_core.export.graph import fed, preprocessing
from masf_core.export.loading import loader, run
from masf_core.network.backbone import Backbone, make_backbone
from masf_core.records.files import replace_text
from masf_core.tf1 import VERSION

log = logging.getLogger(__name__)


class Request(NamedTuple):
    """What to export.

    classes: names in the classifier's order. values: of the network's variables. metric: of the metric network, empty
    where it is not known. kind, given: see ``masf_core.export.choices``. out: the folder to make, a path or a URL.
    """

    network: Network
    config: Config
    classes: Tuple[str, ...]
    values: Mapping[str, np.ndarray]
    metric: Mapping[str, np.ndarray]
    kind: str
    given: str
    out: str


def export_network(request: Request, samples: Samples, workspace: Workspace, console: Console,
                   open_at: OpenAt) -> Dict[str, Any]:
    """Export. Nothing appears at ``out`` unless everything went well.

    Args:
        open_at: opens a store as a context manager.

    Returns:
        The content of the sidecar.

    Raises:
        ExportError: the converter fails. ParityError: the export does not compute what the network computes.
        StoreError: storage.
    """
    config, kind, given = request.config, request.kind, request.given
    backbone = make_backbone(config.network.backbone, len(request.classes), config.network.width)
    with staged(request.out, workspace) as folder:
        iteration = request.network.trained.iteration or 0
        with on_disk("written", request.out, workspace):
            tensors = write(Export(backbone, request.values, request.metric, given, iteration), kind, folder)
        console.check_stop()
        difference = _difference(request, backbone, samples, folder)
        console.check_stop()
        told = document(kind, request.classes, tensors, preprocessing(backbone, given), config, request.network,
                        _check(difference, samples, loader(kind)), digests(folder, files_in(folder)),
                        versions(VERSION, loader(kind)))
        with on_disk("written", request.out, workspace):
            replace_text(os.path.join(folder, NAME), to_text(told))
        deliver(folder, request.out, console, open_at)
    return told


def _difference(request: Request, backbone: Backbone, samples: Samples, folder: str) -> Difference:
    """Between the export in ``folder`` and the evaluator. Raises ParityError where it is too large."""
    platform = request.config.platform
    here = Cpu("float32", platform.intra_op_threads, platform.inter_op_threads)
    with evaluation_model(request.config, here, len(request.classes), request.values) as model:
        expected = model.logits(samples.pixels)
    logits, probabilities = run(request.kind, folder, fed(backbone, samples.pixels, request.given))
    difference = compare(logits, probabilities, expected)
    if not difference.acceptable:
        raise ParityError(
            f"the export does not compute what the network computes: on {difference.images} {samples.source} its "
            f"logits differ by up to {difference.logits:.3g} of {difference.largest:.3g}, its probabilities by up to "
            f"{difference.probabilities:.3g}, run with {loader(request.kind)}. Nothing was written. This is a fault of "
            "the converter or of this program; try another --format, and report it")
    return difference


def _check(difference: Difference, samples: Samples, by: str) -> Dict[str, Any]:
    return collections.OrderedDict([
        ("images", difference.images), ("source", samples.source), ("run_with", by),
        ("largest_logit", difference.largest), ("largest_logit_difference", difference.logits),
        ("largest_probability_difference", difference.probabilities), ("same_class", difference.same_class)])
