"""Captions: tokens that come back as words, an encoder that padding does not touch, and a network that reads."""

import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ddpm_core import checkpoint
from ddpm_core.attention import CrossAttention, CrossAttentionLayer, PixelCrossAttention, merge_heads, split_heads
from ddpm_core.config import DATA_DIR, Preset
from ddpm_core.data import ImageData, digits
from ddpm_core.diffusion import Diffusion
from ddpm_core.parameterization import X0
from ddpm_core.samplers import sample
from ddpm_core.schedule import DiffusionSchedule
from ddpm_core.text import PAD, START, UNKNOWN, TextEncoder
from ddpm_core.training import TrainConfig, TrainState, drop_labels, train
from ddpm_tools.attention_maps import attention_maps, attention_weights, word_maps
from ddpm_tools.captions import SPECIAL, Tokenizer, build_text_unet, load_text, tokenized
from ddpm_tools.datasets import load_data
from ddpm_tools.train.resume import save_snapshot
from ddpm_tools.unet2d import UNet2DConfig

CAPTIONS = ["Red flag, a flag!", "blue flag", "a red square", "don't", "don't"]
UNET = UNet2DConfig(3, 8, 0, (32, 32), 1, (1,), groups=8, context_dim=32)


@pytest.fixture
def tokenizer():
    return Tokenizer.build(CAPTIONS)


def perturbed(net, scale=0.1):
    rng = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for p in net.parameters():
            p.add_(scale * torch.randn(p.shape, generator=rng))
    return net.eval()


def test_vocabulary_is_by_frequency_then_alphabet(tokenizer):
    assert tokenizer.words == (*SPECIAL, "flag", "a", "don't", "red") and tokenizer.length == 5
    assert Tokenizer.build(CAPTIONS[::-1]) == tokenizer
    assert Tokenizer.build(CAPTIONS, length=3, min_count=1).words[-2:] == ("blue", "square")


def test_encoding(tokenizer):
    tokens = tokenizer.encode(["RED flag", "", "green, flag? a a a a"])
    flag, a, red = (tokenizer.words.index(w) for w in ("flag", "a", "red"))
    assert tokens.tolist() == [[START, red, flag, PAD, PAD], [START, *[PAD] * 4], [START, UNKNOWN, flag, a, a]]
    assert tokens.dtype == torch.int64
    assert tokenizer.decode(tokens[2]) == ["<start>", "<unknown>", "flag", "a", "a"]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text(max_size=30), min_size=1, max_size=5), st.integers(1, 8))
def test_any_text_is_tokens_and_json(captions, length):
    tokenizer = Tokenizer.build(captions, length, min_count=1)
    assert Tokenizer.from_dict(json.loads(json.dumps(tokenizer.to_dict()))) == tokenizer
    tokens = tokenizer.encode(captions)
    assert tokens.shape == (len(captions), length) and (tokens[:, 0] == START).all()
    assert int(tokens.max()) < len(tokenizer.words) and not (tokens == UNKNOWN).any()
    words = [" ".join(tokenizer.decode(row)[1:]) for row in tokens]
    assert torch.equal(tokenizer.encode(words), tokens)


def test_what_is_no_vocabulary():
    with pytest.raises(ValueError, match="must begin with <pad>"):
        Tokenizer(("a", "b"), 3)
    with pytest.raises(ValueError, match="every word once"):
        Tokenizer((*SPECIAL, "a", "a"), 3)
    with pytest.raises(ValueError, match="at least 1 token"):
        Tokenizer(SPECIAL, 0)
    with pytest.raises(ValueError, match="no captions"):
        Tokenizer.build([])


def test_data_with_captions_and_without(tokenizer):
    data = ImageData(
        "x", "train", torch.zeros(2, 3, 8, 8, dtype=torch.uint8), torch.zeros(2).long(), ("all",), ("a", "red")
    )
    assert torch.equal(tokenized(data, tokenizer).labels, tokenizer.encode(["a", "red"]))
    with pytest.raises(ValueError, match="digits has no captions; use emoji"):
        tokenized(digits(), tokenizer)


