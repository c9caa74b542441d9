-- Sizes of the segments over time: a line or area chart, one line per segment.
-- Filters: segment (segment_sizes.segment), snapshot_date (segment_sizes.snapshot_date).
SELECT
    segment_sizes.snapshot_date,
    segment_sizes.segment,
    segment_sizes.customers
FROM segment_sizes
WHERE segment_sizes.kind = 'cluster'
[[AND {{segment}}]]
[[AND {{snapshot_date}}]]
ORDER BY segment_sizes.snapshot_date, segment_sizes.rank
