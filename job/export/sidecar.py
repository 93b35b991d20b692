"""export.json: what somebody has to know who has the files and nothing else."""
from __future__ import annotations

import collections
import json
import os
import platform
import time
from typing import Any, Dict, List, Mapping, Optional, Sequence

import numpy as np

from job.config.settings import Config
from job.inputs.fetch_trained import Network
from job.printable import printable
from masf_core.export.choices import CKPT, ONNX, PB, RAW, SAVED_MODEL
from obs_sync.local.files import digest_of

NAME = "export.json"
FORMAT = 1
CHIPS = ("Ascend310", "Ascend910A")
NAMES_OF_CHIPS = "npu-smi info names the chip; releases of CANN before 5.1 call the second one Ascend910"
MODEL_FILES = {PB: "model.pb", ONNX: "model.onnx"}
TITLES = {PB: "frozen graph", SAVED_MODEL: "SavedModel", CKPT: "checkpoint of TensorFlow's Saver", ONNX: "ONNX model"}


def document(kind: str, classes: Sequence[str], tensors: Mapping[str, Any], preprocessing: Mapping[str, Any],
             config: Config, network: Network, check: Mapping[str, Any], files: Mapping[str, Any],
             versions: Mapping[str, str]) -> Dict[str, Any]:
    """The JSON document.

    Args:
        kind: format. classes: names in the classifier's order. tensors: what ``formats.write`` returned. check: the
            comparison with the evaluator. files: see ``digests``.
    """
    tensors = dict(tensors)
    images, outputs = tensors.pop("images"), {name: tensors.pop(name) for name in ("logits", "probabilities")}
    return collections.OrderedDict([
        ("format", FORMAT), ("kind", kind), ("input", images), ("outputs", outputs), ("classes", list(classes)),
        ("preprocessing", preprocessing)] + sorted(tensors.items()) + [
        ("network", {"backbone": config.network.backbone, "width": config.network.width, "classes": len(classes)}),
        ("run", run_of(network)), ("check", check), ("files", files),
        ("atc", atc_lines(kind, preprocessing["input"], images["shape"])),
        ("atc_note", atc_note(kind, preprocessing["input"])), ("versions", versions),
        ("made", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))])


def run_of(network: Network) -> Dict[str, Any]:
    """Where the weights are from, and how good the run found them."""
    trained = network.trained
    record = trained.record or {}
    return collections.OrderedDict([
        ("told", trained.file.told), ("folder", trained.file.run), ("checkpoint", trained.file.checkpoint),
        ("iteration", trained.iteration), ("source", network.source), ("sha256", network.sha256),
        ("target_domain", record.get("target_domain")), ("target_accuracy", record.get("target_accuracy")),
        ("validation_accuracy", record.get("validation_accuracy")),
        ("data_fingerprint", trained.data.get("fingerprint"))])


def digests(folder: str, names: Sequence[str]) -> Dict[str, Dict[str, Any]]:
    """Name → size in bytes and SHA-256 of the files."""
    return collections.OrderedDict(
        (name, {"bytes": os.path.getsize(os.path.join(folder, name)),
                "sha256": digest_of(os.path.join(folder, name), "sha256")}) for name in names)


def atc_lines(kind: str, given: str, shape: Sequence[Optional[int]]) -> Dict[str, str]:
    """Chip → the command that compiles the file for it, for one image at a time; empty where atc cannot read it."""
    if kind not in MODEL_FILES or (kind == ONNX and given == RAW):
        return {}
    sizes = ",".join(["1"] + [str(size) for size in shape[1:]])
    framework, layout, outputs = (3, "NHWC", "out:0;probabilities:0") if kind == PB else (5, "ND", "")
    return collections.OrderedDict(
        (chip, f"atc --framework={framework} --model={MODEL_FILES[kind]} --output=masf_{chip.lower()} "
               f'--soc_version={chip} --input_format={layout} --input_shape="input:{sizes}"'
               + (f' --out_nodes="{outputs}"' if outputs else "") + " --log=error") for chip in CHIPS)


def atc_note(kind: str, given: str) -> str:
    """What to know about these commands, or why there are none."""
    if kind == ONNX and given == RAW:
        return "atc takes ONNX models with float inputs only; export with --input=preprocessed, or with --format=pb"
    if kind not in MODEL_FILES:
        return "atc reads frozen graphs and ONNX models; export with --format=pb"
    return NAMES_OF_CHIPS


def versions(tensorflow: str, loader: str) -> Dict[str, str]:
    """What made the export, and what ran it for the comparison."""
    return {"python": platform.python_version(), "tensorflow": tensorflow, "numpy": np.__version__,
            "compared_with": loader}


def text(out: str, told: Mapping[str, Any]) -> List[str]:
    """Lines for people about the document ``told``."""
    size = sum(each["bytes"] for each in told["files"].values()) / 1e6
    check, images = told["check"], told["input"]
    shape = ", ".join("N" if each is None else str(each) for each in images["shape"])
    lines = [f"{printable(out)}: {TITLES[told['kind']]}, {size:.1f} MB, of {printable(told['run']['told'])}",
             f"  input: {images['tensor']}, {images['dtype']} [{shape}]"]
    lines += [f"    - {step}" for step in told["preprocessing"]["caller"]]
    lines += [f"  outputs: {each['tensor']} ({name})" for name, each in told["outputs"].items()]
    lines.append(f"  classes: {', '.join(map(printable, told['classes']))}")
    lines.append(f"  compared with the evaluator on {check['images']} {printable(check['source'])}: largest difference "
                 f"{check['largest_logit_difference']:.1e} of logits up to {check['largest_logit']:.3g}, "
                 f"{check['largest_probability_difference']:.1e} of probabilities; same class for "
                 f"{check['same_class']} of {check['images']}")
    lines += [f"  {chip}: {line}" for chip, line in told["atc"].items()]
    if told["atc_note"]:
        lines.append(f"  {'note' if told['atc'] else 'Ascend'}: {told['atc_note']}")
    return lines


def to_text(told: Mapping[str, Any]) -> str:
    """The content of the file."""
    return json.dumps(told, indent=1) + "\n"
