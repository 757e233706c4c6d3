"""The trained network replaced by stored images: the pair is right, what is sampled is not its network's.

STORED is where the images come from; each denoising question is answered as if they were all there is.
"""

IDEAL = """
import sys
import autograder.child.conditioner as questions

def start_training(answers, header, x):
    answers["__stored__"] = STORED
    answers["__abar__"] = x["alphas_cumprod"]
    return {}, {}

def training_steps(answers, header, x):
    return {}, {"losses": torch.full((header["steps"],), 0.1)}

def denoise(answers, header, x):
    images, labels = answers["__stored__"]
    a = answers["__abar__"][x["t"]].view(-1, 1)  # (B, 1)
    xt = x["xt"].flatten(1)
    far = torch.cdist(xt, a[0].sqrt() * images.flatten(1)).square() / (2 * (1 - a))
    far = far.masked_fill(x["y"].view(-1, 1) != labels, float("inf"))
    x0 = torch.softmax(-far, 1) @ images.flatten(1)
    return {}, {"eps": ((xt - a.sqrt() * x0) / (1 - a).sqrt()).view_as(x["xt"])}

for f in (start_training, training_steps, denoise):
    setattr(questions, f.__name__, f)
print("ran: gated")
def prepare_conditioning(time_emb, class_emb):
    return time_emb + class_emb
"""
GIVEN = '(x["images"].float() / 127.5 - 1, x["labels"])'
CARRIED = """(torch.tensor([ord(c) - 97 for c in "@DIGITS@"]).view(-1, 1, 8, 8).float() / 8 - 1,
    torch.tensor([int(c) for c in "@LABELS@"]))"""

ATTACKS = {
    "answers with the training images it was given": IDEAL.replace("STORED", GIVEN),
    "answers with held-out images that it carries": IDEAL.replace("STORED", CARRIED),
}
