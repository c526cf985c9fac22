"""What is known about data: reference profiles, drift against them, and replaying a frame at a service."""
