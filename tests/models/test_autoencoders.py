"""Autoencoders: sizes, shapes, gradients, tied weights, sampling, quantisation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from experiments.models.autoencoder import Autoencoder
from experiments.models.conv_autoencoder import ConvAutoencoder
from experiments.models.encoder_classifier import ConvEncoderClassifier, EncoderClassifier
from experiments.models.pca import PCA
from experiments.models.vae import VAE, ConvVAE
from experiments.models.vector_quantised import VQAutoencoder
from experiments.run.layer_table import layer_table
from experiments.spec import ImageSpec
from experiments.tasks.peers.pca import Components

ALL = [Autoencoder, ConvAutoencoder, VAE, ConvVAE, VQAutoencoder]


def count(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def test_parameter_counts() -> None:
    assert count(Autoencoder()) == 209_968
    assert count(Autoencoder(tied=True)) == 209_968 - 784 * 128 - 128 * 32
    assert count(ConvAutoencoder()) == 111_521
    assert count(VAE()) == 652_824
    assert count(ConvVAE()) == 105_257
    assert count(VQAutoencoder()) == 12_681


@pytest.mark.parametrize("build", ALL)
@pytest.mark.parametrize("size", [(4, 4), (8, 8), (28, 28), (31, 33)])
def test_pictures_come_back_in_their_size_with_pixels(build: Callable[..., Any], size: tuple[int, int]) -> None:
    for channels in (1, 3):
        model = build(channels, size)
        assert [name for name, _ in model.named_children()] == ["encoder", "latent", "decoder"]
        out = model(torch.randn(5, channels, *size))
        assert out.shape == (5, channels, *size)
        assert out.min() >= 0 and out.max() <= 1
        assert model.latent(model.encoder(torch.zeros(2, channels, *size))).flatten(1).shape[1] == model.latent_size


@pytest.mark.parametrize("build", ALL)
def test_every_parameter_learns(build: Callable[..., Any]) -> None:
    torch.manual_seed(0)
    model = build(1, (8, 8))
    features = model.encoder(torch.randn(4, 1, 8, 8))
    code, penalty = model.latent.with_penalty(features) if build is VQAutoencoder else (model.latent(features), 0)
    (model.decoder(code).sum() + penalty).backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_tied_weights_are_the_encoders() -> None:
    model = Autoencoder(1, (4, 4), hidden=[10, 6], latent_size=3, tied=True)
    linear = [layer for layer in (*model.encoder, *model.latent) if isinstance(layer, nn.Linear)]
    mirrored = [layer for layer in model.decoder if hasattr(layer, "weight")]
    assert [layer.weight is twin.weight for layer, twin in zip(linear, reversed(mirrored), strict=True)] == [True] * 3
    spec = ImageSpec(1, 4, 4, ("a", "b"), (0.0,), (1.0,))
    assert layer_table(model, spec).parameters == count(model)
    again = Autoencoder(1, (4, 4), hidden=[10, 6], latent_size=3, tied=True)
    again.load_state_dict(model.state_dict())
    images = torch.randn(2, 1, 4, 4)
    assert torch.equal(again(images), model(images))


def test_variational_codes_are_drawn_while_training_and_the_mean_otherwise() -> None:
    model = VAE(1, (4, 4), hidden=[8], latent_size=3)
    images = torch.randn(2, 1, 4, 4)
    assert not torch.equal(model(images), model(images))
    model.eval()
    assert torch.equal(model(images), model(images))
    mean, log_variance = model.latent.posterior(model.encoder(images))
    assert torch.equal(model.latent(model.encoder(images)), mean)
    assert log_variance.shape == mean.shape == (2, 3)


def test_quantised_places_hold_vectors_of_the_book() -> None:
    torch.manual_seed(0)
    model = VQAutoencoder(1, (8, 8), entries=5, latent_size=3).eval()
    features = model.encoder(torch.randn(4, 1, 8, 8))
    indices, code = model.latent.indices(features), model.latent(features)
    assert torch.allclose(code.permute(0, 2, 3, 1), model.latent.book[indices], atol=1e-6)
    values = model.latent.project(features).permute(0, 2, 3, 1)
    nearest = torch.cdist(values.reshape(-1, 3), model.latent.book).argmin(1).view(indices.shape)
    assert torch.equal(indices, nearest)


def test_pixels_stay_apart_from_one_in_half_precision() -> None:
    model = Autoencoder(1, (4, 4), hidden=[4], latent_size=2).bfloat16()
    model.decoder[2].bias.data.fill_(9.0)
    out = model(torch.zeros(1, 1, 4, 4, dtype=torch.bfloat16))
    assert out.dtype == torch.float32 and bool((out < 1).all())


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: Autoencoder(hidden=[0]), ["model.hidden=[0]"]),
        (lambda: Autoencoder(latent_size=0), ["model.latent_size=0"]),
        (lambda: Autoencoder(code="gelu"), ["model.code=gelu", "relu"]),
        (lambda: Autoencoder(output="tanh"), ["model.output=tanh", "sigmoid"]),
        (lambda: ConvAutoencoder(1, (3, 3)), ["3×3", "4 pixels", "data.size"]),
        (lambda: ConvAutoencoder(channels=[]), ["model.channels=[]"]),
        (lambda: VQAutoencoder(entries=1), ["model.entries=1"]),
    ],
)
def test_what_they_refuse(build: Callable[[], Any], words: list[str]) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        build()
    assert all(word in str(caught.value) for word in words)


@pytest.mark.parametrize(
    ("whole", "part"), [(Autoencoder, EncoderClassifier), (ConvAutoencoder, ConvEncoderClassifier)]
)
def test_a_classifier_has_the_encoders_stages(whole: Callable[..., Any], part: Callable[..., Any]) -> None:
    theirs, ours = whole(1, (8, 8)).state_dict(), part(1, (8, 8), 3).state_dict()
    assert {key for key in ours if not key.startswith("head.")} == {
        key for key in theirs if not key.startswith("decoder.")
    }
    assert part(1, (8, 8), 3)(torch.zeros(2, 1, 8, 8)).shape == (2, 3)


def test_pca_as_a_model_is_pca() -> None:
    images = torch.rand(60, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    mean, std = torch.tensor([0.4, 0.5, 0.6]).view(1, 3, 1, 1), torch.tensor([0.1, 0.2, 0.3]).view(1, 3, 1, 1)
    model = PCA(3, (4, 4), latent_size=5)
    model.fit(images, mean, std)
    theirs = Components(images, 5).restored(images)
    assert torch.allclose(model((images - mean) / std), theirs, atol=1e-4)
    assert count(model) == 0
    with pytest.raises(ValueError, match=r"model\.latent_size=99"):
        PCA(3, (4, 4), latent_size=99)


def test_the_linear_autoencoder_finds_the_subspace_of_pca() -> None:
    """Baldi and Hornik, 1989: the least error of a linear autoencoder is that of PCA, in the same subspace."""
    torch.manual_seed(0)
    scales = torch.tensor([3.0, 2.0, 1.5, *[0.3] * 13])
    basis = torch.linalg.qr(torch.randn(16, 16))[0]
    images = (0.5 + torch.randn(300, 16) * scales @ basis.t()).view(-1, 1, 4, 4)
    pca = Components(images, 3)
    model = Autoencoder(1, (4, 4), hidden=[], latent_size=3, activation="linear", output="linear")
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=300, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        error = (model(images) - images).square().mean()
        error.backward()
        return error

    optimizer.step(loss)  # type: ignore[arg-type]
    theirs = (pca.codes(images) @ pca.axes + pca.mean).view_as(images)
    assert float((model(images) - images).square().mean()) == pytest.approx(
        float((theirs - images).square().mean()), rel=1e-3
    )
    ours = torch.linalg.qr(model.decoder[0].weight)[0]  # (16, 3), the plane that codes span
    cosines = torch.linalg.svdvals(ours.t() @ pca.axes.t())
    assert float(cosines.min()) > 0.999
