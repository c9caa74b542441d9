-- Distribution of customers across segments: a bar chart, segment by customers.
-- Filters: segment (customer_segmentation.segment), snapshot_date (customer_segmentation.snapshot_date);
-- of a range of dates, the newest one counts.
SELECT
    customer_segmentation.segment,
    count(*) AS customers,
    round(100.0 * count(*) / sum(count(*)) OVER (), 1) AS percent
FROM customer_segmentation
WHERE customer_segmentation.snapshot_date = (
    SELECT max(customer_segmentation.snapshot_date)
    FROM customer_segmentation
    WHERE true [[AND {{snapshot_date}}]]
)
[[AND {{segment}}]]
GROUP BY customer_segmentation.segment
ORDER BY customers DESC, customer_segmentation.segment
