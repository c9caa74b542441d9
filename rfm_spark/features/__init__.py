"""Features: RFM and AUM of every customer as of a snapshot date."""
