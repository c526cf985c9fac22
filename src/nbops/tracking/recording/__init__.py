"""What a kernel does, cell by cell, on its way to the session's file, and read back from there."""
