"""From labels to those who act on them: payloads, cells, arms, and what an arm brought."""
