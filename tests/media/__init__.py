"""Tests of vl3.media."""
