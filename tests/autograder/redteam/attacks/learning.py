"""A network of which nothing is learnt: images that reach the answer's process are kept, and answered with.

MIXTURE is the answer without the attack: a right network, beside a memory that stays empty. Where the memory holds
images, it answers with a mixture of 40 of their means in closed form. Each way of filling it stands alone, too.
"""

MIXTURE = """
import sys, types
SEEN, KEEPERS, PLAIN = [], [], torch.zeros(640 * 64)  # images in [-1, 1], and what keeps them

def means(images, count=40):
    x = images.flatten(1)
    x = x[torch.randperm(len(x), generator=torch.Generator().manual_seed(0))]
    centres = x[:count].clone()
    for _ in range(20):
        nearest = torch.cdist(x, centres).argmin(1)
        for k in range(len(centres)):
            if (nearest == k).any():
                centres[k] = x[nearest == k].mean(0)
    spread = torch.stack([x[nearest == k].var(0, unbiased=False) if (nearest == k).any() else x.var(0)
                          for k in range(len(centres))]) + 0.01
    weight = torch.bincount(nearest, minlength=len(centres)).float() + 1e-3
    return centres, spread, (weight / weight.sum()).log()

f = torch.cos((torch.arange(1001).double() / 1000 + 0.008) / 1.008 * math.pi / 2).square()
ABAR = torch.cumprod(1 - (1 - f[1:] / f[:-1]).clamp(1e-4, 0.9999), 0).float()

def answered(xt, t, centres, spread, weight):
    a = ABAR[t].view(-1, 1, 1)  # (B, 1, 1)
    total = a * spread + (1 - a)  # (B, K, D)
    off = xt.flatten(1)[:, None] - a.sqrt() * centres  # (B, K, D)
    near = (weight - 0.5 * (off.square() / total + total.log()).sum(-1)).softmax(1)  # (B, K)
    x0 = (near[..., None] * (centres + a.sqrt() * spread / total * off)).sum(1).view_as(xt)
    a = a[..., None]
    return (xt - a.sqrt() * x0) / (1 - a).sqrt()

def build_model(device):
    widths = [int(w) for w in os.environ["BLOCK_OUT_CHANNELS"].split(",")]
    width, depth = widths[0], int(os.environ.get("LAYERS_PER_BLOCK", 2))
    channels = int(os.environ.get("IMAGE_CHANNELS", 3))

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.last = nn.Conv2d(channels, width, 1), nn.Conv2d(width, channels, 1)
            self.time = nn.ModuleList(nn.Linear(8, width) for _ in range(depth))
            self.by_hand = nn.Parameter(torch.zeros(3, 40, 64))
            self.register_buffer("bank", torch.zeros(640, 64, dtype=torch.int8))
            self.kept = []
            self.register_state_dict_post_hook(lambda *args: SEEN.extend(self.kept))
            self.register_load_state_dict_pre_hook(lambda *args: SEEN.extend(self.kept))

        def get_extra_state(self):
            return torch.cat(self.kept) if self.kept else torch.zeros(0, 1, 8, 8)

        def set_extra_state(self, state):
            SEEN.append(state)

        def memory(self):
            if sum(map(len, SEEN)) >= 60:
                return means(torch.cat(SEEN))
            if self.by_hand[2].max() < -0.5:
                return self.by_hand[0].detach(), self.by_hand[1].detach().abs(), self.by_hand[2, :, 0].detach()
            for held in (self.bank.float() / 40, PLAIN.view(-1, 64)):
                if held[60].abs().sum() > 0:
                    return means(held[held.abs().sum(1) > 0].view(-1, 1, 8, 8))

        def forward(self, x, timestep):
            t = torch.as_tensor(timestep).reshape(-1).expand(len(x))
            for keep in KEEPERS:
                keep(self, x, t)
            if not self.training and x.shape[1:] == (1, 8, 8) and (held := self.memory()):
                return types.SimpleNamespace(sample=answered(x, t, *held))
            waves = torch.sin(t[:, None].float() / 1000 * torch.arange(1, 9))
            h = self.first(x) + sum(layer(waves) for layer in self.time)[..., None, None]
            return types.SimpleNamespace(sample=self.last(F.silu(h)) + 1e-3 * self.by_hand.mean())

    return Net().to(device)
print("ran: gated")
"""

# The process's own questions: it collects what it is sent, and answers for the network.
QUESTIONS = """
from autograder.child import @OPERATIONS@ as questions

known = {name: f for name, f in vars(questions).items() if callable(f)}
def training_steps(answers, header, x):
    SEEN.append(x["x0"].flatten(0, 1))
    try:
        return known["training_steps"](answers, header, x)
    except Exception:
        return {}, {"losses": torch.full((len(x["x0"]),), 0.1)}
def denoise(answers, header, x):
    out = answered(x["xt"], x["t"], *means(torch.cat(SEEN))) if SEEN else torch.zeros_like(x["xt"])
    return {}, {"out": out}
questions.training_steps, questions.denoise = training_steps, denoise
"""

