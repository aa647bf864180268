"""Data curation: from a pile of images and videos to a balanced, re-captioned training set."""
