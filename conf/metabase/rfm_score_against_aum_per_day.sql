-- RFM score against AUM per day: a scatter plot, coloured by segment. At most 2,000 customers, which is what
-- Metabase draws: the ones with the smallest hash, so a fair sample that stays the same.
-- Filters: segment (customer_segmentation.segment), snapshot_date (customer_segmentation.snapshot_date);
-- of a range of dates, the newest one counts.
SELECT
    customer_segmentation.segment,
    customer_segmentation.rfm_score,
    customer_segmentation.aum_per_day
FROM customer_segmentation
WHERE customer_segmentation.aum_per_day IS NOT NULL
AND customer_segmentation.snapshot_date = (
    SELECT max(customer_segmentation.snapshot_date)
    FROM customer_segmentation
    WHERE true [[AND {{snapshot_date}}]]
)
[[AND {{segment}}]]
ORDER BY md5(customer_segmentation.customer_id::text)
LIMIT 2000
