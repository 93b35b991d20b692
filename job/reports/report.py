"""report.html: one self-contained page about a run, and its figures as files of their own."""
from __future__ import annotations

import os
from typing import Any, Callable, Dict, Iterator, Mapping, NamedTuple, Optional, Sequence, Tuple

from job.config.loading import to_dict, yaml_of
from job.config.settings import Config
from job.printable import as_html
from job.reports.image_part import NO_IMAGES, ImagePart
from job.reports.page import embeddings
from job.reports.page.colours import colours_of_domains
from job.reports.page.curves import Reference, plans
from job.reports.page.document import document, heading, paragraph, tiles
from job.reports.page.facts import attempt_facts, data_facts, version_facts
from job.reports.page.measures import class_table, confusion_table, interval_table
from job.reports.page.mistakes import mistakes_html
from job.reports.page.plotting import Drawn, draw_all
from job.reports.table.published import PAPER, deviations, domain_of, method_of, published_rows
from masf_core.records import selection
from masf_core.records.files import replace_text

NAME = "report.html"


class Report(NamedTuple):
    """A page and its figures. page: text of report.html. files: name → text of each file beside it."""

    page: str
    files: Dict[str, str]

    def write(self, folder: str) -> None:
        """Write all files to a local folder, each whole or not at all. Raises OSError."""
        for name, content in self.files.items():
            replace_text(os.path.join(folder, name), content)
        replace_text(os.path.join(folder, NAME), self.page)


def make_report(run: Mapping[str, Any], history: Sequence[Mapping[str, Any]], classes: Sequence[str],
                part: ImagePart = NO_IMAGES, wanted: Callable[[], bool] = lambda: True) -> Report:
    """The report of a run.

    Args:
        run: content of run.json. history: records of the intervals. classes: names in label order.
        part: of the images and the best network. wanted: see ``page.plotting.draw_all``.
    """
    if not history:
        return Report(_page(run, ["<p>No interval has been completed yet.</p>"], history), {})
    best = selection.best(_settings(run).get("selection", "source_val"), history)
    reference, _ = published_value(run, history[0]["target_domain"])
    features = embeddings.plans(part.places, classes, wanted) if part.places is not None else []
    drawn = draw_all(plans(history, best, classes, reference) + features, wanted)
    parts = list(_results(run, history, best, classes, drawn))
    parts += _of_images(part, drawn.html(*(each.name for each in features)), history[0]["target_domain"])
    parts += interval_table(history, best)
    return Report(_page(run, parts, history), {f"{each.name}.svg": each.file_text for each in drawn.figures})


def _of_images(part: ImagePart, features: str, target: str) -> Iterator[str]:
    """Mistakes, features and notes. features: HTML of the figures."""
    if part.shots:
        yield heading(f"Worst mistakes on {target}")
        yield mistakes_html(part.shots, (
            f"The {len(part.shots)} wrong predictions with the highest loss among the {part.evaluated:,} images that "
            f"were evaluated at iteration {part.iteration}; in brackets, the probability that the network gave to the "
            "true class."))
    if features:
        yield heading("Features of the best network")
        yield features
    for note in part.notes:
        yield paragraph(note, "muted")


def as_finished(run: Mapping[str, Any], ended: str, iteration: int) -> Dict[str, Any]:
    """The content of run.json as it will be once the run is done: its report is made shortly before.

    Args:
        ended: a time. iteration: the last one.
    """
    attempts = list(run["attempts"])
    attempts[-1] = dict(attempts[-1], ended=ended, outcome="done", exit_code=0, to_iteration=iteration)
    return dict(run, state="done", attempts=attempts)


def published_value(run: Mapping[str, Any], target: str) -> Tuple[Optional[Reference], str]:
    """What the paper reports for the method of this run on this target, and in which respects the run differs.

    Returns:
        (value or None, words)
    """
    settings = _settings(run)
    for row in published_rows([target], [settings.get("backbone")]):
        accuracy = row.accuracies.get(domain_of(target))
        if row.source is PAPER and row.name == method_of(settings) and accuracy is not None:
            images = (run.get("data") or {}).get("images", {})
            return Reference(accuracy[0], f"{row.name} in the paper"), "; ".join(deviations(settings, images))
    return None, ""


