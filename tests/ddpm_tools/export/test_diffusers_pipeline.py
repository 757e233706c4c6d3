import json
from dataclasses import replace

import pytest
import torch
from diffusers import DDIMPipeline, DDIMScheduler, UNet2DModel
from safetensors.torch import load_file, save_file

from ddpm_core import checkpoint
from ddpm_core.conditioning import strategy
from ddpm_core.config import Preset
from ddpm_core.samplers import ddim_timesteps, sample
from ddpm_core.schedule import SCHEDULES, DiffusionSchedule
from ddpm_core.streams import stream
from ddpm_core.training import TrainState
from ddpm_core.unet import UNetConfig, build_unet
from ddpm_tools.cli.main import main
from ddpm_tools.export.diffusers_files import EXACT, WEIGHTS
from ddpm_tools.export.diffusers_pipeline import export_pipeline, import_pipeline
from ddpm_tools.export.diffusers_scheduler import read_scheduler, scheduler_config
from ddpm_tools.export.diffusers_unet import DiffusersError, from_diffusers_config, to_diffusers_config
from ddpm_tools.train.resume import save_training
from ddpm_tools.unet2d import UNet2DConfig
from tests.ddpm_core.test_unet import perturbed

UNET = UNet2DConfig(1, 8, 10, (16, 32), 1, (1,), groups=8, head_dim=16)


def loaded(tmp_path, preset):
    """A checkpoint on disk, read back, its two networks different from each other."""
    net = perturbed(build_unet(preset.unet, strategy(preset.conditioning)), 0.02)
    state = TrainState.start(preset.diffusion(net), preset.train)
    perturbed(state.ema.module, 0.02)
    path = save_training(tmp_path / "run", state, preset, resumable=False)
    return checkpoint.load(path)


def noise_sources(n):
    """One generator an image, as our sampler has them: then both sides begin with the same noise."""
    return [stream(0, "sample", i) for i in range(n)]


@pytest.mark.parametrize("parameterization", ["epsilon", "v", "x0"])
@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("conditioning,classes", [("none", 0), ("none", 10), ("add", 0)])
def test_ddim_pipeline_makes_our_images(tmp_path, conditioning, classes, schedule, parameterization):
    preset = Preset("digits", conditioning, schedule, parameterization, replace(UNET, num_classes=classes))
    model = loaded(tmp_path, preset)
    out = export_pipeline(model, tmp_path / "out")
    exact = DDIMScheduler.from_pretrained(out, subfolder="scheduler" if schedule == "linear" else EXACT)
    pipeline = DDIMPipeline.from_pretrained(out, scheduler=exact)
    pipeline.set_progress_bar_config(disable=True)
    theirs = pipeline(
        3, noise_sources(3), num_inference_steps=10, use_clipped_model_output=True, output_type="pt"
    ).images  # fmt: skip
    ours = sample(model.diffusion(), torch.zeros(3).long(), 1.0, 10)
    torch.testing.assert_close(ours / 2 + 0.5, theirs, rtol=0, atol=1e-4)
    assert (ours.abs() < 0.99).float().mean() > 0.02  # not only what clamping leaves


@pytest.mark.parametrize("raw", [False, True])
def test_class_labels_reproduce_a_class_conditional_network(tmp_path, raw, rng):
    model = loaded(tmp_path, Preset(unet=UNET))
    out = export_pipeline(model, tmp_path / "out", raw)
    theirs = UNet2DModel.from_pretrained(out, subfolder="unet").eval()
    x, t, y = torch.randn(4, 1, 8, 8, generator=rng), torch.tensor([0, 9, 400, 999]), torch.tensor([0, 3, 9, 10])
    with torch.no_grad():
        own = (model.raw if raw else model.ema)(x, t, y)
        torch.testing.assert_close(theirs(x, t, class_labels=y).sample, own, rtol=1e-5, atol=1e-5)
        assert (model.raw(x, t, y) - model.ema(x, t, y)).abs().max() > 1e-2
    assert theirs.config.num_class_embeds == 11
    assert (out / "unet" / WEIGHTS).stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_the_scheduler_is_ours(schedule):
    preset = Preset(schedule=schedule, parameterization="v")
    theirs = DDIMScheduler(**scheduler_config(preset))
    abar = DiffusionSchedule.named(schedule).alphas_cumprod
    torch.testing.assert_close(theirs.alphas_cumprod, abar, rtol=1e-3, atol=1e-7)
    theirs.set_timesteps(50)
    assert theirs.timesteps.tolist() == ddim_timesteps(1000, 50).tolist()
    assert (theirs.config.prediction_type, theirs.config.clip_sample) == ("v_prediction", True)
    read, remarks = read_scheduler(json.loads(json.dumps(dict(theirs.config))))
    assert read == {"schedule": schedule, "timesteps": 1000, "betas": (), "parameterization": "v"}
    assert remarks == [f"betas: {schedule}, 1000 timesteps"]


