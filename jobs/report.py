"""`rfm-spark report` for spark-submit and Databricks: the same arguments, the same work."""

import sys

from rfm_spark.cli import main

if (status := main(["report", *sys.argv[1:]])) != 0:
    sys.exit(status)
