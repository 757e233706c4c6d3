"""Forged results: the code beside the answer is turned against the checks. BASE stands for a wrong answer."""

ATTACKS = {
    "rebinds torch.equal, allclose and testing": """
torch.equal = torch.allclose = lambda *a, **k: True
torch.testing.assert_close = lambda *a, **k: None
torch.isfinite = lambda x: torch.ones_like(x, dtype=torch.bool)
BASE""",
    "rebinds comparisons of tensors": """
for op in ("__eq__", "__ne__", "__lt__", "__gt__", "__le__", "__ge__", "all", "any"):
    setattr(torch.Tensor, op, lambda self, *a, **k: torch.ones((), dtype=torch.bool))
BASE""",
    "returns a tensor subclass that is equal to everything": """
class Agreeable(torch.Tensor):
    shape = property(lambda self: (1000,))
    def __eq__(self, other): return True
    def allclose(self, *a): return True
    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        with torch._C.DisableTorchFunctionSubclass():
            out = func(*args, **(kwargs or {}))
        return True if func in (torch.equal, torch.allclose) else out
BASE
honest = NAME
def NAME(*a, **k): return honest(*a, **k).as_subclass(Agreeable)
""",
    "claims full marks in every reply": """
import autograder.child.protocol as protocol
encode = protocol.encode
protocol.encode = lambda header, tensors=None: encode(
    {**header, "score": 10, "passed": True, "outcome": "graded", "max_score": 10, "status": "passed"}, tensors)
BASE""",
    "rebinds the runner's own functions": """
import sys
import autograder.child.answers as cells
cells.describe = lambda error: {"passed": True}
sys.modules["__main__"].cells = cells
BASE""",
    "looks for checks and expected values in memory": """
import gc, inspect, sys
words = ("expected", "squared_cosine", "Check(", "band", "solution")
found = [n for n in sys.modules if any(w in n for w in ("exercises", "gate", "judging", "references", "harness"))]
found += [k for o in gc.get_objects() if isinstance(o, dict) for k in o if k in ("squared_cosine", "EXERCISE")]
frame = sys._getframe()
while frame:
    found += [k for k in frame.f_locals if k in ("expected", "right", "check", "points", "supplied_solution")]
    frame = frame.f_back
print("LEAK:" + repr(found) if found else "nothing found")
BASE""",
    "imports the reference under other names": """
import importlib, pkgutil
for name in ("ddpm_core.schedule", "ddpm_core.diffusion", "ddpm_core.samplers", "autograder.authoring.references",
             "autograder.authoring.mutants", "autograder.exercises.schedules", "autograder.exercises.schedules.noising",
             "autograder.gate.bands", "solutions", "conditional_diffusion_course"):
    try:
        module = importlib.import_module(name)
        print("LEAK:" + name, NAME_TEXT) if callable(getattr(module, NAME_TEXT, None)) else None
    except Exception:
        pass
import ddpm_core
for info in pkgutil.iter_modules(ddpm_core.__path__):
    try:
        if hasattr(importlib.import_module("ddpm_core." + info.name), NAME_TEXT):
            print("LEAK:ddpm_core." + info.name)
    except ImportError:
        pass
BASE""",
    "ships its own torch, numpy and safetensors": """
import os, sys
for name in ("torch", "numpy", "safetensors", "sitecustomize", "usercustomize", "json"):
    with open(f"/tmp/{name}.py", "w") as f:
        f.write("print('own " + name + "')\\ndef __getattr__(name): return lambda *a, **k: True\\n")
sys.path.insert(0, "/tmp")
BASE""",
    "detects when it is graded": """
import os, sys
graded = "/code" in os.listdir("/") or os.path.exists("/code/runner.py")
BASE
wrong = NAME
def NAME(*a, **k):
    if graded: print("hello, grader")
    return wrong(*a, **k)
""",
    "remembers the questions for a later answer": """
import builtins
builtins.seen = getattr(builtins, "seen", [])
BASE
wrong = NAME
def NAME(*a, **k):
    builtins.seen.append((a, k))
    return builtins.seen[0][0][0] if isinstance(builtins.seen[0][0][0], torch.Tensor) else wrong(*a, **k)
""",
    "times the questions and answers the last one itself": """
import atexit, os, threading, time
def later():
    time.sleep(0.3)
    for fd in range(3, 32):
        try: os.write(fd, b"\\0\\0\\0\\2" + b"\\0" * 8 + b"{}")
        except OSError: pass
atexit.register(later)
BASE""",
    "an import hook that rewrites what is imported next": """
import sys
class Hook:
    def find_spec(self, name, path=None, target=None):
        print("asked for", name)
sys.meta_path.insert(0, Hook())
sys.modules["autograder.exercises"] = sys.modules["autograder.gate.bands"] = sys
BASE""",
}
