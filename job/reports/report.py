"""report.html: one self-contained page about a run, to be opened in any browser."""
from __future__ import annotations

import html

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


def write_report(path, run, history, classes):
    """Write the page.

    Args:
        run: content of run.json. history: records of the intervals. classes: names in label order.
    """
    replace_text(path, render(run, history, classes))


def render(run, history, classes):
    """The page as text."""
    title = html.escape("MASF: {}".format(run["run_name"]))
    parts = ["<!DOCTYPE html><html lang=en><head><meta "
             f"charset=utf-8><title>{title}</title><style>{STYLE}</style></head>"
             f"<body><h1>{title}</h1>"]
    if history:
        parts.extend(_results(run, history, classes))
    else:
        parts.append("<p>No interval has been completed yet.</p>")
    parts.extend(_data(run.get("data") or {}))
    parts.append("<h2>Configuration</h2><pre>{}</pre>".format(html.escape("\n".join(
        f"{key} = {value}" for key, value in sorted(_leaves(run["config"]))))))
    return "\n".join(parts) + "</body></html>\n"


def _data(data):
    """What was trained on; nothing of a run.json that does not say it."""
    if "use" in data:
        rows = [("images to train on", "{:,}".format(data["use"]["train"])),
                ("images for validation", "{:,}".format(data["use"]["validation"])),
                ("images of the target to test on", "{:,}".format(data["use"]["target"])),
                ("chosen by", data["split"]), ("classes", ", ".join(data["classes"])),
                ("images of each domain", ", ".join(
                    "{} {:,}".format(*item) for item in sorted(data["images"].items()))),
                ("fingerprint", data["fingerprint"][:12])] + [("also", told) for told in data.get("left_out", [])]
        yield "<h2>Data</h2><table>{}</table>".format("".join(
            f'<tr><th>{html.escape(name)}</th><td style="text-align: left">{html.escape(told)}</td></tr>'
            for name, told in rows))


def _results(run, history, classes):
    policy = dict(_leaves(run["config"])).get("selection", "source_val")
    best = selection.best(policy, history)
    target = html.escape(history[0]["target_domain"])
    yield ('<p class="big"><b>{:.2f} %</b> on {} at iteration {} of {}, chosen by <code>{}</code> '
           "(mean validation accuracy of the sources {:.2f} %).</p>").format(
               best["target_accuracy"], target, best["iteration"], history[-1]["iteration"], policy,
               best["validation_accuracy"])
    yield "<h2>Accuracy</h2>" + line_chart(
        [(target + " (target)", [(r["iteration"], r["target_accuracy"]) for r in history]),
         ("validation, mean", [(r["iteration"], r["validation_accuracy"]) for r in history])]
        + [(name, [(r["iteration"], r["validation"][name]["accuracy"]) for r in history])
           for name in sorted(history[0]["validation"])],
        "iteration", "%", (0.0, 100.0))
    yield "<h2>Losses</h2>" + line_chart(
        [("source (task)", [(r["iteration"], r["source_loss"]) for r in history]),
         ("target", [(r["iteration"], r["target_loss"]) for r in history])], "iteration", "cross-entropy")
    yield line_chart(
        [("global", [(r["iteration"], r["global_loss"]) for r in history]),
         ("local (weighted)", [(r["iteration"], r["metric_loss"]) for r in history])], "iteration", "meta losses")
    yield "<h2>{} by class, iteration {}</h2>".format(target, best["iteration"])
    yield bar_chart([(name, best["target_per_class"].get(name)) for name in classes])
    yield confusion_table(best["target_confusion"], classes)
    yield "<h2>Intervals</h2>" + _interval_table(history)


def _interval_table(history):
    columns = [("iteration", "{:d}"), ("source_loss", "{:.4f}"), ("global_loss", "{:.5f}"), ("metric_loss", "{:.5f}"),
               ("target_accuracy", "{:.2f}"), ("validation_accuracy", "{:.2f}"), ("seconds_per_iteration", "{:.3f}"),
               ("images_per_second", "{:.0f}"), ("evaluation_seconds", "{:.1f}")]
    rows = ["<tr>" + "".join("<th>{}</th>".format(name.replace("_", " ")) for name, _ in columns) + "</tr>"]
    for record in history:
        rows.append("<tr>" + "".join("<td>{}</td>".format(
            "" if record[name] is None else form.format(record[name])) for name, form in columns) + "</tr>")
    return "<table>" + "\n".join(rows) + "</table>"


def _leaves(config):
    """(name, value) of every setting, whatever group it is in."""
    for key, value in config.items():
        if isinstance(value, dict):
            for leaf in _leaves(value):
                yield leaf
        else:
            yield key, value
