"""The process that holds the market: requests in, answers and events out."""
