"""What GPU is here: the real driver's answer, and the profile chosen for cards as drivers name them."""

import subprocess
import sys
from pathlib import Path

import pytest

from gpu import CPU, GPUState, find_gpus, profile_here, profile_of


def card(name, total_gb, capability=(8, 6)):
    return GPUState(name, "550.54", capability, total_gb, 1.0, total_gb - 1.0, 3, 40)


@pytest.mark.parametrize(
    ("name", "total_gb", "profile"),
    [
        ("NVIDIA GeForce RTX 3060", 12.0, "RTX 3060 12GB"),
        ("NVIDIA GeForce RTX 3060", 7.9, "RTX 3060 8GB"),
        ("NVIDIA GeForce RTX 3050 Laptop GPU", 6.0, "RTX 3050 6GB"),
        ("NVIDIA GeForce RTX 4060 Ti", 15.99, "RTX 4060 Ti 16GB"),
        ("NVIDIA GeForce RTX 4060", 7.99, "RTX 4060 8GB"),
        ("NVIDIA GeForce RTX 4090", 23.99, "RTX 4090 24GB"),
        ("NVIDIA GeForce GTX 1650", 3.9, "GTX 1650 4GB"),
    ],
)
def test_known_cards_have_their_profile(name, total_gb, profile):
    assert profile_of(card(name, total_gb)).name == profile


@pytest.mark.parametrize(
    ("name", "total_gb", "capability", "architecture"),
    [
        ("NVIDIA GeForce GTX 1660 SUPER", 6.0, (7, 5), "turing-gtx"),
        ("NVIDIA GeForce RTX 2070", 8.0, (7, 5), "turing"),
        ("NVIDIA GeForce RTX 4060 Ti", 8.0, (8, 9), "ada"),
        ("NVIDIA GeForce RTX 4080 SUPER", 16.0, (8, 9), "ada"),
        ("NVIDIA H100 80GB HBM3", 79.6, (9, 0), "ada"),
        ("NVIDIA GeForce RTX 5090", 31.8, (12, 0), "blackwell"),
        ("NVIDIA A100-SXM4-40GB", 39.4, (8, 0), "ampere"),
        ("Tesla V100-SXM2-16GB", 15.8, (7, 0), "turing"),
        ("NVIDIA GeForce MX150", 2.0, (6, 1), "turing"),
    ],
)
def test_unknown_cards_speak_for_themselves(name, total_gb, capability, architecture):
    profile = profile_of(card(name, total_gb, capability))
    assert (profile.name, profile.architecture, profile.vram_gb) == (name, architecture, round(total_gb))
    assert 0 < profile.seconds_per_step < CPU.seconds_per_step


def test_what_is_here_is_asked_from_the_real_driver():
    gpus = find_gpus()
    if not gpus:
        assert profile_here() == CPU
    for gpu in gpus:
        assert gpu.name
        assert gpu.total_gb > 0
        assert gpu.free_gb <= gpu.total_gb


def test_asking_loads_no_torch():
    code = "import sys, gpu; gpu.profile_here(); print('torch' in sys.modules)"
    root = Path(__file__).resolve().parent.parent
    asked = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert asked.stdout.strip() == "False"
