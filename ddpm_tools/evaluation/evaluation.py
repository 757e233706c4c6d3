"""Evaluation of generated images: quality, diversity, adherence, memorisation, each with its error bar."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

from torch import Tensor

from ddpm_core.data import ImageData
from ddpm_core.metrics.distances import Moments, diversity, frechet_distance
from ddpm_tools.evaluation.estimates import Estimate, bootstrap, halves, interval, proportion
from ddpm_tools.evaluation.extractor import FeatureNetwork
from ddpm_tools.evaluation.finite_n import Extrapolation, extrapolate
from ddpm_tools.evaluation.judges import Judge
from ddpm_tools.evaluation.kernel import kid_estimate
from ddpm_tools.evaluation.manifold import Manifold
from ddpm_tools.evaluation.metrics import METRICS, NEIGHBOURLY, EvaluationConfig, check_metrics
from ddpm_tools.evaluation.neighbours import Neighbours, nearest
from ddpm_tools.evaluation.reference import Reference
from ddpm_tools.evaluation.resampling import frechet_resampler
from ddpm_tools.evaluation.results import MetricResult, Provenance
from ddpm_tools.evaluation.sources import Source
from ddpm_tools.evaluation.streaming import KEEP, ExtractedFeatures, extract_features


@dataclass(frozen=True)
class ClassRow:
    """One class: how many images were requested, how far they are from the real ones, and how many show the class."""

    name: str  # the class's name
    n: int  # number of images requested
    distance: Estimate | None  # Fréchet distance to its real images; None for fewer than 4 images, or 2 real ones
    adherence: Estimate | None  # share of its images that the judge assigns to it; None without a judge


@dataclass(frozen=True)
class Evaluation:
    """Everything measured on one set of images; `notes` say what could not be measured, and why."""

    name: str  # the name of the images' source
    results: list[MetricResult]  # one for each metric, in the order of METRICS
    per_class: list[ClassRow] = field(default_factory=list)  # one for each class asked for; empty if not measured
    confusion: Tensor | None = None  # (K, K) counts: rows the class asked for, columns the class seen
    neighbours: Neighbours | None = None  # nearest training images of the kept images
    seen: ExtractedFeatures | None = None  # features and kept images
    labels: Tensor | None = None  # (M,), the labels of the kept images
    by_n: Extrapolation | None = None  # the Fréchet distance with fewer images
    notes: list[str] = field(default_factory=list)  # what could not be measured and why, and limitations of the rest


def feature_estimates(
    seen: ExtractedFeatures, labels: Tensor | None, reference: Reference, wanted: list[str], repeats: int, seed: int
) -> dict[str, Estimate]:
    """The metrics in feature space: distances from all N images, the others from the M kept ones."""
    x, real, m = seen.features, reference.features, len(seen.features)
    shrink = (m / seen.n) ** 0.5  # standard errors fall as 1 / sqrt(n), but resampling uses only m of the n images
    found: dict[str, Estimate] = {}
    if "frechet" in wanted:
        bars = halves(frechet_resampler(x, reference.moments), m, repeats, seed)
        found["frechet"] = interval(frechet_distance(seen.moments, reference.moments), bars.se * shrink)
    if "frechet_inf" in wanted:
        few = max(10, repeats // 5)  # each repeat is a whole extrapolation
        bars = bootstrap(lambda i: extrapolate(x[i], reference.moments, seed).limit, m, few, seed)
        found["frechet_inf"] = interval(bars.value, bars.se, low=float("-inf"))
    if "kid" in wanted:
        found["kid"] = kid_estimate(x, real, repeats, seed)
    if NEIGHBOURLY & set(wanted):
        manifold = Manifold.of(x, real)
        n, density = len(manifold.own), manifold.density()
        found["precision"] = proportion(manifold.precision())
        found["density"] = bootstrap(lambda i: float(density[i].mean()), n, repeats, seed)
        for name, statistic in (("recall", manifold.recall()), ("coverage", manifold.coverage())):
            found[name] = halves(statistic, n, repeats, seed, top=1.0)
    if "diversity" in wanted:
        spread = diversity(real, reference.labels)
        found["diversity"] = bootstrap(lambda i: diversity(x[i], labels[i]) / spread, m, repeats, seed)
    return {k: v for k, v in found.items() if k in wanted}


def class_rows(
    seen: ExtractedFeatures,
    labels: Tensor,
    hits: Tensor | None,
    reference: Reference,
    classes: Sequence[str],
    repeats: int,
) -> list[ClassRow]:
    """One row per requested class; labels and hits (M,) belong to the kept images."""
    rows = []
    for k, name in enumerate(classes):
        mine, real, distance = labels == k, reference.of_class(k), None
        if not (n := int(mine.sum())):
            continue
        if n >= 4 and len(real) >= 2:
            distance = halves(frechet_resampler(seen.features[mine], Moments.of(real)), n, repeats, seed=k)
        rows.append(ClassRow(name, n, distance, None if hits is None else proportion(hits[mine])))
    return rows


def missing(source: Source, judge: Judge | None, reference: Reference, wanted: Collection[str]) -> dict[str, str]:
    """Metric -> why it cannot be measured here."""
    n, d, why = source.n, reference.config.dimension, {}
    if source.labels is None:
        text = "the images have no class labels; put them into folders named after the classes"
        why = dict.fromkeys(("adherence", "per_class", "diversity"), text)
    elif judge is None:
        why["adherence"] = "no classifier has these classes; train one with `ddpm classifier` and give --classifier"
    if (kept := min(n, KEEP)) < 5 * d:  # the features of the others are gone by then
        most = f"at most {kept} are kept" if kept < n else f"not {n}"
        why["frechet_inf"] = f"extrapolation needs at least {5 * d} images with {d} features, {most}"
    if min(n, len(reference.features)) < 12:
        why |= dict.fromkeys(NEIGHBOURLY, f"nearest neighbours need at least 12 images, not {n}")
    if reference.config.split != "train":
        why["copies"] = "copies are searched for among training images; omit --split"
    return {k: v for k, v in why.items() if k in wanted}


def evaluate(
    source: Source,
    data: ImageData,
    reference: Reference,
    network: FeatureNetwork,
    about: Provenance,
    judge: Judge | None = None,
    config: EvaluationConfig | None = None,
) -> Evaluation:
    """Evaluate the images of a source against the real ones in `data`, whose statistics are `reference`. `about` is
    what is known about how they were made; its extractor, n and reference are filled in here. ValueError with fewer
    than two images, or if a feature is not finite."""
    config = config or EvaluationConfig()
    metrics, repeats = config.metrics, config.repeats
    check_metrics(metrics)
    if source.n < 2:
        raise ValueError(f"evaluation needs at least two images, {source.name} has {source.n}")
    why = missing(source, judge, reference, metrics)
    wanted = [m for m in METRICS if m in metrics and m not in why]
    seen = extract_features(source.chunks(), network, judge and judge.model, total=source.n, progress=config.progress)
    seed = about.seed if isinstance(about.seed, int) else 0
    labels = source.labels[seen.index] if source.labels is not None else None
    space = replace(about, extractor=f"{network.name} {network.version}", n=seen.n, reference=str(reference.config))
    estimates = feature_estimates(seen, labels, reference, wanted, repeats, seed)
    results = {name: MetricResult(name, e, space) for name, e in estimates.items()}

    hits = confusion = neighbours = None
    if source.labels is not None and judge is not None:
        k = len(data.classes)
        hits = (seen.predicted == source.labels).double()
        confusion = (source.labels * k + seen.predicted).bincount(minlength=k * k).view(k, k)
        if "adherence" in wanted:
            told_by = replace(space, extractor=f"{judge.name} {judge.version}")
            results["adherence"] = MetricResult("adherence", proportion(hits), told_by)
    kept_hits = hits[seen.index] if hits is not None else None
    rows = class_rows(seen, labels, kept_hits, reference, data.classes, repeats) if "per_class" in wanted else []
    if "copies" in wanted:
        neighbours = nearest(seen.images, data.images)
        near = proportion(neighbours.copies(reference.copy_limit))
        results["copies"] = MetricResult("copies", near, replace(space, extractor="pixels"))
    ordered = [results[m] for m in METRICS if m in results]
    by_n = extrapolate(seen.features, reference.moments, seed) if "frechet_inf" in wanted else None
    notes = [f"{METRICS[m].title}: {text}." for m, text in why.items()] + caveats(seen, reference, wanted)
    return Evaluation(source.name, ordered, rows, confusion, neighbours, seen, labels, by_n, notes)


def caveats(seen: ExtractedFeatures, reference: Reference, wanted: Collection[str]) -> list[str]:
    """What a reader must know about the results."""
    notes, d = [], reference.config.dimension
    if "frechet" in wanted:
        mostly = f" With {d} features and {seen.n} images it is mostly bias." if seen.n < 2 * d else ""
        bias = "too large by a bias that falls as 1/n; compare it only with results of the same n"
        notes.append(f"The Fréchet distance of {seen.n} images is {bias}.{mostly}")
    if NEIGHBOURLY & set(wanted):
        notes.append("Precision, recall, density and coverage also depend on the numbers of generated and real images.")
    if len(seen.features) < seen.n:
        notes.append(f"All but Fréchet distance and adherence are measured on {len(seen.features)} random images.")
    return notes
