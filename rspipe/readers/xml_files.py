# SPDX-License-Identifier: Apache-2.0
"""XML from strangers: no entities, no surprises."""

from typing import Any
from xml.etree.ElementTree import ParseError
from xml.etree.ElementTree import fromstring as fast_fromstring

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from rspipe.errors import ReaderError
from rspipe.readers.tree import FileTree

MOST_XML_BYTES = 64 * 2**20
"""One file annotates one image; a larger one is none."""


def load_xml(tree: FileTree, path: str) -> Any:
    """Read an XML file into its root element.

    Raises:
        ReaderError: too large, not XML, or it declares entities.
    """
    text = tree.read_text(path, MOST_XML_BYTES + 1)
    if len(text) > MOST_XML_BYTES:
        raise ReaderError(f"larger than {MOST_XML_BYTES:,} bytes: not read")
    return parse_xml(text)


def parse_xml(text: str) -> Any:
    """Parse XML into its root element.

    Raises:
        ReaderError: not XML, or it declares entities.
    """
    # Only a document type can declare entities. Without one the parser in C will do, which takes a
    # fifth of the time of defusedxml's; text is UTF-8 by now, so no encoding can hide the words.
    parse = fromstring if "<!DOCTYPE" in text else fast_fromstring
    try:
        return parse(text)
    except (ParseError, DefusedXmlException, ValueError) as error:
        raise ReaderError(f"not valid XML: {error}") from error


def text_of(node: Any, *tags: str) -> str | None:
    """Return the stripped text of the first of these children that has any."""
    for tag in tags:
        found = (node.findtext(tag) or "").strip()
        if found:
            return str(found)
    return None
