"""Many runs together: catalogue, packages, tasking, radiometry."""
