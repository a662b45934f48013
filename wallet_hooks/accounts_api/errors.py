"""The API's two kinds of errors: its exception (an operation failed) and protocol faults (no operation was run)."""

from wallet_hooks.errors import WalletHooksError

CODES = (
    "INVALID_INPUT_DATA", "INVALID_SESSION_INFORMATION", "UNEXPECTED_ERROR", "INVALID_APP_KEY", "SERVICE_BUSY",
    "TIMEOUT_ERROR", "DUPLICATE_APP_NAME", "APP_KEY_CREATION_FAILED", "APP_CREATION_FAILED", "NO_SESSION",
    "NO_APP_KEY", "SUBSCRIPTION_EXPIRED", "INVALID_SUBSCRIPTION_TOKEN", "TOO_MANY_REQUESTS", "INVALID_CLIENT_REF",
    "WALLET_TRANSFER_ERROR", "INVALID_VENDOR_CLIENT_ID", "USER_NOT_SUBSCRIBED", "INVALID_SECRET",
    "INVALID_AUTH_CODE", "INVALID_GRANT_TYPE",
)  # fmt: skip
INVALID_SESSION = "INVALID_SESSION_INFORMATION"
_MESSAGES = {code: f"AANGX-{number:04}" for number, code in enumerate(CODES, start=1)}

# Codes of the vendor's server framework, for what is wrong with a call itself.
DEFECT = "DSC-0005"
UNSUPPORTED_CONTENT_TYPE = "DSC-0011"
NOT_ACCEPTABLE = "DSC-0013"
MISSING_PARAMETER = "DSC-0018"
TIMEOUT = "DSC-0019"
UNKNOWN_OPERATION = "DSC-0021"
UNKNOWN_SERVICE = "DSC-0023"
NO_REQUESTS = "DSC-0031"
UNREADABLE = "DSC-0044"


class AccountsError(WalletHooksError):
    """The AccountAPINGException of an operation: `code` is one of CODES, the message explains it to a developer."""

    def __init__(self, code: str, details: str) -> None:
        assert code in CODES
        super().__init__(details)
        self.code = code

    @property
    def message(self) -> str:
        """The code's number, such as `AANGX-0002`."""
        return _MESSAGES[self.code]


class UnknownCredentialError(AccountsError):
    """A token, code or secret that is not known: it may be a guess, and is counted."""


class ProtocolError(WalletHooksError):
    """A call that reached no operation; `code` is one of the framework's codes, such as `DSC-0018`."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code
