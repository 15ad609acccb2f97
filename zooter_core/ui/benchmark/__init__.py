"""The Benchmark page: a fleet's report as tables and charts."""
