"""Lightning that other instruments saw from orbit, beside the flashes of placed photos."""
