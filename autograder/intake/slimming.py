"""Removes from a large notebook what no grader reads: outputs, attached pictures, states of widgets."""

import re

# Texts may be hostile: all quantifiers are possessive, so matching never backtracks and takes linear time.
STRING = rb'"(?>[^"\\]++|\\.)*+"?+'
DROPPED = rb'"(?:outputs|attachments|widgets)"\s*+:\s*+(?=[\[{])'
KEY = re.compile(DROPPED)
KEPT = re.compile(rb"(?>[^\"]++|(?!%b)%b)*+" % (DROPPED, STRING), re.S)
BETWEEN = re.compile(rb'(?>[^"\[\]{}]++|%b)*+' % STRING, re.S)  # what lies between two brackets
MOST_BRACKETS = 1_000_000  # inside what is dropped; they take a second


def without_outputs(content: bytes) -> bytes | None:
    """Return JSON with null in place of the dropped lists and objects.

    None if these hold more brackets than any real notebook's. If the content is not JSON, neither is the result.
    """
    kept: list[bytes] = []
    at = brackets = 0
    while True:
        found = KEPT.match(content, at)
        kept.append(found[0])
        key = KEY.match(content, found.end())
        if not key:
            return b"".join(kept)
        kept += [key[0], b"null"]
        at, depth = key.end(), 0
        while True:
            at = BETWEEN.match(content, at).end() + 1
            depth += {b"[": 1, b"{": 1, b"": 0}.get(content[at - 1 : at], -1)
            brackets += 1
            if brackets > MOST_BRACKETS:
                return None
            if depth <= 0 or at > len(content):
                break
