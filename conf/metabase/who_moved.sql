-- Who moved since the date before: a table, or a Sankey chart from the first column to the second.
-- Filter: snapshot_date (segment_migrations.snapshot_date); of a range of dates, the newest one counts.
SELECT
    coalesce(segment_migrations.from_segment, '(new)') AS from_segment,
    coalesce(segment_migrations.to_segment, '(departed)') AS to_segment,
    segment_migrations.customers,
    segment_migrations.revenue
FROM segment_migrations
WHERE segment_migrations.kind = 'cluster'
AND segment_migrations.from_segment IS DISTINCT FROM segment_migrations.to_segment
AND (segment_migrations.snapshot_date, segment_migrations.previous_snapshot_date) = (
    SELECT segment_migrations.snapshot_date, max(segment_migrations.previous_snapshot_date)
    FROM segment_migrations
    WHERE true [[AND {{snapshot_date}}]]
    GROUP BY segment_migrations.snapshot_date
    ORDER BY segment_migrations.snapshot_date DESC
    LIMIT 1
)
ORDER BY segment_migrations.customers DESC, from_segment, to_segment
