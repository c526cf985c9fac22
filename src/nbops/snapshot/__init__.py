"""What a version is: code, data, model and environment, each with a digest."""
