"""Register telephoto frames on street maps, in which roads are drawn as lamps."""
