"""The arithmetic of the autoencoders' tasks against references: errors, penalties, noise, coding, colours, distances."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image

from experiments.errors import UserError
from experiments.tasks.colourisation import TO_YCBCR, changed
from experiments.tasks.parts.corruption import Corruption
from experiments.tasks.parts.image_similarity import colourfulness, mse, psnr, ssim
from experiments.tasks.parts.normal_distributions import divergence, frechet
from experiments.tasks.peers import filters
from experiments.tasks.peers.neighbours import few_labels, knn_accuracy, trustworthiness
from experiments.tasks.peers.pca import Components
from experiments.tasks.peers.rate import Coder, at, jpeg_curve, pca_curve
from experiments.tasks.reconstruction import sparsity, steepness


@pytest.fixture
def images() -> torch.Tensor:
    """(6, 3, 16, 16) smooth pictures from 0 to 1."""
    rough = torch.rand(6, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    return torch.nn.functional.interpolate(rough, size=16, mode="bilinear")


def test_likeness_is_that_of_scikit_image(images: torch.Tensor) -> None:
    from skimage.metrics import mean_squared_error, peak_signal_noise_ratio, structural_similarity

    noisy = (images + 0.1 * torch.randn(images.shape, generator=torch.Generator().manual_seed(1))).clamp(0, 1)
    for place in range(len(images)):
        a, b = noisy[place].numpy(), images[place].numpy()
        assert float(mse(noisy, images)[place]) == pytest.approx(mean_squared_error(a, b), rel=1e-4)
        assert float(psnr(noisy, images)[place]) == pytest.approx(peak_signal_noise_ratio(b, a, data_range=1), rel=1e-4)
        theirs = structural_similarity(a, b, data_range=1, channel_axis=0)
        # Theirs leaves out a border that is not wholly covered; so does this.
        assert float(ssim(noisy, images)[place]) == pytest.approx(theirs, abs=1e-3)
    assert float(psnr(images, images).max()) == pytest.approx(100)
    assert torch.allclose(ssim(images[..., :3, :3], images[..., :3, :3]), torch.ones(6))


def test_the_slope_of_a_linear_code_is_its_matrix() -> None:
    torch.manual_seed(0)
    matrix = torch.randn(3, 16)
    inputs = torch.randn(4000, 1, 4, 4, requires_grad=True)
    slope = float(steepness(inputs, inputs.flatten(1) @ matrix.t()))
    assert slope == pytest.approx(float(matrix.square().sum()), rel=0.05)


def test_sparsity_is_nothing_at_its_target() -> None:
    assert float(sparsity(torch.full((5, 3), 0.05), "kl", 0.05)) == pytest.approx(0, abs=1e-6)
    assert float(sparsity(torch.full((5, 3), 0.5), "kl", 0.05)) > 0.4
    assert float(sparsity(torch.tensor([[-1.0, 3.0]]), "l1", 0.05)) == 2


def test_divergence_is_that_of_torch() -> None:
    from torch.distributions import Normal, kl_divergence

    mean, log_variance = torch.randn(4, 3), torch.randn(4, 3)
    theirs = kl_divergence(Normal(mean, (0.5 * log_variance).exp()), Normal(0.0, 1.0))
    assert torch.allclose(divergence(mean, log_variance), theirs, atol=1e-5)


def test_frechet_distance_of_known_gaussians() -> None:
    random = torch.Generator().manual_seed(0)
    first = torch.randn(20_000, 3, generator=random)
    assert frechet(first, first) == pytest.approx(0, abs=1e-6)
    assert frechet(first, first + torch.tensor([1.0, 2.0, 0.0])) == pytest.approx(5, rel=1e-4)
    assert frechet(first, 3 * first) == pytest.approx(3 * 4, rel=0.05)  # (3 - 1)² a dimension


def test_kinds_of_noise(images: torch.Tensor) -> None:
    grey, many = 0.5 * torch.ones(1, 3, 16, 16), torch.full((200, 1, 16, 16), 0.5)
    noisy = Corruption("gaussian", 0.1, clip=False)(many)
    assert float((noisy - many).std()) == pytest.approx(0.1, rel=0.05)
    assert Corruption("gaussian", 2.0, clip=True)(many).min() >= 0
    masked = Corruption("masking", 0.3, clip=True)(many)
    assert float((masked == 0).float().mean()) == pytest.approx(0.3, rel=0.05)
    salted = Corruption("salt_and_pepper", 0.4, clip=True)(many)
    assert float((salted == 0).float().mean()) == pytest.approx(0.2, rel=0.1)
    assert float((salted == 1).float().mean()) == pytest.approx(0.2, rel=0.1)
    assert torch.allclose(Corruption("blur", 1.5, clip=True)(grey), grey, atol=1e-6)
    blurred = Corruption("blur", 1.5, clip=True)(images)
    assert blurred.var() < images.var() and blurred.shape == images.shape
    colour = Corruption("masking", 0.5, clip=True)(torch.ones(2, 3, 8, 8))
    assert torch.equal(colour[:, 0], colour[:, 1])
    same = [Corruption("gaussian", 0.1, clip=True)(many, 4) for _ in range(2)]
    assert torch.equal(*same)
    for kind, level in (("fog", 0.5), ("masking", 1.5), ("gaussian", 0.0)):
        with pytest.raises(UserError, match=r"task\.(noise|level)="):
            Corruption(kind, level, clip=True)


@pytest.mark.parametrize("kind", ["gaussian", "masking", "salt_and_pepper"])
def test_noise_of_evaluation_follows_from_the_image_alone(images: torch.Tensor, kind: str) -> None:
    corrupt = Corruption(kind, 0.3, clip=True)
    whole = corrupt(images, 0)
    assert torch.equal(whole, torch.cat([corrupt(some, 0) for some in images.split(3)]))
    assert torch.equal(whole.flip(0), corrupt(images.flip(0), 0))
    assert not torch.equal(whole, corrupt(images, 1)) and not torch.equal(corrupt(images), corrupt(images))


def test_filters_find_their_setting(images: torch.Tensor) -> None:
    noisy = Corruption("gaussian", 0.3, clip=True)(images[:3], 0)
    settings = filters.tuned(noisy, images[:3])
    assert set(settings) == {"median", "gaussian", "non-local means"}
    for name, setting in settings.items():
        best = float(psnr(filters.apply(name, setting, noisy), images[:3]).mean())
        assert best > float(psnr(noisy, images[:3]).mean())


def test_size_of_a_code_is_its_entropy() -> None:
    random = torch.Generator().manual_seed(0)
    values = torch.stack([torch.randint(0, 4, (20_000,), generator=random), torch.zeros(20_000).long()], 1)
    coder = Coder(values)
    assert float(coder.size(values).mean()) == pytest.approx(
        2 / 8, rel=0.01
    )  # 2 bits, and nothing for what never changes
    strange = torch.tensor([[99, 0], [-5, 7]])
    assert (coder.size(strange) > 32 / 8).all()


def test_rate_and_distortion(images: torch.Tensor) -> None:
    curve = jpeg_curve(images[:2], [5, 50, 95])
    assert [point[0] for point in curve] == sorted(point[0] for point in curve)
    assert curve[0][1] < curve[2][1]
    whole = io.BytesIO()
    Image.fromarray((images[0].permute(1, 2, 0) * 255).byte().numpy()).save(whole, "JPEG", quality=95)
    assert curve[2][0] < len(whole.getvalue())
    points = pca_curve(images, images, [1, 4], [0.01, 1.0])
    assert len(points) == 4
    fine, coarse = points[2], points[3]
    assert fine[0] > coarse[0] and fine[1] > coarse[1]
    assert at(points, 1e9) == max(points, key=lambda point: point[1])
    assert at(points, -1) == min(points)
    # The point (30, 5, 9) is worse and larger than (20, 30, 2), so nobody would use it.
    assert at([(30.0, 5.0, 9.0), (10.0, 10.0, 4.0), (20.0, 30.0, 2.0), (40.0, 31.0, 1.0)], 15.0) == (15.0, 20.0, 3.0)


def test_components_keep_all_when_all_are_kept(images: torch.Tensor) -> None:
    pca = Components(images, 1000)
    assert pca.most == 6
    assert torch.allclose(pca.restored(images), images, atol=1e-4)
    assert float(mse(pca.restored(images, 1), images).mean()) > float(mse(pca.restored(images, 4), images).mean())


def test_neighbours_and_few_labels() -> None:
    random = torch.Generator().manual_seed(0)
    labels = torch.arange(200) % 4
    good = torch.nn.functional.one_hot(labels, 4).float() + 0.1 * torch.randn(200, 4, generator=random)
    noise = torch.randn(200, 4, generator=random)
    assert knn_accuracy(good, labels, good, labels) == 1
    assert knn_accuracy(noise[:100], labels[:100], noise[100:], labels[100:]) < 0.6
    assert trustworthiness(good[:, :, None, None], good) == pytest.approx(1)
    assert trustworthiness(good[:, :, None, None], noise) < 0.9
    assert np.isnan(trustworthiness(good[:3, :, None, None], good[:3]))
    accuracies = few_labels({"good": (good, good), "noise": (noise, noise)}, labels, labels, [2, 16, 10_000])
    assert len(accuracies["good"]) == 1, "two labels are too few for four classes, and there are no 10,000"
    assert accuracies["good"][0] == 1 > accuracies["noise"][0]
    nearest = few_labels({"good": (good, good), "noise": (noise, noise)}, labels, labels, [16], linear=False)
    assert nearest["good"][0] > 0.99 and nearest["noise"][0] < 0.6


def test_brightness_and_chroma_make_up_the_image(images: torch.Tensor) -> None:
    whole = changed(changed(images, TO_YCBCR), torch.linalg.inv(TO_YCBCR))
    assert torch.allclose(whole, images, atol=1e-5)
    pixel = Image.new("RGB", (1, 1), (200, 30, 90)).convert("YCbCr").getpixel((0, 0))
    ours = 255 * changed(torch.tensor([200, 30, 90]).view(1, 3, 1, 1) / 255, TO_YCBCR).flatten()
    assert [round(value + shift) for value, shift in zip(ours.tolist(), (0, 128, 128), strict=True)] == pytest.approx(
        list(pixel), abs=1
    )
    assert colourfulness(images.mean(1, keepdim=True).expand(-1, 3, -1, -1)) == pytest.approx(0, abs=1e-3)
    assert colourfulness(images) > 5
