"""Clients and their accounts."""

from __future__ import annotations

from crossmargin.api.v1 import account_service_pb2
from crossmargin_client.call_kinds import Many, One, ask, pages, whole
from crossmargin_client.declaration import answers, yields
from crossmargin_client.requests import PAGE_SIZE, new_request_id


class AccountMethods:
    """Clients and their accounts."""

    @answers
    def create_client(self, client_id: str, display_name: str, *, request_id: str | None = None) -> One[account_service_pb2.Client]:
        """Create a client and return it as stored."""
        request = account_service_pb2.CreateClientRequest(
            request_id=request_id or new_request_id(),
            client=account_service_pb2.Client(client_id=client_id, display_name=display_name),
        )
        return ask(lambda to: to.accounts.CreateClient, request, lambda answer: answer.client)

    @answers
    def get_client(self, client_id: str) -> One[account_service_pb2.Client]:
        """Return a client."""
        request = account_service_pb2.GetClientRequest(client_id=client_id)
        return ask(lambda to: to.accounts.GetClient, request, lambda answer: answer.client)

    @yields
    def list_clients(self) -> Many[account_service_pb2.Client]:
        """Yield every client in the order of their ids."""
        request = account_service_pb2.ListClientsRequest(page_size=PAGE_SIZE)
        return pages(lambda to: to.accounts.ListClients, request, lambda page: page.clients)

    @answers
    def create_account(
        self, name: str, display_name: str, *, parent_account: str = "", request_id: str | None = None
    ) -> One[account_service_pb2.Account]:
        """Create an account and return it as stored: isolated when it has a parent, cross otherwise."""
        modes = account_service_pb2
        request = account_service_pb2.CreateAccountRequest(
            request_id=request_id or new_request_id(),
            account=account_service_pb2.Account(
                name=name,
                display_name=display_name,
                mode=modes.ACCOUNT_MODE_ISOLATED if parent_account else modes.ACCOUNT_MODE_CROSS,
                parent_account=parent_account,
            ),
        )
        return ask(lambda to: to.accounts.CreateAccount, request, lambda answer: answer.account)

    @answers
    def get_account(self, name: str) -> One[account_service_pb2.Account]:
        """Return an account."""
        request = account_service_pb2.GetAccountRequest(name=name)
        return ask(lambda to: to.accounts.GetAccount, request, lambda answer: answer.account)

    @yields
    def list_accounts(self, client_id: str = "") -> Many[account_service_pb2.Account]:
        """Yield every account of a client, or of all clients, in the order of their names."""
        request = account_service_pb2.ListAccountsRequest(client_id=client_id, page_size=PAGE_SIZE)
        return pages(lambda to: to.accounts.ListAccounts, request, lambda page: page.accounts)

    @answers
    def set_methodology(
        self,
        account: str,
        methodology: account_service_pb2.Methodology.ValueType,
        *,
        validate_only: bool = False,
        request_id: str | None = None,
    ) -> One[account_service_pb2.SetMethodologyResponse]:
        """Set what an account is margined by, such as SPAN_GRID, and return it; `validate_only` makes every check and writes nothing."""
        request = account_service_pb2.SetMethodologyRequest(
            request_id=request_id or new_request_id(), account=account, methodology=methodology, validate_only=validate_only
        )
        return ask(lambda to: to.accounts.SetMethodology, request, whole)
