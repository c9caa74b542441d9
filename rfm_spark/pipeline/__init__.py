"""The stages: the only room that both computes and writes."""

from rfm_spark.pipeline.backfill import backfill
from rfm_spark.pipeline.comparison import compare
from rfm_spark.pipeline.context import Context, Display, Run
from rfm_spark.pipeline.experiment import experiment
from rfm_spark.pipeline.exploration import describe
from rfm_spark.pipeline.exports import export
from rfm_spark.pipeline.features import features
from rfm_spark.pipeline.forgetting import forget
from rfm_spark.pipeline.ingest import ingest
from rfm_spark.pipeline.maintenance import maintain
from rfm_spark.pipeline.report import report
from rfm_spark.pipeline.run import run, train_if_due
from rfm_spark.pipeline.segment import segment
from rfm_spark.pipeline.train import train

__all__ = [
    "Context",
    "Display",
    "Run",
    "backfill",
    "compare",
    "describe",
    "experiment",
    "export",
    "features",
    "forget",
    "ingest",
    "maintain",
    "report",
    "run",
    "segment",
    "train",
    "train_if_due",
]
