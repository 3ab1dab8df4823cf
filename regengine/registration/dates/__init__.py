"""When a photo was taken that its lights have placed."""
