"""Which satellites of a catalogue cross a photo of the sky, and which of them drew its streaks."""
