"""Know who may trade from which account: agents with their tokens, guests, and the sessions that own them.

What must outlive the process (agents, hashes of tokens, accounts of guests) is written down with the market;
who is connected is not.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from msgspec import Struct

from simlab.live.engine.inside import Inside
from simlab.live.protocol import Failure

__all__ = ["Agent", "Client", "Registry", "Session", "hash_of"]


def hash_of(token: str) -> str:
    """Return what is kept of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


class Agent(Struct, array_like=True, gc=False):
    """Somebody with a name and an account of their own; money units, seconds since 1970.

    `token_hash` is empty until somebody registers under an agent that was created.
    """

    agent_id: str
    name: str
    personality: str
    account: int
    starting_capital: int
    created_at: float
    token_hash: str = ""
    cancel_on_disconnect: bool = False
    strategy: str | None = None
    parameters: dict[str, Any] | None = None
    shown_hash: str = ""
    """Of the token for which the latest was given, whose answer may be lost: good until that is used."""


class Session:
    """What one trader does over a connection, which several may share."""

    __slots__ = ("account", "agents", "client", "guest", "number")

    def __init__(self, client: Client, number: int) -> None:
        self.client = client
        self.number = number
        self.agents: dict[str, Agent] = {}
        self.guest: int | None = None
        self.account: int | None = None
        """Where an order without an agent trades, once that is settled."""

    def settle(self) -> None:
        """Find where orders without an agent trade: the only agent, else the guest account, if taken."""
        only = next(iter(self.agents.values())).account if len(self.agents) == 1 else None
        self.account = only if only is not None else self.guest


class Client:
    """One connection as the market sees it: its sessions, and the answers that wait to be written."""

    __slots__ = ("answers", "behind", "lines", "sessions", "subscription", "trusted")

    def __init__(self, *, trusted: bool = True) -> None:
        self.sessions: dict[int, Session] = {}
        self.answers: list[Any] = []
        self.lines: list[bytes] = []
        """Events that wait to be written, behind the answers."""
        self.subscription: Any = None
        self.behind = False
        """Whether much waits to be read by it: what can be told later is, then."""
        self.trusted = trusted
        """Whether it showed the token, or none is asked for."""

    def session(self, number: int) -> Session:
        """Return a session, which begins when it is first named."""
        found = self.sessions.get(number)
        if found is None:
            found = self.sessions[number] = Session(self, number)
        return found


