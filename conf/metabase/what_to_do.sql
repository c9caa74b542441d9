-- What to do about each segment: a table. Rule segments and clusters, best first.
-- Filter: snapshot_date (segment_profiles.snapshot_date); of a range of dates, the newest one counts.
SELECT
    segment_profiles.kind,
    segment_profiles.segment,
    segment_profiles.customers,
    segment_profiles.revenue,
    segment_profiles.marketing_action,
    segment_profiles.insight
FROM segment_profiles
WHERE segment_profiles.snapshot_date = (
    SELECT max(segment_profiles.snapshot_date)
    FROM segment_profiles
    WHERE true [[AND {{snapshot_date}}]]
)
ORDER BY segment_profiles.kind DESC, segment_profiles.rank
