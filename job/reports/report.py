"""report.html: one self-contained page about a run, to be opened in any browser."""
from __future__ import annotations

from typing import Any, Iterator, List, Mapping, Sequence, Tuple

from job.printable import as_html
from job.reports.charts import bar_chart, confusion_table, line_chart
from masf_core.records import selection
from masf_core.records.files import replace_text

STYLE = """
body { font-family: sans-serif; max-width: 900px; margin: 2em auto; color: #333; line-height: 1.4; }
h1 { font-size: 1.5em; } h2 { font-size: 1.15em; margin-top: 2em; border-bottom: 1px solid #e4e4e4; }
table { border-collapse: collapse; font-size: 0.9em; } td, th { padding: 0.25em 0.7em; text-align: right; }
th { font-weight: 600; } tr:nth-child(even) { background: #f7f7f7; }
.big { font-size: 1.3em; } .confusion td { min-width: 3.2em; text-align: center; }
svg { max-width: 100%; height: auto; }
pre { background: #f7f7f7; padding: 1em; overflow-x: auto; font-size: 0.85em; }
"""


def write_report(path: str, run: Mapping[str, Any], history: Sequence[Mapping[str, Any]],
                 classes: Sequence[str]) -> None:
    """Write the page to the file ``path``; the other arguments are those of ``render``."""
    replace_text(path, render(run, history, classes))


def render(run: Mapping[str, Any], history: Sequence[Mapping[str, Any]], classes: Sequence[str]) -> str:
    """The page as text.

    Args:
        run: content of run.json. history: records of the intervals. classes: names in label order.
    """
    title = as_html(f"MASF: {run['run_name']}")
    parts = [f"<!DOCTYPE html><html lang=en><head><meta charset=utf-8><title>{title}</title><style>{STYLE}</style>"
             f"</head><body><h1>{title}</h1>"]
    if history:
        parts.extend(_results(run, history, classes))
    else:
        parts.append("<p>No interval has been completed yet.</p>")
    parts.extend(_data(run.get("data") or {}))
    leaves = "\n".join(as_html(f"{key} = {value}") for key, value in sorted(_leaves(run["config"])))
    parts.append(f"<h2>Configuration</h2><pre>{leaves}</pre>")
    return "\n".join(parts) + "</body></html>\n"


def _data(data: Mapping[str, Any]) -> Iterator[str]:
    """What was trained on; nothing if run.json does not say it."""
    if "use" not in data:
        return
    use, images = data["use"], sorted(data["images"].items())
    rows = [("images to train on", f"{use['train']:,}"),
            ("images for validation", f"{use['validation']:,}"),
            ("images of the target to test on", f"{use['target']:,}"),
            ("chosen by", data["split"]),
            ("classes", ", ".join(data["classes"])),
            ("images of each domain", ", ".join(f"{name} {count:,}" for name, count in images)),
            ("fingerprint", data["fingerprint"][:12])]
    rows += [("also", told) for told in data.get("left_out", [])]
    lines = "".join(
        f'<tr><th>{as_html(name)}</th><td style="text-align: left">{as_html(told)}</td></tr>' for name, told in rows)
    yield f"<h2>Data</h2><table>{lines}</table>"


def _results(run: Mapping[str, Any], history: Sequence[Mapping[str, Any]], classes: Sequence[str]) -> Iterator[str]:
    """The chosen accuracy, the curves, what became of each class, and the table of the intervals."""
    policy = dict(_leaves(run["config"])).get("selection", "source_val")
    best = selection.best(policy, history)
    target = history[0]["target_domain"]
    yield (f'<p class="big"><b>{best["target_accuracy"]:.2f} %</b> on {as_html(target)} at iteration '
           f'{best["iteration"]} of {history[-1]["iteration"]}, chosen by <code>{as_html(policy)}</code> '
           f'(mean validation accuracy of the sources {best["validation_accuracy"]:.2f} %).</p>')
    accuracies = _curves(history, {f"{target} (target)": "target_accuracy", "validation, mean": "validation_accuracy"})
    accuracies += [(name, [(r["iteration"], r["validation"][name]["accuracy"]) for r in history])
                   for name in sorted(history[0]["validation"])]
    yield "<h2>Accuracy</h2>" + line_chart(accuracies, "iteration", "%", (0.0, 100.0))
    yield "<h2>Losses</h2>" + line_chart(
        _curves(history, {"source (task)": "source_loss", "target": "target_loss"}), "iteration", "cross-entropy")
    yield line_chart(_curves(history, {"global": "global_loss", "local (weighted)": "metric_loss"}),
                     "iteration", "meta losses")
    yield f"<h2>{as_html(target)} by class, iteration {best['iteration']}</h2>"
    yield bar_chart([(name, best["target_per_class"].get(name)) for name in classes])
    yield confusion_table(best["target_confusion"], classes)
    yield "<h2>Intervals</h2>" + _interval_table(history)


def _curves(history: Sequence[Mapping[str, Any]],
            keys: Mapping[str, str]) -> List[Tuple[str, List[Tuple[int, float]]]]:
    """Lines of a chart. keys: label → member of the records."""
    return [(label, [(record["iteration"], record[key]) for record in history]) for label, key in keys.items()]


def _interval_table(history: Sequence[Mapping[str, Any]]) -> str:
    columns = [("iteration", "d"), ("source_loss", ".4f"), ("global_loss", ".5f"), ("metric_loss", ".5f"),
               ("target_accuracy", ".2f"), ("validation_accuracy", ".2f"), ("seconds_per_iteration", ".3f"),
               ("images_per_second", ".0f"), ("evaluation_seconds", ".1f")]
    titles = "".join(f"<th>{name.replace('_', ' ')}</th>" for name, _ in columns)
    rows = [f"<tr>{titles}</tr>"]
    for record in history:
        cells = "".join(f"<td>{'' if record[name] is None else format(record[name], form)}</td>"
                        for name, form in columns)
        rows.append(f"<tr>{cells}</tr>")
    return "<table>" + "\n".join(rows) + "</table>"


def _leaves(config: Mapping[str, Any]) -> Iterator[Tuple[str, Any]]:
    """(name, value) of every setting, whatever group it is in."""
    for key, value in config.items():
        if isinstance(value, dict):
            for leaf in _leaves(value):
                yield leaf
        else:
            yield key, value
