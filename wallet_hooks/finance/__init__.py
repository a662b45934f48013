"""Finance: reports and exports, reconciliation, closing of accounting days, verification."""
