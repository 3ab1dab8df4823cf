"""Where the station was: element sets, propagation and its uncertainty, Earth, Sun and Moon."""
