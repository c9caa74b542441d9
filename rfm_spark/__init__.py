"""RFM + AUM features, rule segments and k-means clusters on PySpark and Delta Lake."""

__version__ = "0.1.0"
