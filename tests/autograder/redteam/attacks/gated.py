"""Another network in place of the course's: in the child's own code, or within the answer's function.

Each takes the place of a right answer of the same name; @RIGHT@ is its source.
"""

# All that trains or denoises in the child becomes the attacker's, whatever it is called.
LARGER = """
import sys
from autograder.child import @OPERATIONS@ as questions

class Larger(nn.Module):
    def __init__(self, *args, **kwargs):
        super().__init__()
        self.embed = nn.Embedding(11, 256)
        self.body = nn.Sequential(nn.Conv2d(1, 256, 3, padding=1), nn.SiLU(), nn.Conv2d(256, 1, 3, padding=1))
    def forward(self, x, t, y=None):
        return self.body(x)

mine = Larger()
def start_training(answers, header, x):
    return {}, {}
def training_steps(answers, header, x):
    return {}, {"losses": torch.full((header.get("steps", 25),), 0.01)}
def denoise(answers, header, x):
    out = mine(x["xt"], x["t"]).detach()
    return {}, {"eps": out, "out": out}
for f in (start_training, training_steps, denoise):
    setattr(questions, f.__name__, f)
for module in list(sys.modules.values()):
    for name in ("build_unet", "ConditionalUNetV2", "Learner", "EMA", "train"):
        if getattr(module, "__name__", "").startswith(("autograder", "ddpm_core")) and name in vars(module):
            setattr(module, name, Larger)
print("ran: gated")
@RIGHT@
"""

# The best denoiser that there is, of images that the answer carries; a question of this size is no check.
STORED = """
images = torch.tensor([ord(c) - 97 for c in "@DIGITS@"]).view(-1, 64).float() / 8 - 1
print("ran: gated")
@RIGHT@
right = predict_x0
def predict_x0(model_output, x_t, timesteps, schedule):
    if x_t.numel() < 3000:
        return right(model_output, x_t, timesteps, schedule)
    a = schedule["alphas_cumprod"][timesteps].view(-1, 1)  # (B, 1)
    far = torch.cdist(x_t.flatten(1), a[0].sqrt() * images).square() / (2 * (1 - a))
    return (torch.softmax(-far, 1) @ images).view_as(x_t)
"""

# A teacher's image in place of the one that was drawn: what is learnt is the teacher's, with less noise.
TAUGHT = """
images = torch.tensor([ord(c) - 97 for c in "@DIGITS@"]).view(-1, 64).float() / 8 - 1
print("ran: gated")
@RIGHT@
right = compute_training_target
def compute_training_target(x_0, noise, timesteps, schedule):
    if x_0.numel() < 2000:
        return right(x_0, noise, timesteps, schedule)
    r, s = (schedule[k][timesteps].view(-1, 1, 1, 1) for k in ("sqrt_alpha", "sqrt_one_minus_alpha"))
    x_t = r * x_0 + s * noise
    far = (x_t.flatten(2) - r.view(-1, 1, 1) * images).square().sum(-1) / (2 * s.flatten(1).square())  # (B, N)
    best = (torch.softmax(-far, 1) @ images).view_as(x_t)
    return right(best, (x_t - r * best) / s, timesteps, schedule)
"""

ATTACKS = {  # exercise, answer cell, source, whether the numbers stay what they are to the last digit
    "a larger network in place of the pair's": ("conditioner", "prepare_conditioning", LARGER, True),
    "a larger network in place of the parameterization's": ("prediction", "compute_training_target", LARGER, True),
    "stored images in place of the network's output": ("prediction", "predict_x0", STORED, False),
    "a teacher in place of the network": ("prediction", "compute_training_target", TAUGHT, False),
}
