"""Lights, lightning, stars and streaks on photos."""

# Photos are reduced to this long side before detection. Towns of an 85 mm photo are then 2 to 40
# pixels large, which the detectors are designed for. Stars are two to four pixels wide at the full
# 4256 to 5568 px of the Station's cameras and still sampled. Streaks are as thin as stars, and
# averaging would blur their ends. Flashes are 8 to 100 px of 1000
LONG_SIDE_PX = {"lights": 1500, "lightning": 1000, "stars": 3000, "streaks": 4300}
