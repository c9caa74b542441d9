"""stub"""
from rfm_spark.report.records import Records
def page(records: Records) -> str:
    return ""
