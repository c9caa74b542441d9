"""Clusters: the space, a coreset, the sweep over k, and labels by plain arithmetic."""