@pytest.mark.parametrize("conditioning,classes", [("none", 0), ("add", 10)])
def test_there_and_back(tmp_path, conditioning, classes):
    preset = Preset("digits", conditioning, "cosine", "v", replace(UNET, num_classes=classes, head_dim=None))
    model = loaded(tmp_path, preset)
    path = import_pipeline(export_pipeline(model, tmp_path / "out"), tmp_path / "back", "digits")
    back = checkpoint.load(path)
    assert back.preset == preset  # its exact betas, not those for every solver, and its null class
    for net in (back.ema, back.raw):
        assert all(torch.equal(v, net.state_dict()[k]) for k, v in model.ema.state_dict().items())


PUBLISHED = {  # google/ddpm-cifar10-32, but for its widths
    "_class_name": "UNet2DModel",
    "_diffusers_version": "0.0.4",
    "act_fn": "silu",
    "attention_head_dim": None,
    "block_out_channels": [32, 64, 64, 64],
    "center_input_sample": False,
    "down_block_types": ["DownBlock2D", "AttnDownBlock2D", "DownBlock2D", "DownBlock2D"],
    "downsample_padding": 0,
    "flip_sin_to_cos": False,
    "freq_shift": 1,
    "in_channels": 3,
    "layers_per_block": 2,
    "mid_block_scale_factor": 1,
    "norm_eps": 1e-06,
    "norm_num_groups": 32,
    "out_channels": 3,
    "sample_size": 32,
    "time_embedding_type": "positional",
    "up_block_types": ["UpBlock2D", "UpBlock2D", "AttnUpBlock2D", "UpBlock2D"],
}
SCHEDULER = {
    "_class_name": "DDPMScheduler",
    "_diffusers_version": "0.1.1",
    "beta_end": 0.02,
    "beta_schedule": "linear",
    "beta_start": 0.0001,
    "clip_sample": True,
    "num_train_timesteps": 1000,
    "trained_betas": None,
    "variance_type": "fixed_large",
}


@pytest.fixture
def published(tmp_path):
    """A folder as it was published in 2022: all files side by side, and attention layers under their first names."""
    folder = tmp_path / "ddpm-cifar10-32"
    folder.mkdir()
    net = perturbed(UNet2DModel(**{k: v for k, v in PUBLISHED.items() if k[0] != "_"}), 0.02)
    old = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    state = net.state_dict()
    for new, name in old.items():
        state = {k.replace(f".{new}.", f".{name}."): v for k, v in state.items()}
    save_file(state, folder / WEIGHTS)
    (folder / "config.json").write_text(json.dumps(PUBLISHED))
    (folder / "scheduler_config.json").write_text(json.dumps(SCHEDULER))
    return folder