def _page(run: Mapping[str, Any], results: Sequence[str], history: Sequence[Mapping[str, Any]]) -> str:
    parts = list(results)
    parts += attempt_facts(run, history)
    parts += data_facts(run.get("data") or {})
    parts += version_facts(run)
    parts.append(heading("Configuration"))
    parts.append(paragraph("As a YAML file that --config accepts. One click selects all of it.", "muted"))
    parts.append("<pre>" + "\n".join(map(as_html, yaml_of(_in_usual_order(run["config"])).splitlines())) + "</pre>")
    return document(f"MASF: {run['run_name']}", parts)


def _in_usual_order(groups: Mapping[str, Mapping[str, Any]]) -> Dict[str, Dict[str, Any]]:
    """The settings in the order of docs/settings.md, and unknown ones after them: run.json has them by alphabet."""
    usual = to_dict(Config())

    def ordered(found: Mapping[str, Any], known: Mapping[str, Any]) -> Dict[str, Any]:
        names = [name for name in known if name in found] + [name for name in found if name not in known]
        return {name: found[name] for name in names}

    return {group: ordered(leaves, usual.get(group, {})) for group, leaves in ordered(groups, usual).items()}


def _results(run: Mapping[str, Any], history: Sequence[Mapping[str, Any]], best: Mapping[str, Any],
             classes: Sequence[str], drawn: Drawn) -> Iterator[str]:
    """The chosen accuracy, the curves, and what became of each class."""
    settings = _settings(run)
    target, last = history[0]["target_domain"], history[-1]["iteration"]
    yield (f"<p><b>{best['target_accuracy']:.2f} %</b> on {as_html(target)} at iteration "
           f"{best['iteration']} of {last}, chosen by <code>{as_html(settings.get('selection', 'source_val'))}</code> "
           f"(mean validation accuracy of the sources {best['validation_accuracy']:.2f} %).</p>")
    yield tiles(_numbers(run, history, best))
    yield from_paper(run, target)
    if drawn.told:
        yield paragraph(drawn.told, "muted")
    curves = drawn.html("accuracy", "losses", "meta_losses")
    if curves:
        yield heading("Accuracy and losses")
        yield curves
    if "target_per_class" not in best or "target_confusion" not in best:
        return
    yield heading(f"{target} by class, iteration {best['iteration']}")
    figure = drawn.html("classes")
    colour = None if figure else colours_of_domains([target, *best.get("validation", {})])[target]
    numbers = class_table(classes, best["target_per_class"], best["target_confusion"], colour)
    yield f'<div class="figures">{figure}{numbers}</div>'
    yield heading("Confusion")
    yield paragraph("Images of the target by true class (rows) and predicted class (columns).", "muted")
    yield confusion_table(best["target_confusion"], classes, "metrics.jsonl holds the whole matrix.")


def from_paper(run: Mapping[str, Any], target: str) -> str:
    """A paragraph: how far the run can be compared with the paper; empty where the paper has no such value."""
    reference, differing = published_value(run, target)
    if reference is None:
        return ""
    told = f" This run is not directly comparable: {differing}." if differing else ""
    return paragraph(f"Published value of {reference.told}: {reference.value:.2f} % on this target "
                     f"({PAPER.told}).{told}", "muted")


def _numbers(run: Mapping[str, Any], history: Sequence[Mapping[str, Any]],
             best: Mapping[str, Any]) -> Iterator[Tuple[str, str]]:
    """(number, words) of the boxes at the top."""
    target = history[0]["target_domain"]
    yield f"{best['target_accuracy']:.2f} %", f"on {target}, the target"
    yield f"{best['validation_accuracy']:.2f} %", "mean validation accuracy of the sources"
    yield f"{best['iteration']:,} of {history[-1]['iteration']:,}", "chosen iteration"
    seconds = best.get("seconds_per_iteration")
    if seconds:
        yield f"{seconds:.3f} s", "for an iteration"
    yield str(run.get("state", "")), "state of the run"


def _settings(run: Mapping[str, Any]) -> Dict[str, Any]:
    """Setting → value, whatever group it is in. run: content of run.json."""
    return {name: value for group in run["config"].values() if isinstance(group, dict) for name, value in group.items()}
