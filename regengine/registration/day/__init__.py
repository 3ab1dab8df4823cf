"""Register daytime frames on day maps of the Earth."""