def test_a_published_folder_loads(published, tmp_path, rng):
    model = checkpoint.load(import_pipeline(published, tmp_path / "in", "cifar10"))
    assert (model.preset.conditioning, model.preset.schedule, model.preset.parameterization) == (
        "none", "linear", "epsilon",
    )  # fmt: skip
    theirs = UNet2DModel.from_pretrained(published).eval()  # diffusers itself understands the old names
    x, t = torch.randn(2, 3, 32, 32, generator=rng), torch.tensor([3, 950])
    with torch.no_grad():
        torch.testing.assert_close(model.ema(x, t), theirs(x, t).sample, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "key,value",
    [
        ("act_fn", "gelu"),
        ("resnet_time_scale_shift", "scale_shift"),
        ("time_embedding_type", "fourier"),
        ("center_input_sample", True),
        ("add_attention", False),
        ("mid_block_type", None),
        ("mid_block_scale_factor", 2),
        ("downsample_type", "resnet"),
        ("upsample_type", "resnet"),
        ("attn_norm_num_groups", 16),
        ("class_embed_type", "timestep"),
        ("time_embedding_dim", 64),
        ("num_train_timesteps", 500),
        ("cross_attention_dim", 768),
        ("sample_size", [32, 16]),
        ("sample_size", None),
        ("out_channels", 6),
        ("num_class_embeds", 0),
        ("up_block_types", ["UpBlock2D"] * 4),
        ("down_block_types", ["DownBlock2D", "AttnDownBlock2D", "DownBlock2D", "SkipDownBlock2D"]),
        ("_class_name", "UNet2DConditionModel"),
        ("block_out_channels", [32, 64, 64, 70]),
        ("norm_num_groups", 7),
    ],
)
def test_what_we_lack_is_refused_by_name(key, value):
    words = {
        "out_channels": "out_channels = 6; only 3",
        "_class_name": "UNet2DConditionModel",
        "up_block_types": "blocks .* are unknown here",
        "down_block_types": "blocks .* are unknown here",
        "block_out_channels": "multiples of 32",
        "norm_num_groups": "multiples of 7",
    }
    with pytest.raises(ValueError, match=words.get(key, key)):
        from_diffusers_config({**PUBLISHED, key: value})


@pytest.mark.parametrize(
    "more", [{"class_embed_type": None, "dropout": 0.0, "act_fn": "swish"}, {"num_class_embeds": 4}]
)
def test_configs_survive_the_way_there_and_back(more):
    ours = from_diffusers_config({**PUBLISHED, **more})
    assert ours.num_classes == more.get("num_class_embeds", 0)
    theirs = UNet2DModel(**to_diffusers_config(ours)).config
    assert from_diffusers_config({**theirs, "_class_name": "UNet2DModel"}) == ours


@pytest.mark.parametrize(
    "key,value",
    [
        ("rescale_betas_zero_snr", True),
        ("prediction_type", "flow_prediction"),
        ("beta_schedule", "own"),
        ("beta_end", "high"),
        ("beta_end", 1.5),
        ("num_train_timesteps", 10**12),
        ("num_train_timesteps", "many"),
        ("trained_betas", [0.0] * 1000),
        ("_class_name", "FlowMatchEulerDiscreteScheduler"),
        ("_class_name", "UNet2DModel"),
        ("_class_name", None),
    ],
)
def test_schedulers_that_make_no_ddpm_are_refused_by_name(key, value):
    name = {"beta_schedule": "own is not implemented", "beta_end": "betas", "trained_betas": "betas"}.get(key, key)
    name = "it has none, so its model is not a DDPM" if str(value).startswith("Flow") else name
    with pytest.raises(DiffusersError, match=name):
        read_scheduler({**SCHEDULER, key: value})


