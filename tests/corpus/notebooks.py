"""Answer cells as students write them in Jupyter, each around the same right answer, and what becomes of each."""

# ruff: noqa: E501  (cells are long texts)

from __future__ import annotations

import json
from pathlib import Path
from textwrap import indent

ROOT = Path(__file__).resolve().parents[2]
SOLUTION = ROOT / "solutions/5_1_unconditional/schedules.ipynb"
NAME = "q_sample"
RIGHT = """def q_sample(x_0, t, noise, alphas_cumprod):
    abar = alphas_cumprod[t].to(x_0.dtype).view(-1, *[1] * (x_0.dim() - 1))
    return abar.sqrt() * x_0 + (1 - abar).sqrt() * noise
"""


def around(head: str = "", tail: str = "") -> str:
    return head + RIGHT + tail


def using(head: str, helper: str = "scaled") -> str:
    """An answer that needs `helper`(abar, x_0, noise), which `head` defines."""
    body = RIGHT.replace("abar.sqrt() * x_0 + (1 - abar).sqrt() * noise", f"{helper}(abar, x_0, noise)")
    return head + body


SCALED = "def scaled(abar, x, noise):\n    return abar.sqrt() * x + (1 - abar).sqrt() * noise\n"

# What a kernel runs: (the cell, a part of the remark; none where there is nothing to say). All of them are right.
RUNS: dict[str, tuple[str, str]] = {
    # Python that looks for its own module
    "a dataclass": (around("from dataclasses import dataclass\n@dataclass\nclass Config:\n    width: float = 0.0\n"), ""),
    "a frozen dataclass that is used": (
        using(
            "from dataclasses import dataclass, field, replace, asdict\nfrom typing import ClassVar, Optional\n"
            "@dataclass(frozen=True)\nclass Mix:\n    power: float = 0.5\n    kind: ClassVar[str] = 'vp'\n"
            "    left: Optional['Mix'] = None\n    notes: list = field(default_factory=list)\n"
            "def scaled(abar, x, noise, mix=replace(Mix(), power=0.5)):\n"
            "    assert list(asdict(mix)) == ['power', 'left', 'notes']\n"
            "    return abar**mix.power * x + (1 - abar) ** mix.power * noise\n"
        ),
        "",
    ),
    "annotations that are types": (
        around(
            "import typing, inspect\nfrom typing import NamedTuple, Protocol, Literal\n"
            "class Pair(NamedTuple):\n    a: int\n    b: 'Pair | None' = None\n"
            "class Net(Protocol):\n    def __call__(self, x: torch.Tensor) -> torch.Tensor: ...\n"
            "def hinted(p: Pair, kind: Literal['a'] = 'a') -> int: ...\n"
            "assert hinted.__annotations__['p'] is Pair and typing.get_type_hints(Pair)['a'] is int\n"
            "assert inspect.signature(hinted).parameters['p'].annotation is Pair\n"
        ),
        "",
    ),
    "from __future__ import annotations": (
        around(
            "from __future__ import annotations\nfrom dataclasses import dataclass\nimport typing\n"
            "@dataclass\nclass Node:\n    next: Node | None = None\n    width: int = 3\n"
            "assert Node.__annotations__['width'] == 'int' and typing.get_type_hints(Node)['width'] is int\n"
        ),
        "",
    ),
    "a type that another cell imports": (
        RIGHT.replace("(x_0, t, noise, alphas_cumprod)", "(x_0: Tensor, t: Tensor, noise, alphas_cumprod) -> Tensor"), ""
    ),
    "a type that another cell imports, within a function": (
        using(
            "def scaled(abar, x, noise):\n"
            "    def root(a: Tensor, *rest: 'Any') -> Tensor:\n        return a.sqrt()\n"
            "    class Pair:\n        signal: Tensor\n        noise: Optional[Tensor] = None\n"
            "    return root(abar) * x + root(1 - abar) * noise\n"
        ),
        "",
    ),
    "enums, single dispatch, caches": (
        using(
            "import enum, functools, contextlib, operator\n"
            "class Kind(enum.Enum):\n    VP = 'vp'\nclass Flag(enum.IntFlag):\n    A = enum.auto()\n"
            "@functools.singledispatch\ndef root(x):\n    return x ** 0.5\n"
            "@root.register\ndef _(x: torch.Tensor) -> torch.Tensor:\n    return x.sqrt()\n"
            "@functools.lru_cache(maxsize=None)\ndef power(kind: Kind) -> float:\n    return {Kind.VP: 0.5}[kind]\n"
            "def logged(f):\n    @functools.wraps(f)\n    def inner(*a, **k):\n        return f(*a, **k)\n    return inner\n"
            "@contextlib.contextmanager\ndef nothing():\n    yield\n"
            "@logged\ndef scaled(abar, x, noise):\n    with nothing():\n"
            "        return root(abar) * x + (1 - abar) ** power(Kind.VP) * noise\n"
        ),
        "",
    ),
    "pickle and deepcopy": (
        around(
            "import collections, copy, io, pickle\nclass Own:\n    def __init__(self, v):\n        self.v = v\n"
            "Point = collections.namedtuple('Point', 'x y')\nclass Layer(nn.Linear): pass\n"
            "assert pickle.loads(pickle.dumps(Own(3))).v == copy.deepcopy(Own(3)).v == 3\n"
            "assert pickle.loads(pickle.dumps(Point(1, 2))) == (1, 2)\n"
            "file = io.BytesIO()\ntorch.save(Layer(2, 2), file)\nfile.seek(0)\n"
            "assert isinstance(torch.load(file, weights_only=False), Layer)\n"
        ),
        "",
    ),
    "its own source": (
        around(tail="import inspect, linecache\nassert inspect.getsource(q_sample).startswith('def q_sample(x_0')\n"
        "assert inspect.getsourcelines(q_sample)[1] == 1 and 'cell q_sample' in q_sample.__code__.co_filename\n"),
        "",
    ),
    "__main__": (
        "if __name__ == '__main__':\n" + indent(RIGHT, "    ") + "import sys, __main__\n"
        "assert __main__.q_sample is q_sample and sys.modules[q_sample.__module__].q_sample is q_sample\n",
        "",
    ),
    "a walrus, match, global, generators, loops": (
        using(
            "count = 0\ndef roots(abar):\n    global count\n    count += 1\n    yield from ((r := abar).sqrt(), (1 - r).sqrt())\n"
            "for number in range(3):\n    total = number\nwhile total:\n    total -= 1\n"
            "def scaled(abar, x, noise):\n    match [*roots(abar)]:\n        case [a, b]:\n            return a * x + b * noise\n"
        ),
        "",
    ),
    "abstract classes and properties": (
        using(
            "import abc\nclass Base(abc.ABC):\n    @property\n    @abc.abstractmethod\n    def power(self): ...\n"
            "class Half(Base):\n    __slots__ = ()\n    @property\n    def power(self):\n        return 0.5\n"
            "    def __call__(self, a, x, n):\n        return a**self.power * x + (1 - a)**self.power * n\nscaled = Half()\n"
        ),
        "",
    ),
    # compilers
    "torch.compile": (using("@torch.compile\n" + SCALED), "torch.compile and torch.jit"),
    "torch.compile with arguments": (
        using("@torch.compile(mode='max-autotune', fullgraph=True, dynamic=True)\n" + SCALED), "torch.compile"),
    "torch.compile as a function": (
        using(SCALED + "from torch import compile as faster\nfast = faster(model=scaled, backend='inductor')\n", "fast"),
        "torch.compile"),
    "a compiled module": (
        using("class Mix(nn.Module):\n    def forward(self, a, x, n):\n        return a.sqrt() * x + (1 - a).sqrt() * n\n"
        "mix = Mix()\nmix.compile()\nmix = torch.compile(mix).eval()\n", "mix"), "torch.compile"),
    "torch.jit.script": (
        using("from torch import Tensor\n@torch.jit.script\ndef scaled(abar: Tensor, x: Tensor, noise: Tensor) -> Tensor:\n"
        "    return abar.sqrt() * x + (1 - abar).sqrt() * noise\n"), "torch.jit"),
    "torch.jit.trace": (
        using(SCALED + "scaled = torch.jit.trace(scaled, (torch.rand(2), torch.rand(2), torch.rand(2)))\n"), "torch.jit"),
    "inference mode": ("@torch.inference_mode()\n" + RIGHT, ""),
    # settings of the process
    "modes of torch": (
        around("torch.set_default_dtype(torch.float64)\ntorch.set_grad_enabled(False)\ntorch.manual_seed(0)\n"
        "torch.set_num_threads(2)\ntorch.set_float32_matmul_precision('medium')\ntorch.set_default_device('cpu')\n"
        "torch.autograd.set_detect_anomaly(True)\ntorch.backends.cudnn.benchmark = True\n"),
        "changes torch's default dtype for the whole process",
    ),
    "a device that is not here": (around("torch.set_default_device('cuda')\n"), "changes torch's default device for the whole process"),
    "warnings and logging": (
        using("import logging, warnings, random, os\nwarnings.simplefilter('error')\nlogging.basicConfig(level=0)\n"
        "logging.getLogger(__name__).info('hello')\nrandom.seed(0)\nos.environ['OMP_NUM_THREADS'] = '4'\n"
        "def scaled(abar, x, noise):\n    warnings.warn('slow')\n    return abar.sqrt() * x + (1 - abar).sqrt() * noise\n"),
        "",
    ),
    "figures and bars": (
        around("import matplotlib\nimport matplotlib.pyplot as plt\nfrom tqdm.auto import tqdm\nfrom tqdm.notebook import trange\n"
        "plt.rcParams['figure.dpi'] = 100\n",
        "fig, ax = plt.subplots()\nax.plot([1, 2])\nplt.show()\nfor i in tqdm(range(3)):\n    for j in trange(2): pass\n"),
        "",
    ),
    "a flood of prints": (around("for i in range(30_000):\n    print(i, 'x' * 90)\n"), ""),
    # IPython
    "a cell indented as a whole": (indent(RIGHT, "    "), ""),
    "prompts": ("".join((">>> " if line[:1] == "d" else "... ") + line for line in RIGHT.splitlines(True)), ""),
    "harmless magics": (
        "%%time\n" + around("%matplotlib inline\n%load_ext autoreload\n%autoreload 2\n%config InlineBackend.figure_format='svg'\n",
        "%time made = q_sample(torch.ones(1, 1), torch.tensor([0]), torch.ones(1, 1), torch.tensor([0.5]))\n"
        "%timeit q_sample\nassert made.shape == (1, 1)\nq_sample?\nnn.Linear??\n"),
        "",
    ),
    "commands": (
        around("files = !ls *.py\n!pip install -q einops\nfor f in files:\n    !cat {f}\n", "!nvidia-smi\n"),
        "skipped line 1 of the cell `q_sample` (`files = !ls *.py`)",
    ),
    "a magic that does something": (around("\n\nimport math\n%cd /tmp\n%env A=1\n%run helpers.py\n"), "line 4 of the cell"),
    "the shell itself": (
        around("get_ipython().run_line_magic('matplotlib', 'inline')\nget_ipython().system('ls')\n"
        "import IPython\nfrom IPython import get_ipython\nget_ipython().run_line_magic('autoreload', '2')\nassert IPython.get_ipython()\n"
        "if 'google.colab' in str(get_ipython()):\n    raise ValueError\n"
        "assert get_ipython().__class__.__name__ != 'ZMQ' and 'IPKernelApp' not in get_ipython().config\n"),
        "line 2 of the cell",
    ),
    "display": (
        around("from IPython.display import clear_output, HTML, Image\n",
        "display(q_sample)\ndisplay(HTML('<b>x</b>'), display_id=True)\nclear_output(wait=True)\n"),
        "",
    ),
    "await": (
        around("import asyncio\nasync def later(x):\n    await asyncio.sleep(0.01)\n    return x\n"
        "async with asyncio.timeout(5):\n    both = await asyncio.gather(later(1), later(2))\nassert both == [1, 2]\n"),
        "",
    ),
    # what is not here
    "packages that are not here": (
        around("import seaborn as sns, wandb\nimport lightning.pytorch as pl\nfrom google.colab import drive\n"
        "from beartype import beartype\nfrom jaxtyping import Float, jaxtyped\nsns.set_theme(style='darkgrid')\n"
        "try:\n    import xformers.ops\n    HAS = True\nexcept ImportError:\n    HAS = False\nassert not HAS\n"
        "@jaxtyped(typechecker=beartype)\n@beartype\n"),
        "does not have `seaborn`, only the course's packages",
    ),
    "data that is not here": (around("from sklearn.datasets import load_digits\nimport sklearn.datasets\nimages = load_digits().images\nfrom ddpm_core import plots, data\n"), "does not have `load_digits`"),
    "a plot of what another cell made": (around(tail="q_sample(images, t, noise, schedule.alphas_cumprod)\n"),
        "raised NameError in cell `q_sample`, line 4: name 'images' is not defined"),
    "a file that is not here": (around(tail="state = torch.load('unet.pt')\n"), "raised FileNotFoundError in cell `q_sample`, line 4"),
    "the end of a run": (around(tail="raise SystemExit('stop here')\n"), "raised SystemExit in cell `q_sample`, line 4"),
}  # fmt: skip

