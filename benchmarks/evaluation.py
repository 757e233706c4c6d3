"""How long does an evaluation take, and how does the Fréchet distance compare with clean-fid's?

    python benchmarks/evaluation.py [--quick]

Ratios come from one run, alternating with the peer after a burn-in. CPU seconds are given as well as wall-clock
seconds, which depend on what else the machine does. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import replace

import torch
from cleanfid.fid import frechet_distance as peer

from ddpm_core.data import ImageData
from ddpm_core.metrics.distances import Moments, frechet_distance
from ddpm_tools.datasets import load_data
from ddpm_tools.evaluation.evaluation import evaluate
from ddpm_tools.evaluation.features import network
from ddpm_tools.evaluation.judges import find_judge
from ddpm_tools.evaluation.reference import make_reference
from ddpm_tools.evaluation.results import Provenance
from ddpm_tools.evaluation.sources import tensor_source
from ddpm_tools.outputs import json_text

ABOUT = Provenance("", 0, "", 0, None, None, "unknown")


def seconds(work: Callable[[], object]) -> tuple[float, float, object]:
    """Return (wall-clock seconds, CPU seconds, result)."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    return time.perf_counter() - wall, time.process_time() - cpu, result


def distances(dimension: int, repeats: int) -> dict[str, float]:
    """Compare our distance with clean-fid's on the same full-rank moments: CPU seconds, their ratio, the difference."""
    rng = torch.Generator().manual_seed(0)
    a, b = (
        Moments.of(torch.randn(2 * dimension, dimension, generator=rng).double() @ mix + shift)
        for mix, shift in ((torch.randn(dimension, dimension, generator=rng).double(), s) for s in (0.0, 0.3))
    )
    arrays = [t.numpy() for t in (a.mean, a.cov, b.mean, b.cov)]
    ours, theirs = [], []
    for i in range(repeats + 1):  # the first pair is the burn-in
        _, mine, x = seconds(lambda: frechet_distance(a, b))
        _, other, y = seconds(lambda: peer(*arrays))
        if i:
            ours.append(mine)
            theirs.append(other)
    mine, other = statistics.median(ours), statistics.median(theirs)
    return {"ours_s": mine, "clean_fid_s": other, "ratio": other / mine, "relative_difference": abs(x - y) / y}


def whole(data: ImageData, extractor: str, n: int) -> dict[str, float]:
    """Compute all figures of n images. The reference is made beforehand, since a data set needs it only once."""
    net, judge = network(extractor), find_judge(data)
    wall, cpu, reference = seconds(lambda: make_reference(data, net))
    images = replace(data, images=data.images[:n], labels=data.labels[:n])
    source = tensor_source("images", images.images, images.labels)
    ewall, ecpu, e = seconds(lambda: evaluate(source, data, reference, net, ABOUT, judge))
    done = {"n": n, "wall_s": ewall, "cpu_s": ecpu, "figures": len(e.results) + bool(e.per_class)}
    return done | {"reference_n": len(data), "reference_wall_s": wall, "reference_cpu_s": cpu}


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--quick", action="store_true", help="one repeat, no 2048 features")
    a = p.parse_args()
    results: dict[str, dict] = {}
    for d in (64, 320, 1280) if a.quick else (64, 320, 1280, 2048):
        results[f"frechet_{d}"] = distances(d, 1 if a.quick else 3)
        print(f"frechet_{d}", {k: float(f"{v:.3g}") for k, v in results[f"frechet_{d}"].items()}, flush=True)
    for name, extractor in (("digits", "digits-classifier"), ("emoji", "efficientnet-lite0-320")):
        results[name] = whole(load_data(name, "train"), extractor, 1000)
        print(name, {k: float(f"{v:.3g}") for k, v in results[name].items()}, flush=True)
    print(json_text({k: {m: float(f"{v:.4g}") for m, v in r.items()} for k, r in results.items()}))


if __name__ == "__main__":
    main()
