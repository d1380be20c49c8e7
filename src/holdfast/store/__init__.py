"""What is kept over time: the spool of alerts. Nothing here judges or formats."""