def test_padding_changes_nothing_and_words_know_their_neighbours(rng):
    encoder = perturbed(TextEncoder(20, 8, dim=16, heads=2))
    tokens = torch.tensor([[START, 5, 6, PAD, PAD, PAD, PAD, PAD]])
    encoded, mask = encoder(tokens)
    assert mask.tolist() == [[True] * 3 + [False] * 5]
    torch.testing.assert_close(encoder(tokens[:, :3])[0], encoded[:, :3], rtol=1e-4, atol=1e-5)
    other = encoder(torch.tensor([[START, 5, 7, PAD, PAD, PAD, PAD, PAD]]))[0]
    assert (other - encoded)[:, :2].abs().amax(2).min() > 1e-3  # the words before it too
    swapped = encoder(torch.tensor([[START, 6, 5, PAD, PAD, PAD, PAD, PAD]]))[0]
    assert (swapped[:, 0] - encoded[:, 0]).abs().max() > 1e-4  # order counts


def test_the_encoder_is_pytorchs_with_layers_of_their_own(rng):
    encoder = TextEncoder(20, 6, dim=16, layers=2, heads=2)
    first, second = (layer.linear1.weight for layer in encoder.layers)
    assert not torch.equal(first, second)
    theirs = torch.nn.TransformerEncoder(
        torch.nn.TransformerEncoderLayer(16, 2, 64, 0.0, "gelu", batch_first=True, norm_first=True),
        2, torch.nn.LayerNorm(16), enable_nested_tensor=False,
    )  # fmt: skip
    for mine, layer in zip(encoder.layers, theirs.layers):
        layer.load_state_dict(mine.state_dict())
    tokens = torch.tensor([[START, 5, 6, 7, PAD, PAD], [START, 9, PAD, PAD, PAD, PAD]])
    h = encoder.words(tokens) + encoder.positions.weight
    wanted = theirs(h, src_key_padding_mask=tokens == PAD)
    real = tokens != PAD
    torch.testing.assert_close(encoder(tokens)[0][real], wanted[real], rtol=1e-4, atol=1e-5)


