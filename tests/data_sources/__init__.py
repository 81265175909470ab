"""Tests of the image sources."""
