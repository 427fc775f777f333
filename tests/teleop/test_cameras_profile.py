"""Render profiles: who gets which, and what they leave of the model."""

from __future__ import annotations

import mujoco
import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleop.cameras.profile import PROFILES, RenderError, choose_profile, is_software


@pytest.mark.parametrize(
    "renderer",
    [
        "llvmpipe (LLVM 15.0.6, 256 bits)",
        "softpipe",
        "Google SwiftShader",
        "ANGLE (Google, Vulkan 1.3.0 (SwiftShader Device (Subzero)), SwiftShader driver)",
        "Software Rasterizer",
    ],
)
def test_software_renderers_get_the_cpu_profile(renderer: str) -> None:
    assert is_software(renderer)
    assert choose_profile("auto", renderer).name == "cpu"


@pytest.mark.parametrize(
    "renderer",
    ["NVIDIA GeForce RTX 4090/PCIe/SSE2", "AMD Radeon RX 7900 XTX (radeonsi)", "Mesa Intel(R) UHD"],
)
def test_hardware_renderers_get_the_gpu_profile(renderer: str) -> None:
    assert not is_software(renderer)
    assert choose_profile("auto", renderer).name == "gpu"


@pytest.mark.parametrize("name", ["cpu", "gpu"])
def test_a_named_profile_wins_over_the_renderer(name: str) -> None:
    assert choose_profile(name, "llvmpipe").name == choose_profile(name, "NVIDIA").name == name


def test_unknown_profile_lists_what_exists() -> None:
    with pytest.raises(RenderError, match=r"'fast'.*auto.*cpu.*gpu"):
        choose_profile("fast", "llvmpipe")


@given(st.sampled_from(["cpu", "gpu"]), st.integers(16, 8000), st.integers(16, 8000))
def test_fitted_pictures_are_even_and_keep_their_aspect(name: str, width: int, height: int) -> None:
    profile = PROFILES[name]
    w, h = profile.fit(width, height)
    assert w % 2 == h % 2 == 0
    assert 2 <= w <= profile.width
    assert 2 <= h <= profile.height
    assert w == profile.width or h == profile.height
    assert abs(w * height - h * width) <= 2 * max(width, height)


MODEL = """
<mujoco><visual><quality shadowsize="1024" offsamples="4"/></visual>
  <asset><material name="mirror" reflectance="0.5"/></asset>
  <worldbody><geom type="plane" size="0 0 0.05" material="mirror"/>
  <geom type="plane" size="1 2 0.05"/></worldbody></mujoco>
"""


def test_cpu_profile_draws_no_shadow_mirror_multisample_or_endless_plane() -> None:
    model = mujoco.MjModel.from_xml_string(MODEL)
    PROFILES["cpu"].apply(model)
    assert model.vis.quality.shadowsize == model.vis.quality.offsamples == 0
    assert not model.mat_reflectance.any()
    assert (model.geom_size[0, :2] >= 5).all()
    assert model.geom_size[1, :2].tolist() == [1, 2]


def test_gpu_profile_leaves_the_model_as_shipped() -> None:
    model, shipped = (mujoco.MjModel.from_xml_string(MODEL) for _ in range(2))
    PROFILES["gpu"].apply(model)
    assert model.vis.quality.shadowsize == 1024
    assert (model.geom_size == shipped.geom_size).all()
    assert (model.mat_reflectance == shipped.mat_reflectance).all()
