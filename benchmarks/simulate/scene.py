"""Everything about a simulated photograph that can be turned: one frozen record of numbers."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class CloudLayer:
    """A layer of cloud."""

    coverage: float = 0.3  # share of the visible ground that it touches, 0 to 1
    # In its thickest parts, seen from straight above: 8 hides the lights, 0.7 is a veil
    optical_depth: float = 8.0
    brightness_nw: float = 4.0  # of its moonlit top, nW cm^-2 sr^-1
    scale_km: float = 250.0  # size of its largest features


@dataclass(frozen=True, kw_only=True)
class SceneParameters:
    """What the air, the lens, the sensor and the file do to the light."""

    seed: int = 0  # of clouds, stars and noise
    saturation_nw: float = 150.0  # radiance that fills the sensor, nW cm^-2 sr^-1
    # full_well_electrons and read_noise_electrons: of one pixel of the stored picture, at the ISO
    # used
    full_well_electrons: float = 6000.0
    read_noise_electrons: float = 12.0
    ground_nw: float = 0.15  # radiance of moonlit land; the sea has a third of it.
    extinction: float = 0.25  # optical depth of clear air towards the zenith
    side_light: float = 0.4  # how much less a lamp sends to the horizon than to the zenith, 0 to 1
    psf_sigma_px: float = 0.8  # defocus and lens blur
    # motion_px and motion_deg: length and direction of the smear
    motion_px: float = 0.0
    motion_deg: float = 0.0
    # halo_share and halo_sigma_px: light that the lens and the air spread widely
    halo_share: float = 0.06
    halo_sigma_px: float = 12.0
    bloom_share: float = 0.03  # share of the light above saturation that spills to the neighbours
    clouds: tuple[CloudLayer, ...] = field(default=())
    boats: int = 0  # fishing boats, which no map knows
    lightning_nw: float = 0.0  # brightness of a thundercloud lit from within; 0 for none.
    airglow_nw: float = 6.0  # brightness of the airglow layer at the limb
    stars_per_square_degree: float = 0.6  # visible ones
    vignetting: float = 0.25  # loss of light in the corners, 0 to 1
    reflection_nw: float = 0.0  # brightness of lamps of the cabin mirrored in the window
    hot_pixels: float = 5e-6  # share of the pixels
    tone_contrast: float = 0.15  # of the camera's picture style on top of sRGB; 0 is plain sRGB.
    white_balance: tuple[float, float, float] = (1.0, 1.0, 1.0)  # gains of red, green and blue
    jpeg_quality: int = 90
    most_lamps: int = 2_000_000  # rough bound on the lamps drawn: fewer is faster and grainier
