"""Something that is told once while a run or a job is followed: as lines for people, or as JSON for programs."""
from __future__ import annotations

import logging
import sys
from typing import Any, Dict, List, NamedTuple, Sequence

from job.standard_output import encodable, json_text, telling

log = logging.getLogger(__name__)


class Event(NamedTuple):
    """kind: a word for programs. data: the other members of the document. lines: for people, printable.

    aside: the lines belong to the log, on standard error, and not to the output.
    """

    kind: str
    data: Dict[str, Any]
    lines: List[str]
    aside: bool = False


def print_events(events: Sequence[Event], as_json: bool = False) -> None:
    """Print events to standard output; as JSON, one document in each line.

    Raises:
        OutputClosed: nobody reads standard output any more.
    """
    with telling():
        for event in events:
            if as_json:
                print(json_text(dict(event.data, event=event.kind), indent=None))
            elif event.aside:
                if sys.stdout is not None:
                    sys.stdout.flush()  # so that the order is right where both go to one place
                for line in event.lines:
                    log.info("%s", line)
            else:
                print(encodable("\n".join(event.lines)))
