"""The stages: the only room that both computes and writes."""

from rfm_spark.pipeline.backfill import backfill
from rfm_spark.pipeline.comparison import compare
from rfm_spark.pipeline.context import Context, Display, Run
from rfm_spark.pipeline.exploration import describe
from rfm_spark.pipeline.exports import export
from rfm_spark.pipeline.features import features
from rfm_spark.pipeline.ingest import ingest
from rfm_spark.pipeline.run import run
from rfm_spark.pipeline.segment import segment
from rfm_spark.pipeline.train import train

__all__ = [
    "Context",
    "Display",
    "Run",
    "backfill",
    "compare",
    "describe",
    "export",
    "features",
    "ingest",
    "run",
    "segment",
    "train",
]