# What is lost, and what the student reads.
LOST: dict[str, tuple[str, str]] = {
    "an error in a library": (
        RIGHT.replace("    abar", "    import os\n    width = os.environ['NOPE']\n    abar", 1),
        "your code raised KeyError in cell `q_sample`, line 3: 'NOPE'"),
    "an error in a library, while the cell is loaded": (
        around("import json\n\njson.loads('{')\n"), "JSONDecodeError in cell `q_sample`, line 3"),
    "an error in generated code": (
        using("from dataclasses import dataclass\n@dataclass\nclass C:\n    a: int\n" "def scaled(*a):\n    return C()\n"),
        "TypeError in cell `q_sample`, line 6"),
    "an error in a text": (around("import ast\nast.literal_eval('1 +')\n"), "SyntaxError in cell `q_sample`, line 2"),
    "generics of Python 3.12": (around("def first[T](x: list[T]) -> T:\n    return x[0]\n"), "the grader runs Python 3."),
    "a type statement": (around("type Pair = tuple[int, int]\n"), "the grader runs Python 3."),
    "quotes in an f-string": (around("name = 'a'\nprint(f'{name + 'b'}')\n"), "the grader runs Python 3."),
    "a newer library": (around("from itertools import batched\n"), "the grader runs Python 3."),
    "markers of a merge": (
        around("<<<<<<< HEAD\nx = 1\n=======\nx = 2\n>>>>>>> main\n"), "line 1 of the answer cell `q_sample` is a Git conflict marker"),
    "a use of what is not here": (
        using("import einops\ndef scaled(abar, x, noise):\n    return einops.rearrange(x, 'b ... -> b ...')\n"),
        "ModuleNotFoundError in cell `q_sample`, line 3: No module named 'einops'"),
    "an earlier output": (around("print(Out[3], _)\n"), "inputs and outputs of other cells are not there"),
    "a cell in another language": ("%%bash\nls\n", "does not define `q_sample`"),
    "a syntax error beside a magic": (around("%matplotlib inline\nx = (1,\n"), "was never closed"),
}  # fmt: skip


def notebook(cell: str) -> dict:
    """The solution's notebook with another cell in place of the answer."""
    nb = json.loads(SOLUTION.read_text(encoding="utf-8"))
    for found in nb["cells"]:
        if found["metadata"].get("nbgrader", {}).get("grade_id") == NAME:
            found["source"] = cell.splitlines(keepends=True)
    return nb
