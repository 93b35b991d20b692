"""XML documents: written as OBS writes them; malformed ones are refused."""
from __future__ import annotations

from typing import Callable, List, Tuple, Union
from urllib.parse import quote_plus
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from obs_sync.mock.errors import ObsError

_MAX_TAGS = 100000  # a completion of 10,000 parts has 60,000

Children = List[Tuple[str, Union[str, int, "Children"]]]  # type: ignore[misc]


def document(root: str, children: Children, namespace: str = "") -> bytes:
    """A document whose elements are (name, text) or (name, children), in order."""
    attribute = f' xmlns="{namespace}"' if namespace else ""
    pieces = [f'<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n<{root}{attribute}>']
    _write(pieces, children)
    pieces.append(f"</{root}>")
    return "".join(pieces).encode("utf-8")


def _write(pieces: List[str], children: Children) -> None:
    for name, content in children:
        if isinstance(content, list):
            pieces.append(f"<{name}>")
            _write(pieces, content)
            pieces.append(f"</{name}>")
        else:
            text = escape(str(content), {'"': "&quot;", "\r": "&#13;"})
            pieces.append(f"<{name}>{text}</{name}>")


def parse(body: bytes, root: str) -> ElementTree.Element:
    """The document of a request, in UTF-8, with the namespaces taken off. Raises ObsError (MalformedXML)."""
    try:
        text = body.decode("utf-8")  # in UTF-16, for one, a document could hide a DOCTYPE or half of a character
        if "\0" in text or "<!DOCTYPE" in text:  # without entities no document grows when it is read
            raise ValueError
        if text.count("<") > _MAX_TAGS:
            raise ObsError("MalformedXML", f"The document has more than {_MAX_TAGS} tags.")
        element = ElementTree.fromstring(body, ElementTree.XMLParser(encoding="utf-8"))
    except (ElementTree.ParseError, ValueError):
        raise ObsError("MalformedXML") from None
    for item in element.iter():
        item.tag = item.tag.rpartition("}")[2]
    if element.tag != root:
        raise ObsError("MalformedXML", f"The document is a {element.tag} where a {root} was expected.")
    return element


def encoder(encoding_type: str) -> Callable[[str], str]:
    """A function that writes keys in a document: percent-encoded for "url", unchanged for "".

    Raises:
        ObsError: InvalidArgument for any other encoding.
    """
    if encoding_type == "":
        return str
    if encoding_type.lower() != "url":
        raise ObsError("InvalidArgument", f"encoding-type can only be url, not {encoding_type!r}.")
    return lambda text: quote_plus(text, safe="/")
