"""Insight: what the segments are like, in numbers and in words."""
