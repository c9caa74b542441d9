"""Scoring: exact quantile edges, scores, and segments by rule."""