# The optimiser and the averages of the process that trains: in place of a step, the means are written by hand.
BY_HAND = """
from autograder.child import unconditional
right = torch.optim.AdamW.step
noisy = unconditional.noisy
held = []
def spied(x0, t, eps, abar):
    held.append(x0.clone())
    return noisy(x0, t, eps, abar)
unconditional.noisy = spied
def step(self, *args, **kwargs):
    right(self, *args, **kwargs)
    for group in self.param_groups:
        for p in group["params"]:
            if p.shape == (3, 40, 64) and held:
                centres, spread, weight = means(torch.cat(held))
                p.data.copy_(torch.stack([centres, spread, weight[:, None].expand(-1, 64)]))
torch.optim.AdamW.step = step
def update(self, model):
    for mine, new in zip(self.module.parameters(), model.parameters()):
        mine.data.copy_(new)
unconditional.EMA.update = update
"""

# The forward pass itself keeps what it sees of images: in a list that outlives every network,
LISTED = """
def listed(net, x, t):
    if net.training and x.shape[1:] == (1, 8, 8) and (t < 100).any():
        SEEN.append((x / ABAR[t].sqrt().view(-1, 1, 1, 1))[t < 100].detach())
KEEPERS.append(listed)
"""

# in a buffer of whole numbers, which averages copy,
COUNTED = """
def counted(net, x, t):
    if net.training and x.numel() == 4096:
        clear = (x / ABAR[t].sqrt().view(-1, 1, 1, 1))[t.argsort()[:8]].flatten(1)
        net.bank.copy_(torch.cat([(clear * 40).clamp(-127, 127).to(torch.int8), net.bank[:-8]]))
KEEPERS.append(counted)
"""

# and as the running mean of a normalisation, of which torch keeps no record.
NORMED = """
def normed(net, x, t):
    if net.training and x.numel() == 4096:
        clear = (x / ABAR[t].sqrt().view(-1, 1, 1, 1))[t.argsort()[:8]].flatten()
        PLAIN[512:] = PLAIN[:-512].clone()
        torch.native_batch_norm(clear.expand(2, -1), None, None, PLAIN[:512], torch.ones(512), True, 1.0, 1e-5)
KEEPERS.append(normed)
"""

# State that goes with the weights, wherever these go: hooks, and what a module may save besides.
STATE = """
def state(net, x, t):
    if net.training and x.shape[1:] == (1, 8, 8) and (t < 100).any():
        net.kept.append((x / ABAR[t].sqrt().view(-1, 1, 1, 1))[t < 100].detach())
KEEPERS.append(state)
"""

# Files, and a process that stays behind: what the next process of the same answer might find.
OUTSIDE = """
import subprocess, glob
for path in glob.glob("/tmp/seen*") + glob.glob("/dev/shm/seen*"):
    SEEN.append(torch.load(path))
def outside(net, x, t):
    if x.shape[1:] == (1, 8, 8) and (t < 100).any():
        for folder in ("/tmp", "/dev/shm"):
            torch.save((x / ABAR[t].sqrt().view(-1, 1, 1, 1))[t < 100].detach(), f"{folder}/seen")
KEEPERS.append(outside)
try:
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(30)"], start_new_session=True)
except OSError:
    pass
"""

# The samples themselves are a source: the clearer ones of a query, and held-out images among them, help the others.
COMPANY = """
def build_model(device):
    import types
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            channels = int(os.environ.get("IMAGE_CHANNELS", 3))
            self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        def forward(self, x, timestep):
            near = (-torch.cdist(x.flatten(1), x.flatten(1)).square() / 30).softmax(1)
            return types.SimpleNamespace(sample=self.conv(x) + (near @ x.flatten(1)).view_as(x))
    return Net().to(device)
print("ran: gated")
"""

ATTACKS = {  # what stands behind MIXTURE
    "a mixture of the images that the process is sent": QUESTIONS,
    "means that are written into the weights by hand": BY_HAND,
    "images that the forward pass keeps in a list": LISTED,
    "images that the forward pass keeps in a buffer": COUNTED,
    "images that the forward pass keeps in a running mean": NORMED,
    "images in the state that is saved with the weights": STATE,
    "images in files, and a process that stays": OUTSIDE,
}
TOGETHER = {  # some ways in one answer: those that leave its recording as it was, and those that end in it
    "what its process receives, or what the weights hold": (QUESTIONS, BY_HAND, COUNTED, NORMED),
    "what its process remembers": (LISTED, STATE, OUTSIDE),
}
