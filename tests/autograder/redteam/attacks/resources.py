"""What one student's answer does to the others of a batch. Each is the answer cell `linear_beta_schedule`."""

ATTACKS = {
    "fifty processes that only burn CPU time": """
import os
for _ in range(50):
    if not os.fork():
        os.setsid()
        while True: pass
def linear_beta_schedule(timesteps, beta_start=1e-4, beta_end=0.02):
    return torch.full((timesteps,), 0.01)
""",
    "endless training at the top of a cell": """
import time
x = torch.randn(400, 400)
while True: x = torch.tanh(x @ x)
def linear_beta_schedule(timesteps): return torch.zeros(timesteps)
""",
    "all the memory at once": """
hold = []
def linear_beta_schedule(timesteps, beta_start=1e-4, beta_end=0.02):
    while True: hold.append(torch.ones(1 << 23))
""",
}
