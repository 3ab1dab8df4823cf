"""Lights, lightning, stars and streaks on photos."""

# Photos are averaged down to so many pixels along their long side before anything is sought:
# towns of an 85 mm photo are then 2 to 40 pixels large, what the detectors are made for; stars are
# two to four pixels wide at the full 4256 to 5568 px of the Station's cameras and still sampled;
# streaks are as thin as stars, and averaging would blur their ends; flashes are 8 to 100 px of 1000
LONG_SIDE_PX = {"lights": 1500, "lightning": 1000, "stars": 3000, "streaks": 4300}
