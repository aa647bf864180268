"""The web page: drop pictures or a video, ask, and see what the model saw."""
