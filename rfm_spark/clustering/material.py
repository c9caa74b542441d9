"""What a sweep works on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from pyspark.sql import DataFrame

from rfm_spark.clustering import stages
from rfm_spark.clustering.coreset import WEIGHT
from rfm_spark.clustering.lloyd import Matrix, Sample
from rfm_spark.clustering.space import Moments, Space


@dataclass(frozen=True)
class Material:
    """All customers, and a sample of them.

    Args:
        customers: Features, and scores where the space names them.
        space: Features and scaling.
        sums: Of all customers.
        scaler: A fitted StandardScaler; None where nothing is scaled.
        points: The sample, transformed but not scaled, in one ordered partition: x_0 .. x_n and
            ``weight``.
        rows: The same here: a row per point, the weight last.
    """

    customers: DataFrame
    space: Space
    sums: Moments
    scaler: Any
    points: DataFrame
    rows: Matrix

    @cached_property
    def sample(self) -> Sample:
        """The sample, scaled."""
        stds = np.array([std if std > 0 else np.inf for std in self.space.stds])
        scaled = (self.rows[:, :-1] - np.array(self.space.means)) / stds
        return Sample.of(scaled, self.rows[:, -1])

    @property
    def is_everybody(self) -> bool:
        """Whether the sample is all customers."""
        return len(self.rows) == self.sums.customers

    @property
    def total(self) -> float:
        """Sum of squared distances from the mean of all customers, scaled."""
        return self.sums.total_squares(self.space)

    def vectors(self) -> DataFrame:
        """The sample's columns ``scaled`` and ``weight``, by Spark ML's own stages."""
        scaled = stages.scaled_vectors(self.points, self.space, self.scaler)
        return scaled.select(stages.SCALED, WEIGHT)
