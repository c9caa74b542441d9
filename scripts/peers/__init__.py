"""What `scripts/benchmark.py` compares rfm_spark with, and how."""
