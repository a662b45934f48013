"""The double-entry ledger: accounts, transactions and entries. No other package writes them."""
