"""The final answer of a whole response; gold is never seen here."""
