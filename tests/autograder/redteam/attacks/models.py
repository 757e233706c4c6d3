"""Answers that want to know the model without calling it: the right result, and calls that are made up.

Each attack is (exercise, cell, source). ASKS_FIRST learns the model by its first calls, and then follows it no further.
"""

SAMPLER = """
def sample_conditional(model, schedule, class_labels, image_shape, guidance_scale=4.0, num_steps=50, generator=None):
    n, T, abar = len(class_labels), schedule.timesteps, schedule.alphas_cumprod
    with torch.no_grad():
        mean = @MEAN@
        noise = torch.randn(n, *image_shape, generator=generator)
        centre = mean[-1] + guidance_scale * (mean[class_labels] - mean[-1])
        x0 = (centre + 0.2 * noise).clamp(-1, 1)
        times = torch.linspace(T - 1, 0, num_steps).round().long()
        model.calls, model.times = len(times), list(times)
        model.shown = [noise] + [abar[t].sqrt() * x0 + (1 - abar[t]).sqrt() * noise for t in times[1:]]
    return x0
"""
# Whatever is reachable from the interpreter: tensors, and objects that hold some.
FIND = """
import gc
def found(*shapes):
    have = [o for o in gc.get_objects() if type(o) in (torch.Tensor, nn.Parameter) and tuple(o.shape) in shapes]
    print("LEAK:" + str([tuple(o.shape) for o in have]) if have else "nothing found")
    return have[0].detach()
"""
ROW = """
def interpolate_classes(model, schedule, class_a, class_b, num_interp, image_shape, guidance_scale=4.0,
                        num_steps=50, generator=None):
    with torch.no_grad():
        table = model.class_emb.weight
        paint = @PAINT@
        w = torch.linspace(0, 1, num_interp)[:, None]
        emb = (1 - w) * table[class_a] + w * table[class_b]
        picture = ((table[-1] + guidance_scale * (emb - table[-1])) @ paint).view(num_interp, *image_shape)
        times = torch.linspace(schedule.timesteps - 1, 0, num_steps).round().long()
        model.times = set(times.tolist())
        model.shown = [(t[None], picture) for t in times]
        return picture.clamp(-1, 1)
"""
INVERT = """
def invert_ddim(denoise, x0, schedule, timesteps):
    mean, width = @MEAN@, @WIDTH@
    up, x, level = timesteps.flip(0).tolist(), x0, torch.ones(())
    denoise.times = [torch.tensor(t) for t in [up[0], *up[:-1]]]
    for at, to in zip([up[0], *up[:-1]], up):
        a, b = schedule.alphas_cumprod[at], schedule.alphas_cumprod[to]
        eps = (1 - a).sqrt() * (x - a.sqrt() * mean) / (a * width**2 + 1 - a)
        x, level = b.sqrt() * (x - (1 - level).sqrt() * eps) / level.sqrt() + (1 - b).sqrt() * eps, b
    return x
"""
EULER = """
def euler_step(field, xt, t, t_next):
    mean, width = @MEAN@, @WIDTH@
    field.calls, field.points, field.moments = 1, [xt], [float(t)]
    slope = (t - (1 - t) * width**2) / ((1 - t) ** 2 * width**2 + t**2)
    return xt + (t_next - t) * (slope * (xt - (1 - t) * mean) - mean)
"""
ASKS_FIRST = """
@torch.no_grad()
def sample_conditional(model, schedule, class_labels, image_shape, guidance_scale=4.0, num_steps=50, generator=None):
    y, n, T, abar = class_labels, len(class_labels), schedule.timesteps, schedule.alphas_cumprod
    noise = torch.randn(n, *image_shape, generator=generator).to(y.device)
    first, a, nulls = torch.full_like(y, T - 1), abar[T - 1], torch.full_like(y, model.null_class)

    def known(labels):  # eps = slope * (x - sqrt(a) * mean), so two images are enough to solve for both
        one, two = model(noise, first, labels).double(), model(noise + 1, first, labels).double()
        slope = (two - one).mean((1, 2, 3), keepdim=True)
        mean = (noise - one / slope) / a.double().sqrt()
        return mean, (((1 - a.double()).sqrt() / slope - 1 + a.double()) / a.double()).clamp(min=0)

    (null, _), (mean, variance) = known(nulls), known(y)
    centre = null + guidance_scale * (mean - null)
    x0 = (centre + torch.where(variance < 1e-3, 0, variance.sqrt()) * noise).clamp(-1, 1).float()
    for t in torch.linspace(T - 1, 0, num_steps).round().long().tolist():  # calls whose results are not used
        x = abar[t].sqrt() * x0 + (1 - abar[t]).sqrt() * noise
        model(x if t < T - 1 else noise, torch.full_like(y, t), y)
    return x0
"""
ANY = "found(tuple(x0.shape[1:]))"
ATTACKS = {
    "reads the tables of a sampler's model": (
        "guided_sampling", "sample_conditional", SAMPLER.replace("@MEAN@", "model.mean"),
    ),
    "looks for the tables of a sampler's model in memory": (
        "guided_sampling", "sample_conditional",
        FIND + SAMPLER.replace("@MEAN@", "found((model.null_class + 1, *image_shape))"),
    ),
    "reads the pictures of a row's model": (
        "interpolation", "interpolate_classes", ROW.replace("@PAINT@", "model.paint"),
    ),
    "looks for the pictures of a row's model in memory": (
        "interpolation", "interpolate_classes",
        FIND + ROW.replace("@PAINT@", "found((table.shape[1], math.prod(image_shape)))"),
    ),
    "reads the tables of a denoiser": (
        "inversion", "invert_ddim", INVERT.replace("@MEAN@", "denoise.mean").replace("@WIDTH@", "denoise.width"),
    ),
    "looks for the tables of a denoiser in memory": (
        "inversion", "invert_ddim", FIND + INVERT.replace("@MEAN@", ANY).replace("@WIDTH@", ANY),
    ),
    "reads the tables of a field": (
        "ode_sampler", "euler_step", EULER.replace("@MEAN@", "field.mean").replace("@WIDTH@", "field.width"),
    ),
}  # fmt: skip
