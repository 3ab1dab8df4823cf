"""A photo's luminance against a map's radiance: gain, background, new and lost lights."""
