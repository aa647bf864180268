"""The tasks, one file each: load, prompt, score."""
