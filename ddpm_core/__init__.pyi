"""What type checkers and editors see: the names that `__init__.py` imports when they are first asked for."""

from ddpm_core.checkpoint import load_diffusion as load_diffusion
from ddpm_core.checkpoint import save_diffusion as save_diffusion
from ddpm_core.conditioning import strategy as strategy
from ddpm_core.config import Preset as Preset
from ddpm_core.config import preset as preset
from ddpm_core.data import ImageData as ImageData
from ddpm_core.data import digits as digits
from ddpm_core.diffusion import Diffusion as Diffusion
from ddpm_core.ema import EMA as EMA
from ddpm_core.guidance import autoguidance as autoguidance
from ddpm_core.guidance import cfg_pp as cfg_pp
from ddpm_core.guidance import guided as guided
from ddpm_core.interpolation import interpolate_classes as interpolate_classes
from ddpm_core.interpolation import interpolate_embeddings as interpolate_embeddings
from ddpm_core.network import Conditioning as Conditioning
from ddpm_core.parameterization import EPSILON as EPSILON
from ddpm_core.parameterization import X0 as X0
from ddpm_core.parameterization import V as V
from ddpm_core.registry import register as register
from ddpm_core.samplers import SampleConfig as SampleConfig
from ddpm_core.samplers import ddim as ddim
from ddpm_core.samplers import ddpm as ddpm
from ddpm_core.samplers import dpm_solver_pp as dpm_solver_pp
from ddpm_core.samplers import sample as sample
from ddpm_core.schedule import DiffusionSchedule as DiffusionSchedule
from ddpm_core.training import TrainConfig as TrainConfig
from ddpm_core.training import TrainState as TrainState
from ddpm_core.training import train as train
from ddpm_core.unet import UNetConfig as UNetConfig
from ddpm_core.unet import build_unet as build_unet

__version__: str
