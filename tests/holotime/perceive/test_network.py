import pytest
import torch
from safetensors import safe_open

from holotime.errors import BackendUnavailable
from holotime.perceive import network


@pytest.fixture(scope="module")
def outputs():
    torch.manual_seed(0)
    image = torch.rand(1, 3, 64, 128)
    net = network.load_network()
    with torch.inference_mode():
        return image, net, net(image)


@pytest.mark.parametrize("cells", [1, 2, 3])
def test_turning_the_panorama_turns_the_output(outputs, cells):
    image, net, before = outputs
    turn = cells * network.STRIDE
    with torch.inference_mode():
        after = net(torch.roll(image, turn, -1))
    for a, b in zip(before, after, strict=True):
        torch.testing.assert_close(torch.roll(a, turn, -1), b, atol=2e-4, rtol=1e-4)


def test_shapes_and_size_check(outputs):
    _, net, (log_distance, log_error, logits) = outputs
    assert log_distance.shape == log_error.shape == (1, 1, 64, 128)
    assert logits.shape == (1, network.N_CLASSES, 64, 128)
    with pytest.raises(ValueError, match="multiples of 32"):
        net(torch.zeros(1, 3, 40, 80))


def test_weights_are_half_precision_small_and_say_where_they_come_from():
    with network.as_file(network.files("holotime.perceive") / "data" / network.WEIGHTS_FILE) as path:
        assert path.stat().st_size <= 16 * 2**20
        with safe_open(path, "pt") as file:
            assert {file.get_tensor(name).dtype for name in file.keys()} == {torch.float16}  # noqa: SIM118
            assert "procedural panoramas" in file.metadata()["origin"]


def test_missing_weights_are_an_error_that_says_what_to_do(monkeypatch):
    monkeypatch.setattr(network, "WEIGHTS_FILE", "not_here.safetensors")
    with pytest.raises(BackendUnavailable, match="Reinstall"):
        network.load_network.__wrapped__()
