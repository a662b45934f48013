"""The console: pages for finance, operations and QA."""
