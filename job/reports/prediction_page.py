"""The page of `predict --page`: the images as a grid, the worst mistakes first. One file without scripts or links.

Pictures are drawn small from the files, squares as the network sees them, and stand in the page itself. A page holds at
most ``MOST`` of them, and says how many images it leaves out.
"""
from __future__ import annotations

import base64
import io
from typing import Iterator, List, Sequence

import numpy as np
from PIL import Image

from job.printable import as_html
from job.reports.page.measures import confusion_table
from job.reports.predictions import Prediction, Predictions, accuracy, headline, summary
from masf_core.data.decode_image import Unusable, decode_image
from masf_core.words import plural

MOST = 400  # pictures in a page
SIDE = 160  # of a picture, pixels

STYLE = """
:root { --right: #3a9150; --wrong: #c0392b; --ink: #333; --line: #e4e4e4; --soft: #f7f7f7; }
* { box-sizing: border-box; }
body { font-family: sans-serif; color: var(--ink); line-height: 1.4; max-width: 1200px; margin: 0 auto; padding: 1em; }
h1 { font-size: 1.4em; margin: 0.4em 0; } h2 { font-size: 1.1em; margin: 1.6em 0 0.6em; }
h2 span { color: #777; font-weight: normal; }
p { overflow-wrap: anywhere; } .big { font-size: 1.2em; } .small { color: #777; font-size: 0.85em; }
.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(148px, 1fr)); gap: 10px; }
figure { margin: 0; border: 1px solid var(--line); border-top: 4px solid #9aa5b1; border-radius: 4px; padding: 6px;
  font-size: 0.82em; overflow: hidden; }
figure.right { border-top-color: var(--right); } figure.wrong { border-top-color: var(--wrong); }
figure img, figure .none { display: block; width: 100%; aspect-ratio: 1; object-fit: contain; background: var(--soft); }
figure .none { display: flex; align-items: center; justify-content: center; color: #777; text-align: center; }
figcaption { margin-top: 4px; } figcaption b { overflow-wrap: anywhere; }
.bar { height: 4px; background: var(--line); margin: 3px 0; } .bar div { height: 100%; background: #1f6fb4; }
.path { color: #777; font-size: 0.9em; overflow-wrap: anywhere; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-size: 0.85em; }
td, th { padding: 0.25em 0.6em; text-align: right; font-weight: 600; } td { text-align: center; font-weight: normal; }
ul { padding-left: 1.2em; overflow-wrap: anywhere; font-size: 0.9em; }
@media (max-width: 480px) {
  .grid { grid-template-columns: repeat(2, 1fr); } body { padding: 0.7em; }
  table { font-size: 0.7em; } td, th { padding: 0.3em 0.25em; } .confusion td { min-width: 2.2em; }
}
"""


def render(found: Predictions, max_pixels: int) -> str:
    """The page as text. max_pixels: of an image that is opened."""
    wrong, others, bad = found.mistakes(), found.others(), found.unreadable()
    confusion = found.confusion()
    shown_wrong, shown_others = wrong[:MOST], others[:max(0, MOST - len(wrong))]
    parts = ["<!DOCTYPE html><html lang=en><head><meta charset=utf-8>"
             '<meta name=viewport content="width=device-width, initial-scale=1">'
             f"<title>Predictions</title><style>{STYLE}</style></head><body><h1>Predictions</h1>"
             f"<p>{as_html(headline(found))}<br>{as_html(summary(found))}</p>"]
    if confusion.sum():
        count = plural(int(confusion.sum()), "image")
        parts.append(f'<p class=big><b>{accuracy(confusion):.2f} %</b> of {count} with a label are right.</p>')
        parts.append(confusion_table(confusion.tolist(), found.classes))
    if wrong:
        parts += _section("Mistakes", "the worst first: those that give the true class the lowest probability",
                          shown_wrong, len(wrong), found, max_pixels)
    if others:
        parts += _section("Right" if confusion.sum() and all(each.is_labelled for each in others) else "Predictions",
                          "the least certain first", shown_others, len(others), found, max_pixels)
    if bad:
        parts.append(f"<h2>Cannot be read <span>{len(bad):,}</span></h2><ul>")
        parts += [f"<li>{as_html(each.shown)}: {as_html(each.problem)}</li>" for each in bad[:MOST]]
        parts.append("</ul>" + _left_out(len(bad) - MOST))
    parts.append(f"<p class=small>{as_html(found.source)}, SHA-256 {as_html(found.sha256)}</p>")
    return "\n".join(parts) + "</body></html>\n"


def _section(title: str, order: str, shown: Sequence[Prediction], count: int, found: Predictions,
             max_pixels: int) -> Iterator[str]:
    yield f"<h2>{title} <span>{count:,}, {order}</span></h2>"
    if shown:
        yield "<div class=grid>"
        for each in shown:
            yield _card(each, found, max_pixels)
        yield "</div>"
    yield _left_out(count - len(shown))


def _left_out(count: int) -> str:
    return f"<p class=small>{count:,} more are not shown; the file of --out has them.</p>" if count > 0 else ""


def _card(each: Prediction, found: Predictions, max_pixels: int) -> str:
    kind = "" if not each.is_labelled else "wrong" if each.is_mistake else "right"
    name = as_html(found.name(each.predicted))
    told: List[str] = [f"<b>{name}</b> {100.0 * each.probability:.1f}&nbsp;%",
                       f'<div class=bar><div style="width:{100.0 * each.probability:.1f}%"></div></div>']
    if each.is_mistake:
        of_label = 100.0 * float(each.probabilities[each.label])
        told.append(f"true: <b>{as_html(found.name(each.label))}</b> {of_label:.1f}&nbsp;%")
    told.append(f"<div class=path>{as_html(each.shown)}</div>")
    return (f'<figure class="{kind}">{_picture(each, max_pixels)}<figcaption>{"".join(told)}</figcaption></figure>')


def _picture(each: Prediction, max_pixels: int) -> str:
    """The picture as an element; a note where its file has disappeared since."""
    pixels = np.empty((SIDE, SIDE, 3), np.uint8)
    try:
        decode_image(each.path, SIDE, max_pixels, pixels)
    except Unusable:
        return "<div class=none>the file has disappeared</div>"
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels[..., ::-1])).save(stream, "JPEG", quality=80)
    data = base64.b64encode(stream.getvalue()).decode("ascii")
    return f'<img loading=lazy alt="{as_html(each.shown)}" src="data:image/jpeg;base64,{data}">'
