"""Compare a photo's luminance with a map's radiance: gain, background, new and lost lights."""