class Registry:
    """All agents and guests, and who owns them now; and who is inside the market, and nobody's to own."""

    def __init__(
        self,
        agents: Iterable[Agent] = (),
        guests: Iterable[int] = (),
        made: int = 0,
        *,
        inside: Inside | None = None,
    ) -> None:
        self.inside = Inside() if inside is None else inside
        self.agents: dict[str, Agent] = {}
        self.by_account: dict[int, Agent] = {}
        self.owners: dict[str, list[Session]] = {}
        """Who trades for each agent now; several where they joined."""
        self.guests: dict[int, Session | None] = dict.fromkeys(guests)
        """Accounts that were taken for guests; None where nobody uses one now."""
        self.orphans: list[int] = []
        """Accounts of guests of a former process, of which orders rest: used when no other is free."""
        self.made = made
        """How many ids were given to agents."""
        for agent in agents:
            self.add(agent)

    def add(self, agent: Agent) -> None:
        """Add an agent."""
        self.agents[agent.agent_id] = agent
        self.by_account[agent.account] = agent

    def new_id(self) -> str:
        """Return an id that no agent has."""
        while True:
            self.made += 1
            agent_id = f"agent-{self.made}"
            if agent_id not in self.agents and agent_id not in self.inside:
                return agent_id

    def owners_of(self, account: int) -> Sequence[Session]:
        """Return the sessions that trade from an account now."""
        agent = self.by_account.get(account)
        if agent is not None:
            return self.owners.get(agent.agent_id, ())
        guest = self.guests.get(account)
        return () if guest is None else (guest,)

    def agent_of(self, account: int) -> str | None:
        """Return the id of the agent whose account it is; guests have none."""
        agent = self.by_account.get(account)
        return None if agent is None else agent.agent_id

    def account_of(self, agent_id: str) -> int | None:
        """Return the account of any agent, from outside or inside."""
        agent = self.agents.get(agent_id)
        return self.inside.account_of(agent_id) if agent is None else agent.account

    def name_of(self, account: int) -> str | None:
        """Return the id of the agent, from outside or inside, whose account it is."""
        return self.agent_of(account) or self.inside.id_of(account)

    def claim(self, agent: Agent, session: Session, token: str | None) -> str:
        """Make a session that showed a token the owner of an agent; return the token to resume it."""
        for former in self.owners.pop(agent.agent_id, ()):
            del former.agents[agent.agent_id]
            former.settle()
        self.join(agent, session)
        fresh = secrets.token_urlsafe(24)
        agent.token_hash, agent.shown_hash = hash_of(fresh), hash_of(token) if token is not None else ""
        return fresh

    def join(self, agent: Agent, session: Session) -> None:
        """Let a session trade for an agent beside those who do."""
        owners = self.owners.setdefault(agent.agent_id, [])
        if session not in owners:
            owners.append(session)
        session.agents[agent.agent_id] = agent
        session.settle()

    def inside_refusal(self, agent_id: str) -> Failure | None:
        """Say why nobody can have an id, where it is that of an agent inside the market."""
        if agent_id in self.agents or agent_id not in self.inside:
            return None
        return Failure(
            "AGENT_TAKEN",
            f"agent_id {agent_id!r} is an agent inside the market, for which nobody else trades; choose"
            " another, or leave it out",
            field="agent_id",
        )

    def refusal(self, agent: Agent, token: str | None) -> Failure | None:
        """Say why an agent cannot be taken over with a token, or with none."""
        if not agent.token_hash:
            return None
        if token is None:
            return Failure(
                "AGENT_TAKEN",
                f"agent_id {agent.agent_id!r} is somebody's; register without it, or show its session_token",
                field="agent_id",
            )
        given, known = hash_of(token), (agent.token_hash, agent.shown_hash)
        if not any(hmac.compare_digest(given, it) for it in known):
            return Failure(
                "BAD_TOKEN",
                "session_token is not the latest that this agent was given; each is replaced when it is used",
                field="session_token",
            )
        return None

    def account(self, session: Session, agent_id: str | None) -> int | Failure | None:
        """Return where a session trades, None where it has to take a guest account first."""
        if agent_id is None:
            return session.account
        agent = session.agents.get(agent_id)
        if agent is not None:
            return agent.account
        if agent_id in self.agents:
            return Failure(
                "NOT_YOURS",
                f"agent_id {agent_id!r} belongs to another session; register with its session_token first",
                field="agent_id",
            )
        if agent_id in self.inside:
            return Failure(
                "NOT_YOURS",
                f"agent_id {agent_id!r} is an agent inside the market; register one of your own",
                field="agent_id",
            )
        return Failure("UNKNOWN_AGENT", f"there is no agent {agent_id!r}; register first", field="agent_id")

    def idle_guest(self) -> int | None:
        """Return a guest account that nobody uses."""
        return next((account for account, session in self.guests.items() if session is None), None)

    def orphan(self, guests: Iterable[int], resting: set[int]) -> None:
        """Take note of the guests of a former process: their orders stay until their account is needed."""
        self.guests.clear()
        for account in guests:
            if account in resting:
                self.orphans.append(account)
            else:
                self.guests[account] = None

    def seat_guest(self, session: Session, account: int) -> None:
        """Let a session trade from a guest account."""
        self.guests[account] = session
        session.guest = account
        session.settle()

    def leave(self, session: Session) -> Iterator[int]:
        """End a session; yield the accounts whose orders are to be cancelled."""
        for agent in session.agents.values():
            owners = self.owners[agent.agent_id]
            owners.remove(session)
            if not owners:
                del self.owners[agent.agent_id]
                if agent.cancel_on_disconnect:
                    yield agent.account
        if session.guest is not None:
            self.guests[session.guest] = None
            yield session.guest
        session.agents.clear()
        session.guest = session.account = None
