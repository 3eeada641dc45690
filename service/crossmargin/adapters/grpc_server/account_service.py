"""AccountService: clients and accounts, their halts and limits."""
# ruff: noqa: N802, ARG002 - names and arguments are those of the API

from __future__ import annotations

from crossmargin.adapters.grpc_server.context import Context, caller_of
from crossmargin.adapters.grpc_server.paging import cut_page, page_request
from crossmargin.adapters.grpc_server.wire.account import (
    account_from_message,
    account_to_message,
    client_from_message,
    client_to_message,
    methodology_from_request,
)
from crossmargin.adapters.grpc_server.wire.exposure_limits import limits_from_message, limits_to_message, scope_from_name
from crossmargin.adapters.grpc_server.wire.halt import client_or_house, halt_to_message
from crossmargin.adapters.grpc_server.wire.pending_request import confirmed_name, pending_to_message
from crossmargin.adapters.grpc_server.wire.values import account_ref_from_name, printable
from crossmargin.api.v1 import account_service_pb2 as pb
from crossmargin.api.v1.account_service_pb2_grpc import AccountServiceServicer
from crossmargin.domain.identifiers import AccountRef, ClientId
from crossmargin.domain.pending_request import PendingRequest
from crossmargin.usecases.use_cases import UseCases


class AccountService(AccountServiceServicer):
    """Clients and their accounts."""

    def __init__(self, use_cases: UseCases) -> None:
        self._use_cases = use_cases

    async def CreateClient(self, request: pb.CreateClientRequest, context: Context) -> pb.CreateClientResponse:
        """Create a client."""
        caller = caller_of(context, request.request_id)
        created = await self._use_cases.create_client(client_from_message(request.client), caller=caller)
        return pb.CreateClientResponse(client=client_to_message(created))

    async def GetClient(self, request: pb.GetClientRequest, context: Context) -> pb.GetClientResponse:
        """Return one client."""
        found = await self._use_cases.books.get_client(ClientId(request.client_id))
        return pb.GetClientResponse(client=client_to_message(found))

    async def ListClients(self, request: pb.ListClientsRequest, context: Context) -> pb.ListClientsResponse:
        """List clients."""
        asked = page_request("clients", page_size=request.page_size, page_token=request.page_token)
        found = await self._use_cases.books.list_clients(asked.page, scope=caller_of(context).scope)
        items, token = cut_page(asked, found, lambda client: client.client_id)
        return pb.ListClientsResponse(clients=map(client_to_message, items), next_page_token=token)

    async def CreateAccount(self, request: pb.CreateAccountRequest, context: Context) -> pb.CreateAccountResponse:
        """Create an account of a client."""
        caller = caller_of(context, request.request_id)
        created = await self._use_cases.create_account(account_from_message(request.account), caller=caller)
        return pb.CreateAccountResponse(account=account_to_message(created))

    async def GetAccount(self, request: pb.GetAccountRequest, context: Context) -> pb.GetAccountResponse:
        """Return one account."""
        found = await self._use_cases.books.get_account(account_ref_from_name(request.name, what="name"))
        return pb.GetAccountResponse(account=account_to_message(found))

    async def ListAccounts(self, request: pb.ListAccountsRequest, context: Context) -> pb.ListAccountsResponse:
        """List the accounts of a client, or of all."""
        list_name = f"accounts of {request.client_id}" if request.client_id else "accounts"
        asked = page_request(list_name, page_size=request.page_size, page_token=request.page_token)
        client_id = ClientId(request.client_id) if request.client_id else None
        found = await self._use_cases.books.list_accounts(client_id, asked.page, scope=caller_of(context).scope)
        items, token = cut_page(asked, found, lambda account: str(account.ref))
        return pb.ListAccountsResponse(accounts=map(account_to_message, items), next_page_token=token)

    async def Halt(self, request: pb.HaltRequest, context: Context) -> pb.HaltResponse:
        """Halt a client or the house."""
        caller = caller_of(context, request.request_id)
        reason = printable(request.reason, what="reason")
        state = await self._use_cases.halt_trading(client_or_house(request.client_id), reason=reason, caller=caller)
        return pb.HaltResponse(state=halt_to_message(state))

    async def Resume(self, request: pb.ResumeRequest, context: Context) -> pb.ResumeResponse:
        """End a halt, or keep that somebody asked for it."""
        caller = caller_of(context, request.request_id, confirmed_name(request.confirms))
        reason = printable(request.reason, what="reason")
        done = await self._use_cases.resume_trading(client_or_house(request.client_id), reason=reason, caller=caller)
        if isinstance(done, PendingRequest):
            return pb.ResumeResponse(pending_request=pending_to_message(done))
        return pb.ResumeResponse(state=halt_to_message(done))

    async def GetHalt(self, request: pb.GetHaltRequest, context: Context) -> pb.GetHaltResponse:
        """Return whether a client or the house is halted; UNKNOWN_CLIENT for a client that does not exist."""
        client_id = client_or_house(request.client_id)
        if client_id is not None:
            await self._use_cases.books.get_client(client_id)
        return pb.GetHaltResponse(state=halt_to_message(await self._use_cases.books.get_halt(client_id)))

    async def SetLimits(self, request: pb.SetLimitsRequest, context: Context) -> pb.SetLimitsResponse:
        """Set the limits of a client or account, or keep that somebody asked for it."""
        caller = caller_of(context, request.request_id, confirmed_name(request.confirms))
        done = await self._use_cases.set_exposure_limits(limits_from_message(request.limits), caller=caller)
        if isinstance(done, PendingRequest):
            return pb.SetLimitsResponse(pending_request=pending_to_message(done))
        return pb.SetLimitsResponse(limits=limits_to_message(done))

    async def GetLimits(self, request: pb.GetLimitsRequest, context: Context) -> pb.GetLimitsResponse:
        """Return the limits of a client or account; UNKNOWN_CLIENT or UNKNOWN_ACCOUNT for what does not exist."""
        client_id, account_id = scope_from_name(request.scope, what="scope")
        if account_id is None:
            await self._use_cases.books.get_client(client_id)
        else:
            await self._use_cases.books.get_account(AccountRef(client_id, account_id))
        return pb.GetLimitsResponse(limits=limits_to_message(await self._use_cases.books.get_limits(client_id, account_id)))

    async def SetMethodology(self, request: pb.SetMethodologyRequest, context: Context) -> pb.SetMethodologyResponse:
        """Set what an account is margined by."""
        caller = caller_of(context, request.request_id)
        done = await self._use_cases.set_methodology(methodology_from_request(request), validate_only=request.validate_only, caller=caller)
        return pb.SetMethodologyResponse(account=account_to_message(done.account), sequence=done.sequence)
