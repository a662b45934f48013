"""The twenty-two operations by name, and how one is run: parameters, caller, operation, and its errors."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Engine
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from wallet_hooks.accounts_api import (
    access,
    applications,
    currency_rates,
    funds,
    parameters,
    results,
    statement_items,
    subscription_operations,
    vendor_clients,
    vendor_operations,
)
from wallet_hooks.accounts_api.access import Access, Headers, identify
from wallet_hooks.accounts_api.calls import OperationCall
from wallet_hooks.accounts_api.errors import UNKNOWN_OPERATION, AccountsError, ProtocolError, UnknownCredentialError
from wallet_hooks.accounts_api.field_types import STATUSES, ApiBoolean, ApiEnum, ApiString
from wallet_hooks.accounts_api.parameters import read_parameters
from wallet_hooks.accounts_api.results import Result, list_field, object_field
from wallet_hooks.database import Fault, brand_engine, fault_of, run_with_retries
from wallet_hooks.errors import TryAgainError
from wallet_hooks.money import MoneyError
from wallet_hooks.settings import Settings
from wallet_hooks.telemetry import OPERATIONS
from wallet_hooks.web.causes import log_defect
from wallet_hooks.web.fields import BaseSchema
from wallet_hooks.web.source import Address
from wallet_hooks.web.throttle import Throttle
from wallet_hooks.web.token_guesses import TooManyGuessesError, check_guesses, count_guess

_SLOW = (Fault.LATE, Fault.LOST)


class Operation(NamedTuple):
    """An operation: its name in the source, what runs it, its parameters, its result, and what its caller must show."""

    name: str
    run: Callable[[OperationCall], Any]
    parameters: type[BaseSchema]
    result: Result
    access: Access


_STATUS = ApiEnum(STATUSES)
_OPERATIONS = (
    Operation(
        "createDeveloperAppKeys", applications.create_developer_app_keys, parameters.AppNameParameters,
        object_field(results.DeveloperAppSchema), access.CUSTOMER,
    ),
    Operation(
        "getDeveloperAppKeys", applications.get_developer_app_keys, parameters.NoParameters,
        list_field(results.DeveloperAppSchema), access.CUSTOMER,
    ),
    Operation(
        "getAccountFunds", funds.get_account_funds, parameters.WalletParameters,
        object_field(results.AccountFundsResponseSchema), access.READER_WITH_KEY,
    ),
    Operation(
        "transferFunds", funds.transfer_funds, parameters.TransferParameters,
        object_field(results.TransferResponseSchema), access.CUSTOMER_WITH_KEY,
    ),
    Operation(
        "getAccountDetails", funds.get_account_details, parameters.NoParameters,
        object_field(results.AccountDetailsResponseSchema), access.READER_WITH_KEY,
    ),
    Operation(
        "getVendorClientId", vendor_clients.get_vendor_client_id, parameters.NoParameters, ApiString(), access.CLIENT,
    ),
    Operation(
        "getApplicationSubscriptionToken", subscription_operations.get_application_subscription_token,
        parameters.SubscriptionTokenRequest, ApiString(), access.OWNER,
    ),
    Operation(
        "activateApplicationSubscription", subscription_operations.activate_application_subscription,
        parameters.SubscriptionTokenParameters, _STATUS, access.CLIENT,
    ),
    Operation(
        "cancelApplicationSubscription", subscription_operations.cancel_application_subscription,
        parameters.SubscriptionTokenParameters, _STATUS, access.CLIENT,
    ),
    Operation(
        "updateApplicationSubscription", subscription_operations.update_application_subscription,
        parameters.UpdateSubscriptionParameters, ApiString(), access.OWNER,
    ),
    Operation(
        "listApplicationSubscriptionTokens", subscription_operations.list_application_subscription_tokens,
        parameters.SubscriptionStatusParameters, list_field(results.ApplicationSubscriptionSchema), access.OWNER,
    ),
    Operation(
        "listAccountSubscriptionTokens", subscription_operations.list_account_subscription_tokens,
        parameters.NoParameters, list_field(results.AccountSubscriptionSchema), access.CUSTOMER,
    ),
    Operation(
        "getApplicationSubscriptionHistory", subscription_operations.get_application_subscription_history,
        parameters.SubscriptionHistoryParameters, list_field(results.SubscriptionHistorySchema), access.OWNER_OR_CLIENT,
    ),
    Operation(
        "getAccountStatement", statement_items.get_account_statement, parameters.StatementParameters,
        object_field(results.AccountStatementReportSchema), access.READER_WITH_KEY,
    ),
    Operation(
        "listCurrencyRates", currency_rates.list_currency_rates, parameters.CurrencyParameters,
        list_field(results.CurrencyRateSchema), access.READER_WITH_KEY,
    ),
    Operation(
        "getAuthorisationCode", vendor_operations.get_authorisation_code, parameters.VendorIdParameters,
        object_field(results.AuthorisationResponseSchema), access.CUSTOMER,
    ),
    Operation(
        "token", vendor_operations.token, parameters.TokenParameters,
        object_field(results.VendorAccessTokenInfoSchema), access.VENDOR,
    ),
    Operation(
        "getVendorDetails", vendor_operations.get_vendor_details, parameters.VendorIdParameters,
        object_field(results.VendorDetailsSchema), access.CUSTOMER,
    ),
    Operation(
        "revokeAccessToWebApp", vendor_operations.revoke_access_to_web_app, parameters.RevokeParameters,
        _STATUS, access.CUSTOMER,
    ),
    Operation(
        "listAuthorizedWebApps", vendor_operations.list_authorized_web_apps, parameters.NoParameters,
        list_field(results.VendorDetailsSchema), access.CUSTOMER,
    ),
    Operation(
        "isAccountSubscribedToWebApp", vendor_operations.is_account_subscribed_to_web_app,
        parameters.VendorIdParameters, ApiBoolean(), access.CUSTOMER,
    ),
    Operation(
        "getAffiliateRelation", vendor_clients.get_affiliate_relation, parameters.VendorClientIdsParameters,
        list_field(results.AffiliateRelationSchema), access.OWNER,
    ),
)  # fmt: skip
OPERATIONS_BY_NAME = {operation.name.lower(): operation for operation in _OPERATIONS}
_SCHEMAS = {operation.name: operation.parameters() for operation in _OPERATIONS}


@dataclass(frozen=True, kw_only=True)
class OperationRequest:
    """An operation as a transport received it. `id` is the request id, `member` the place in a batch, from 1."""

    name: str
    parameters: Any
    headers: Headers
    address: Address | None
    now: datetime
    id: str
    member: int = 1


class OperationRunner:
    """Runs operations. Their number a second and caller is capped in each worker process."""

    def __init__(self, engine: Engine, settings: Settings) -> None:
        self._engine = engine
        self._settings = settings
        self._throttle = Throttle(settings.accounts_operations_per_second)

    def run(self, request: OperationRequest) -> Any:
        """Return an operation's result. Raises AccountsError, or ProtocolError where no operation was reached."""
        operation = OPERATIONS_BY_NAME.get(request.name.lower())
        if operation is None:
            OPERATIONS.labels("unknown", UNKNOWN_OPERATION).inc()
            raise ProtocolError(UNKNOWN_OPERATION)
        code = "OK"
        try:
            check_guesses(request.address)
            given = read_parameters(_SCHEMAS[operation.name], request.parameters)
            return run_with_retries(lambda: self._run(operation, request, given))
        except ProtocolError as error:
            code = error.code
            raise
        except Exception as error:
            failure = _failure(error, request, operation)
            code = failure.code
            if isinstance(failure, UnknownCredentialError):
                count_guess(request.address)
            raise failure from error
        finally:
            OPERATIONS.labels(operation.name, code).inc()

    def _run(self, operation: Operation, request: OperationRequest, given: dict[str, Any]) -> Any:
        identity = identify(self._engine, self._settings, request.headers, operation.access, now=request.now)
        customer = identity.customer
        caller = customer.id if customer else identity.key
        if not self._throttle.allows(caller):
            raise AccountsError("TOO_MANY_REQUESTS", "too many operations in this second")
        return operation.run(
            OperationCall(
                engine=self._engine if customer is None else brand_engine(self._engine, customer.brand_id),
                settings=self._settings,
                given=given,
                now=request.now,
                reference=f"{request.id}-{request.member}",
                caller=customer,
                app_key=identity.key,
            )
        )


def _failure(error: Exception, request: OperationRequest, operation: Operation) -> AccountsError:
    """Return the operation's exception for an error; an internal error is logged."""
    if isinstance(error, AccountsError):
        return error
    if isinstance(error, MoneyError):
        return AccountsError("INVALID_INPUT_DATA", str(error))
    if isinstance(error, TooManyGuessesError):
        return AccountsError("TOO_MANY_REQUESTS", str(error))
    if isinstance(error, TryAgainError | PoolTimeoutError):
        return AccountsError("SERVICE_BUSY", "the service is busy: try again")
    fault = fault_of(error)
    if fault in _SLOW:
        return AccountsError("TIMEOUT_ERROR", "the database does not answer in time")
    if fault is Fault.OUT_OF_RANGE:
        return AccountsError("INVALID_INPUT_DATA", "a number is out of range")
    if fault is not Fault.OTHER:
        return AccountsError("SERVICE_BUSY", "the service is busy: try again")
    log_defect(error, request_id=request.id, path=operation.name)
    return AccountsError("UNEXPECTED_ERROR", "an unexpected error; see requestUUID")
