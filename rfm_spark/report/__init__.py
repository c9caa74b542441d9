"""The report: plain records in, one self-contained HTML page out, without Spark or a clock."""
