"""Runs a recorded network (recording.py) in a process that holds none of the answer's code.

The recording comes from an answer, so it is not trusted. It may only name torch operations that compute tensors from
tensors. None of them reads a file, or memory that no operation has written, and nothing that one call computes is left
for the next: inputs, weights, buffers and constants are passed in as copies. So all that a network knows about the
images is what the optimiser put into its weights.
"""

import json
import re
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

# Names that begin with _ are internal to torch, and few of them compute anything. Gradient kernels, and those called
# unsafe, do not check their arguments.
PRIVATE = re.compile(
    r"_(to_copy|unsafe_view|reshape_alias|reshape_copy|softmax|log_softmax|safe_softmax|conj|conj_physical|neg_view|stack"
    r"|scaled_dot_product_(flash_attention_for_cpu|attention_math)|weight_norm|weight_norm_interface|fft_\w+"
    r"|adaptive_avg_pool[23]d|upsample_\w+|native_batch_norm_legit\w*|native_multi_head_attention|cdist_forward"
    r"|euclidean_dist|trilinear|prelu_kernel|fused_rms_norm|convolution|linalg_\w+|pad_circular|addmm_activation"
    r"|transformer_encoder_layer_fwd)"
)
REFUSED = re.compile(
    r"\w*(backward|sparse|quanti|fbgemm|mkldnn|nested|jagged|cudnn|miopen|mps|vulkan|dense_tensors|resize|embedding_bag)\w*"
    r"|set|set_|set_data|shallow_copy_data_|from_file|data|\w*empty\w*|segment_reduce|\w+_override\w*|pin_memory"
    r"|\w*_?(col|row)_indices\w*|values\w*|indices\w*|record_stream|retain_grad|requires_grad_|get_gradients"
)
UNWRITTEN = {"empty": "zeros", "new_empty": "new_zeros", "empty_like": "zeros_like"}
TENSORS = {"Tensor", "List[Tensor]"}
MOST_NODES = 200_000
KINDS = {"dtype": torch.dtype, "layout": torch.layout, "memory_format": torch.memory_format}


def operation(written: str) -> Any:
    """Return the operation with a name such as aten.mul.Tensor; ValueError if a recording must not contain it."""
    space, _, rest = str(written).partition(".")
    name, _, overload = rest.partition(".")
    if name in UNWRITTEN:  # uninitialised memory may hold anybody's data
        name, overload = UNWRITTEN[name], "default"
    allowed = not REFUSED.fullmatch(name) and (not name.startswith("_") or PRIVATE.fullmatch(name))
    known = space == "aten" and allowed and hasattr(torch.ops.aten, name)
    func = getattr(getattr(torch.ops.aten, name), overload, None) if known else None
    returns = [str(r.type) for r in func._schema.returns] if isinstance(func, torch._ops.OpOverload) else []
    if not returns or not TENSORS.issuperset(returns):
        raise ValueError(f"the gate does not allow torch's operation {str(written)[:60]} in a network")
    return func


class Name(NamedTuple):
    """Stands for a tensor among the arguments of a step."""

    name: int | str


def read(value: Any) -> Any:
    """Return an argument that recording.Recorder wrote. Tensors stay names."""
    if not isinstance(value, list):
        return value
    kind, what = value
    if kind == "tensor":
        return Name(what)
    if kind == "list":
        return [read(v) for v in what]
    if kind == "float":
        return float(what)
    if kind == "device":
        return torch.device("cpu")
    found = getattr(torch, what, None)
    if not isinstance(found, KINDS[kind]):
        raise ValueError(f"{what!r} is no {kind} of torch")
    return found


def names_in(value: Any) -> set[int | str]:
    if isinstance(value, Name):
        return {value.name}
    return set().union(*map(names_in, value)) if isinstance(value, list) else set()


def filled(value: Any, known: dict[int | str, Tensor]) -> Any:
    if isinstance(value, Name):
        return known[value.name]
    return [filled(v, known) for v in value] if isinstance(value, list) else value


class Network(nn.Module):
    """A recorded network with its weights. forward(x, t) only takes batches of the recorded size."""

    def __init__(self, tensors: dict[str, Tensor]):
        """`tensors` holds the recording as bytes and the tensors it names. Only w… learn; the others stay fixed."""
        super().__init__()
        told = json.loads(tensors["recording"].numpy().tobytes())
        if len(told["nodes"]) > MOST_NODES:
            raise ValueError(f"the network takes more than {MOST_NODES:,} operations")
        self.out, self.steps, needed = told["out"], [], {told["out"]}
        for op, args, kwargs, results, grad in reversed(told["nodes"]):
            args, kwargs = [read(a) for a in args], {k: read(v) for k, v in kwargs.items()}
            used = names_in([*args, *kwargs.values()])
            done_with = (used | set(results)) - needed  # no later step uses them
            self.steps.append((operation(op), args, kwargs, results, bool(grad), done_with))
            needed |= used
        self.steps.reverse()
        self.fixed = {name: value for name, value in tensors.items() if name[0] in "fbc"}
        for name, value in tensors.items():
            if name[0] == "w":
                self.register_parameter(name, nn.Parameter(value))

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        given = {"x": x, "t": t, **self.fixed, **dict(self.named_parameters())}
        known: dict[int | str, Any] = {name: value.clone() for name, value in given.items()}
        with torch.set_grad_enabled(learning := torch.is_grad_enabled()):
            for op, args, kwargs, results, grad, done_with in self.steps:
                torch.set_grad_enabled(learning and grad)
                out = op(*[filled(a, known) for a in args], **{k: filled(v, known) for k, v in kwargs.items()})
                known.update(zip(results, tree_leaves(out)))
                for name in done_with:
                    known.pop(name, None)
        return known[self.out]
