"""XML documents: written as OBS writes them, read with what could go wrong turned into an error reply."""
from __future__ import annotations

from typing import List, Tuple, Union
from urllib.parse import quote_plus
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from obs_sync.mock.errors import ObsError

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
    """The document of a request with the namespaces taken off. Raises ObsError (MalformedXML)."""
    try:
        if b"<!DOCTYPE" in body:  # no entities, so no document that grows when it is read
            raise ValueError
        element = ElementTree.fromstring(body)
    except (ElementTree.ParseError, ValueError):
        raise ObsError("MalformedXML") from None
    for item in element.iter():
        item.tag = item.tag.rpartition("}")[2]
    if element.tag != root:
        raise ObsError("MalformedXML", f"The document is a {element.tag} where a {root} was expected.")
    return element


def encoder(encoding_type: str):
    """What writes keys in a document: percent-encoded for "url", as they are for "".

    Raises:
        ObsError: InvalidArgument for any other encoding.
    """
    if encoding_type == "":
        return str
    if encoding_type.lower() != "url":
        raise ObsError("InvalidArgument", f"encoding-type can only be url, not {encoding_type!r}.")
    return lambda text: quote_plus(text, safe="/")
