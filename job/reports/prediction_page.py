"""The page of `predict --page`: the images as a grid, the worst mistakes first. One file without scripts or links.

Pictures are drawn small from the files, squares as the network sees them, and stand in the page itself. A page holds at
most ``MOST`` of them, and says how many images it leaves out.
"""
from __future__ import annotations

from typing import Iterator, List, Sequence

import numpy as np

from job.printable import as_html
from job.reports.evaluated import headline
from job.reports.page.colours import GRID, INK, MUTED, PALETTE
from job.reports.page.document import document, paragraph, path_html
from job.reports.page.measures import confusion_table
from job.reports.page.mistakes import thumbnail
from job.reports.predictions import Prediction, Predictions, accuracy, summary
from masf_core.data.decode_image import Unusable, decode_image
from masf_core.words import plural

MOST = 400  # pictures in a page
SIDE = 160  # of a picture, pixels
GREEN, RED = PALETTE[2], "#c0392b"

STYLE = f"""
h2 span {{ color: {MUTED}; font-weight: normal; }} .big {{ font-size: 1.2em; }}
.grid {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(148px, 1fr)); gap: 10px; }}
.shot {{ border: 1px solid {GRID}; border-top: 4px solid {MUTED}; border-radius: 4px; padding: 6px; overflow: hidden; }}
.right {{ border-top-color: {GREEN}; }} .wrong {{ border-top-color: {RED}; }}
.shot img, .none {{ display: block; width: 100%; aspect-ratio: 1; object-fit: contain; background: #f7f7f7; }}
.none {{ display: flex; align-items: center; justify-content: center; color: {MUTED}; text-align: center; }}
.shot figcaption {{ color: {INK}; font-size: 0.82em; }} .path {{ color: {MUTED}; font-size: 0.9em; }}
.share {{ height: 4px; background: {GRID}; margin: 3px 0; }}
.share div {{ height: 100%; background: {PALETTE[0]}; }}
ul {{ padding-left: 1.2em; font-size: 0.9em; }}
@media (max-width: 480px) {{
  .grid {{ grid-template-columns: repeat(2, minmax(0, 1fr)); }}
  .confusion {{ font-size: 0.68em; }} .confusion td {{ min-width: 2.2em; }}
  .confusion td, .confusion th {{ padding: 0.3em 0.1em; }}
}}
"""  # after that of the frame of every page


def render(found: Predictions, max_pixels: int) -> str:
    """The page as text. max_pixels: of an image that is opened."""
    wrong, others, bad = found.mistakes(), found.others(), found.unreadable()
    confusion = found.confusion()
    shown_wrong, shown_others = wrong[:MOST], others[:max(0, MOST - len(wrong))]
    network = headline(found.network, found.iteration, found.device)
    parts = [f"<p>{as_html(network)}<br>{as_html(summary(found))}</p>"]
    if confusion.sum():
        count = plural(int(confusion.sum()), "image")
        parts.append(f'<p class=big><b>{accuracy(confusion):.2f} %</b> of {count} with a label are right.</p>')
        parts.append(confusion_table(confusion.tolist(), found.classes,
                                     "With --json, predict prints the whole matrix."))
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
    parts.append(paragraph(f"{found.source}, SHA-256 {found.sha256}", "muted"))
    return document("Predictions", parts, STYLE)


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
    return paragraph(f"{count:,} more are not shown; the file of --out has them.", "muted") if count > 0 else ""


def _card(each: Prediction, found: Predictions, max_pixels: int) -> str:
    kind = "shot" if not each.is_labelled else "shot wrong" if each.is_mistake else "shot right"
    name = as_html(found.name(each.predicted))
    told: List[str] = [f"<b>{name}</b> {100.0 * each.probability:.1f}&nbsp;%",
                       f'<div class=share><div style="width:{100.0 * each.probability:.1f}%"></div></div>']
    if each.is_mistake:
        of_label = 100.0 * float(each.probabilities[each.label])
        told.append(f"true: <b>{as_html(found.name(each.label))}</b> {of_label:.1f}&nbsp;%")
    told.append(f"<div class=path>{path_html(each.shown)}</div>")
    return (f'<figure class="{kind}">{_picture(each, max_pixels)}<figcaption>{"".join(told)}</figcaption></figure>')


def _picture(each: Prediction, max_pixels: int) -> str:
    """The picture as an element; a note where its file has disappeared since."""
    pixels = np.empty((SIDE, SIDE, 3), np.uint8)
    try:
        decode_image(each.path, SIDE, max_pixels, pixels)
    except Unusable:
        return "<div class=none>the file has disappeared</div>"
    return f'<img loading=lazy alt="{as_html(each.shown)}" src="{thumbnail(pixels[..., ::-1], SIDE)}">'
