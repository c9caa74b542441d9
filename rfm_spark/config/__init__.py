"""The configuration: the only room that reads YAML."""

from rfm_spark.config.loading import Configuration, load_configuration
from rfm_spark.config.settings import RfmSettings

__all__ = ["Configuration", "RfmSettings", "load_configuration"]