@pytest.mark.parametrize(
    "change,sentence",
    [
        ({"unet": UNetConfig(1, 8, 10, (16, 32), 1)}, "our architecture v2"),
        (
            {"conditioning": "adaln_zero", "unet": replace(UNET, groups=16)},
            "no conditioning 'adaln_zero'; it has add, none",
        ),
        ({"unet": replace(UNET, context_dim=16)}, "no cross-attention to a context"),
        ({"parameterization": "blend"}, "do not know the parameterization 'blend'; they know epsilon, v, x0"),
    ],
)
def test_what_diffusers_lacks_is_refused_by_name(change, sentence, tmp_path):
    with pytest.raises(DiffusersError, match=sentence):
        export_pipeline(loaded(tmp_path, replace(Preset(unet=UNET), **change)), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_export_is_all_or_nothing_and_replaces_nothing(tmp_path, monkeypatch):
    model = loaded(tmp_path, Preset(unet=UNET))

    def fails(self, folder, **_):
        folder.mkdir()
        (folder / "model_index.json").write_text("{}")
        raise OSError("no space left on device")

    with monkeypatch.context() as m:
        m.setattr(DDIMPipeline, "save_pretrained", fails)
        with pytest.raises(OSError, match="no space"):
            export_pipeline(model, tmp_path / "out")
    assert sorted(f.name for f in tmp_path.iterdir()) == ["run.json", "run.safetensors"]
    out = export_pipeline(model, tmp_path / "out")
    assert sorted(f.name for f in out.iterdir()) == ["model_index.json", "scheduler", EXACT, "unet"]
    with pytest.raises(DiffusersError, match="exists already; choose another --out"):
        export_pipeline(model, out)


def test_folders_that_cannot_be_read_say_why(published, tmp_path):
    def refuses(sentence):
        with pytest.raises(ValueError, match=sentence):
            import_pipeline(published, tmp_path / "in")
        assert not list(tmp_path.glob("in*"))

    weights, config = published / WEIGHTS, published / "config.json"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-10])
    refuses("truncated or damaged; fetch it again")
    save_file({k: v for k, v in load_file_of(whole).items() if k != "conv_in.bias"}, weights)
    refuses("do not fit its config.json")
    save_file(load_file_of(whole) | {"mid_block.extra.weight": torch.zeros(1)}, weights)
    refuses("the weights contain mid_block.extra.weight")
    weights.rename(published / "diffusion_pytorch_model.bin")
    refuses("only as diffusion_pytorch_model.bin, a pickle, which can run code")
    (published / "diffusion_pytorch_model.bin").unlink()
    refuses(f"{WEIGHTS} is missing")
    weights.write_bytes(whole)
    (published / "scheduler_config.json").rename(tmp_path / "kept")
    refuses("has no scheduler_config.json; give --schedule")
    (published / "scheduler_config.json").write_text("[]")
    refuses("is not a JSON object")
    for text, sentence in (
        ("{", "it is not JSON"),
        (json.dumps(PUBLISHED | {"block_out_channels": 3}), "has the wrong type"),
        (json.dumps(PUBLISHED | {"layers_per_block": "two"}), "has the wrong type"),
        (json.dumps(PUBLISHED | {"num_class_embeds": "ten"}), "has the wrong type"),
        (json.dumps(PUBLISHED | {"norm_eps": "small"}), "has the wrong type"),
        (json.dumps(PUBLISHED | {"layers_per_block": 0}), "blocks_per_level must be at least 1"),
    ):
        config.write_text(text)
        refuses(sentence)
    config.unlink()
    refuses("is not a diffusers folder")


def load_file_of(content):
    from safetensors.torch import load

    return load(content)


def test_the_commands(published, tmp_path, capsys):
    main(["import-diffusers", str(published), "--data", "cifar10", "--out", str(tmp_path / "run")])
    assert "unconditional" in capsys.readouterr().out
    main(
        ["sample", "--checkpoint", str(tmp_path / "run"), "--steps", "1", "--n", "1", "--out", str(tmp_path / "a.png")]
    )
    assert (tmp_path / "a.png").is_file()
    capsys.readouterr()
    main(["export-diffusers", "--checkpoint", str(tmp_path / "run"), "--out", str(tmp_path / "pipe")])
    assert "DDIMPipeline.from_pretrained" in capsys.readouterr().out
    state = {k: v for k, v in load_file(tmp_path / "pipe/unet" / WEIGHTS).items()}
    assert not [k for k in state if "query" in k]
    for argv, sentence in (
        (["export-diffusers", "--out", tmp_path / "other"], "our architecture v2"),
        (["import-diffusers", tmp_path, "--out", tmp_path / "other"], "is not a diffusers folder"),
        (["import-diffusers", tmp_path / "gone", "--out", tmp_path / "other"], "there is no folder"),
        (["import-diffusers", published / WEIGHTS, "--out", tmp_path / "other"], "give the diffusers folder"),
        (["import-diffusers", published, "--out", tmp_path / "run"], "exists already"),
    ):
        with pytest.raises(SystemExit) as e:
            main([str(a) for a in argv])
        err = capsys.readouterr().err
        assert e.value.code == 2 and sentence in err and "Traceback" not in err and len(err.splitlines()) == 1
