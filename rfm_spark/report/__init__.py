"""The report: plain records in, one self-contained HTML page out; without Spark and without a clock."""
