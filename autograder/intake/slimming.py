"""A notebook too large to read whole, without what no grader looks at: outputs, attached pictures, states of widgets."""

import re

DROPPED = {b'"outputs"', b'"attachments"', b'"widgets"'}
# No quantifier gives anything back: a text of one kind of character would otherwise take for ever, or all memory.
TOKEN = re.compile(rb'"(?>[^"\\]++|\\.)*+"?+|[\[\]{}]|[^"\[\]{}]++', re.S)
MOST_TOKENS = 2_000_000  # a second or two; a notebook of 100 MB of pictures has some thousand


def without_outputs(content: bytes) -> bytes | None:
    """JSON with null in place of the dropped values; None where there are more tokens than any notebook has.

    What is no JSON comes out as what is none.
    """
    kept: list[bytes] = []
    depth, skipping, last = 0, None, b""  # skipping: the depth at which a value began that is dropped
    for count, found in enumerate(TOKEN.finditer(content)):
        token = found[0]
        if count > MOST_TOKENS:
            return None
        if skipping is None and last in DROPPED and token.strip() == b":":
            kept.append(b":null")
            skipping = depth
            continue
        depth += (token in b"[{") - (token in b"]}") if len(token) == 1 else 0
        if skipping is not None and (depth < skipping or (depth == skipping and token[:1] == b",")):
            skipping = None  # the value is over
        if skipping is None:
            kept.append(token)
            last = token
    return b"".join(kept)