def test_no_caption_is_the_empty_caption_and_each_sample_reads_its_own(tokenizer, rng):
    net = perturbed(build_text_unet(UNET, tokenizer))
    x, t = torch.randn(3, 3, 8, 8, generator=rng), torch.tensor([1, 300, 900])
    assert torch.equal(net.null_cond, tokenizer.encode([""]))
    torch.testing.assert_close(net(x, t), net(x, t, tokenizer.encode([""] * 3)))
    one, two = tokenizer.encode(["red flag", "a", "flag"]), tokenizer.encode(["red flag", "red", "flag"])
    moved = (net(x, t, one) - net(x, t, two)).abs().flatten(1).amax(1)
    assert moved[1] > 1e-3 and (moved[[0, 2]] < 1e-5).all()
    alone = torch.cat([net(x[i : i + 1], t[i : i + 1], one[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(net(x, t, one), alone, rtol=1e-4, atol=1e-5)


def test_both_doors_carry_the_text(tokenizer, rng):
    """The words through cross-attention alone, and their summary through the conditioning alone."""
    x, t = torch.randn(2, 3, 8, 8, generator=rng), torch.tensor([1, 300])
    for conditioning, cut in (("none", None), ("add", "cross")):
        net = perturbed(build_text_unet(UNET, tokenizer, conditioning))
        if cut:
            for module in net.modules():
                if isinstance(module, PixelCrossAttention):
                    torch.nn.init.zeros_(module.out.weight)
        moved = net(x, t, tokenizer.encode(["red"] * 2)) - net(x, t, tokenizer.encode(["flag"] * 2))
        assert moved.abs().max() > 1e-3


def test_weights_come_from_the_seed_alone(tokenizer):
    before = torch.get_rng_state()
    nets = [build_text_unet(UNET, tokenizer, seed=s) for s in (1, 1, 2)]
    assert torch.equal(before, torch.get_rng_state())
    one, same, other = (torch.cat([p.flatten() for p in n.encoder.parameters()]) for n in nets)
    assert torch.equal(one, same) and not torch.equal(one, other)
    with pytest.raises(ValueError, match=r"cross-attention; use ddpm_tools.unet2d's, with a context_dim"):
        build_text_unet(UNet2DConfig(3, 8, 0, (32, 32)), tokenizer)


def test_dropped_captions_are_empty_ones_each_for_itself(tokenizer, rng):
    tokens = tokenizer.encode(["red flag"] * 2000)
    dropped = drop_labels(tokens, 0.15, tokenizer.encode([""]), rng)
    empty = (dropped == tokenizer.encode([""])).all(1)
    assert torch.equal(dropped[~empty], tokens[~empty]) and 0.12 < empty.float().mean() < 0.18


def squares(n_each=8):
    """8×8 pictures of a bright half in one of two colours: what the caption says is what is to be seen."""
    images, captions = [], []
    for k, colour in enumerate(("red", "blue")):
        for side, columns in (("left", slice(0, 4)), ("right", slice(4, 8))):
            picture = torch.zeros(3, 8, 8, dtype=torch.uint8)
            picture[2 * k, :, columns] = 255
            images += [picture] * n_each
            captions += [f"{colour} {side}"] * n_each
    labels = torch.zeros(len(images), dtype=torch.long)
    return ImageData("squares", "train", torch.stack(images), labels, ("all",), tuple(captions))


def test_a_short_training_learns_to_read():
    """Training, dropout, guidance and sampling with captions in place of labels, by cross-attention alone.

    With this much noise (abar below 0.003) nothing but the caption says what to draw.
    """
    data = squares()
    tokenizer = Tokenizer.build(data.captions)
    unet = UNet2DConfig(3, 8, 0, (32,), 1, (0,), groups=8, context_dim=32)
    config = TrainConfig(steps=130, batch_size=32, lr=4e-3, warmup=5, ema_decay=0.8)
    schedule = DiffusionSchedule(torch.linspace(3e-3, 1e-4, 20))
    state = TrainState.start(Diffusion(build_text_unet(unet, tokenizer, "none"), schedule, X0), config)
    for _ in train(state, tokenized(data, tokenizer), config):
        pass
    asked = ["red left", "red right", "blue left", "blue right"]
    tokens = tokenizer.encode(asked).repeat(4, 1)
    images = sample(state.averaged, tokens, w=1.5, steps=3)  # (16, 3, 8, 8)
    wanted = torch.stack([data.floats(data.captions.index(c)) for c in asked])  # (4, 3, 8, 8)
    distances = (images[:, None] - wanted).square().mean((2, 3, 4))  # (16, 4): which caption fits best?
    assert (distances.argmin(1) == torch.arange(16) % 4).float().mean() >= 0.9


@pytest.mark.parametrize("kind", ["tokens", "pixels", "one", "several"])
def test_attention_maps_are_the_weights_that_were_used(kind, rng):
    """Values mixed by the recorded weights are what the layer itself put out."""
    mask, context = None, torch.randn(3, 5, 12, generator=rng)
    if kind in ("tokens", "pixels"):
        mask = torch.tensor([[1, 1, 1, 1, 1], [1, 0, 0, 1, 0], [0, 0, 0, 0, 0]], dtype=torch.bool)
        layer = perturbed((CrossAttention if kind == "tokens" else PixelCrossAttention)(32, 12))
        x = torch.randn(3, 16, 32, generator=rng) if kind == "tokens" else torch.randn(3, 32, 4, 4, generator=rng)
        v, project = layer.v, layer.out
    else:
        layer, x = perturbed(CrossAttentionLayer(32, 12)), torch.randn(3, 32, 4, 4, generator=rng)
        context = context[:, 0] if kind == "one" else context
        v, project = layer.v_proj, layer.out_proj
    with attention_maps(layer) as maps:
        out = layer(x, context) if mask is None else layer(x, context, mask=mask)
    ((_, weights),) = maps
    assert weights.shape == (3, 4, 16, 1 if kind == "one" else 5)
    values = split_heads(v(context if context.dim() == 3 else context[:, None]), 4)  # (B, nh, S, d)
    told = project(merge_heads(weights @ values))  # (B, L, C)
    added = out - x if kind == "tokens" else (out - x).flatten(2).transpose(1, 2)
    torch.testing.assert_close(told, added, rtol=1e-3, atol=1e-4)
    full = weights.sum(-1)
    rows = torch.ones(3) if mask is None else mask.any(1).float()
    torch.testing.assert_close(full, rows[:, None, None].expand_as(full))
    if kind == "tokens":
        assert (weights[1][..., ~mask[1]] == 0).all()
        layer(x, context, mask)
        assert len(maps) == 1  # outside of `with`, nothing is recorded
        with attention_maps(layer) as again:
            layer(x, context, mask)  # by position too
        torch.testing.assert_close(again[0].weights, weights)


def test_attention_weights_closed_form():
    q, k = torch.tensor([[[2.0, 0.0]]]), torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])
    wanted = torch.tensor([2.0, 0.0]).div(2**0.5).exp()
    torch.testing.assert_close(attention_weights(q, k, 1)[0, 0, 0], wanted / wanted.sum())


def test_a_map_for_every_layer_pass_and_word(tokenizer, rng):
    net = perturbed(build_text_unet(UNET, tokenizer))
    layers = [m for m in net.modules() if isinstance(m, PixelCrossAttention)]
    x, tokens = torch.randn(2, 3, 8, 8, generator=rng), tokenizer.encode(["red flag", "a"])
    with attention_maps(net) as maps:
        plain = net(x, torch.tensor([1, 2]), tokens)
        net(x, torch.tensor([1, 2]), tokens)
    torch.testing.assert_close(net(x, torch.tensor([1, 2]), tokens), plain)  # looking changes nothing
    assert len(maps) == 2 * len(layers) and len({m.layer for m in maps}) == len(layers)
    words = word_maps(maps, 8)
    assert words.shape == (2, 5, 8, 8)
    torch.testing.assert_close(words.sum(1), torch.ones(2, 8, 8))
    assert (words[0, 3:] == 0).all() and (words[1, 2:] == 0).all()  # nobody looks at padding
    with pytest.raises(ValueError, match="no attention was recorded"):
        word_maps([], 8)


def test_word_maps_show_where_a_word_is():
    weights = torch.zeros(1, 2, 16, 3)
    weights[..., 0] = 1
    weights[:, :, 5] = torch.tensor([0.0, 1.0, 0.0])  # pixel (1, 1) of 4×4 looks at word 1
    shown = word_maps([("layer", weights)], 4)
    assert shown[0, 1, 1, 1] == 1 and shown[0, 1].sum() == 1 and shown[0, 2].sum() == 0


def test_emoji_captions_fit():
    data = load_data("emoji")
    tokenizer = Tokenizer.build(data.captions)
    tokens = tokenized(data, tokenizer).labels
    assert tokens.shape == (1719, 14) and 500 < len(tokenizer.words) < 600
    assert 0.02 < (tokens == UNKNOWN).float().sum() / (tokens > START).sum() < 0.3


def test_a_saved_model_reads_as_before(tokenizer, tmp_path, rng):
    config = Preset(conditioning="none", unet=UNET, train=TrainConfig(steps=1))
    state = TrainState.start(config.diffusion(perturbed(build_text_unet(UNET, tokenizer, "none"))), config.train)
    save_snapshot(tmp_path / "text", state, config, tokenizer=tokenizer.to_dict())
    net, words, record = load_text(tmp_path / "text")
    assert words == tokenizer and record["config"]["conditioning"] == "none" and not net.training
    x, t, tokens = torch.randn(2, 3, 8, 8, generator=rng), torch.tensor([1, 2]), words.encode(["red flag", "a"])
    wanted = state.ema.module(x, t, tokens)
    torch.testing.assert_close(net(x, t, tokens), wanted, rtol=1e-2, atol=1e-2)  # float16
    with pytest.raises(checkpoint.CheckpointError, match="is not a caption model"):
        load_text(DATA_DIR / "checkpoints/digits")
