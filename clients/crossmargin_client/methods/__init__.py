"""What a client can be asked, each method said once, in files by what they are about."""

from crossmargin_client.methods.account import AccountMethods
from crossmargin_client.methods.audit_event import AuditEventMethods
from crossmargin_client.methods.backtest import BacktestMethods
from crossmargin_client.methods.book import BookMethods
from crossmargin_client.methods.cascade import CascadeMethods
from crossmargin_client.methods.collateral import CollateralMethods
from crossmargin_client.methods.exposure_limits import ExposureLimitMethods
from crossmargin_client.methods.halt import HaltMethods
from crossmargin_client.methods.instrument import InstrumentMethods
from crossmargin_client.methods.lifecycle import LifecycleMethods
from crossmargin_client.methods.liquidation import LiquidationMethods
from crossmargin_client.methods.margin import MarginMethods
from crossmargin_client.methods.margin_call import MarginCallMethods
from crossmargin_client.methods.margin_mode import MarginModeMethods
from crossmargin_client.methods.market import MarketMethods
from crossmargin_client.methods.pending_request import PendingRequestMethods
from crossmargin_client.methods.reconciliation import ReconciliationMethods
from crossmargin_client.methods.reservation import ReservationMethods
from crossmargin_client.methods.risk_parameters import RiskParameterMethods
from crossmargin_client.methods.stress import StressMethods


class Methods(
    AccountMethods,
    AuditEventMethods,
    BacktestMethods,
    BookMethods,
    CascadeMethods,
    CollateralMethods,
    ExposureLimitMethods,
    HaltMethods,
    InstrumentMethods,
    LifecycleMethods,
    LiquidationMethods,
    MarginMethods,
    MarginCallMethods,
    MarginModeMethods,
    MarketMethods,
    PendingRequestMethods,
    ReconciliationMethods,
    ReservationMethods,
    RiskParameterMethods,
    StressMethods,
):
    """Every call of the API."""
