"""Everything about a simulated photograph that can be turned: one frozen record of numbers."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class CloudLayer:
    """A layer of cloud.

    Attributes
    ----------
    coverage : float
        Share of the visible ground that it touches, 0 to 1.
    optical_depth : float
        In its thickest parts, seen from straight above: 8 hides the lights, 0.7 is a veil.
    brightness_nw : float
        Of its moonlit top, nW cm^-2 sr^-1.
    scale_km : float
        Size of its largest features.
    """

    coverage: float = 0.3
    optical_depth: float = 8.0
    brightness_nw: float = 4.0
    scale_km: float = 250.0


@dataclass(frozen=True, kw_only=True)
class SceneParameters:
    """What the air, the lens, the sensor and the file do to the light.

    Attributes
    ----------
    seed : int
        Of clouds, stars and noise.
    saturation_nw : float
        Radiance that fills the sensor, nW cm^-2 sr^-1.
    full_well_electrons, read_noise_electrons : float
        Of one pixel of the stored picture, at the ISO used.
    ground_nw : float
        Radiance of moonlit land; the sea has a third of it.
    extinction : float
        Optical depth of clear air towards the zenith.
    side_light : float
        How much less a lamp sends to the horizon than to the zenith, 0 to 1.
    psf_sigma_px : float
        Defocus and lens blur.
    motion_px, motion_deg : float
        Length and direction of the smear.
    halo_share, halo_sigma_px : float
        Light that the lens and the air spread widely.
    bloom_share : float
        Share of the light above saturation that spills to the neighbours.
    clouds : tuple of CloudLayer
    boats : int
        Fishing boats, which no map knows.
    lightning_nw : float
        Brightness of a thundercloud lit from within; 0 for none.
    airglow_nw : float
        Brightness of the airglow layer at the limb.
    stars_per_square_degree : float
        Visible ones.
    vignetting : float
        Loss of light in the corners, 0 to 1.
    reflection_nw : float
        Brightness of lamps of the cabin mirrored in the window.
    hot_pixels : float
        Share of the pixels.
    tone_contrast : float
        Of the camera's picture style on top of sRGB; 0 is plain sRGB.
    white_balance : tuple of float
        Gains of red, green and blue.
    jpeg_quality : int
    most_lamps : int
        Rough bound on the lamps drawn: fewer is faster and grainier.
    """

    seed: int = 0
    saturation_nw: float = 150.0
    full_well_electrons: float = 6000.0
    read_noise_electrons: float = 12.0
    ground_nw: float = 0.15
    extinction: float = 0.25
    side_light: float = 0.4
    psf_sigma_px: float = 0.8
    motion_px: float = 0.0
    motion_deg: float = 0.0
    halo_share: float = 0.06
    halo_sigma_px: float = 12.0
    bloom_share: float = 0.03
    clouds: tuple[CloudLayer, ...] = field(default=())
    boats: int = 0
    lightning_nw: float = 0.0
    airglow_nw: float = 6.0
    stars_per_square_degree: float = 0.6
    vignetting: float = 0.25
    reflection_nw: float = 0.0
    hot_pixels: float = 5e-6
    tone_contrast: float = 0.15
    white_balance: tuple[float, float, float] = (1.0, 1.0, 1.0)
    jpeg_quality: int = 90
    most_lamps: int = 2_000_000
