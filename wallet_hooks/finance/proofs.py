"""All that `wallet-hooks verify` proves, in its order."""

from wallet_hooks.finance.closing import check_seals, check_totals
from wallet_hooks.finance.usage import check_usage
from wallet_hooks.ledger.verify import CHECKS

PROOFS = (*CHECKS, check_totals, check_seals, check_usage)
