"""Actors that share a ledger and a store, advanced one call at a time: any schedule, and a crash between any two calls.

An actor is a thread that stands still before each call of a port until it is told to go on, so only one ever runs and
a schedule is repeatable. A killed one makes no further call: for everybody else it is a process that was shot.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

from registry.ledger import Champion, Change, Lease, Ledger
from registry.store import ModelStore
from validation.errors import AndonError, ServiceDownError


class KilledError(BaseException):
    """Ends the thread of a killed actor; not an Exception, so that no code of ours handles it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Win:
    """A crowning that the ledger has acknowledged: to whom, against which epoch, and whether the lease was its own."""

    actor: str
    champion: Champion
    expected_epoch: int
    fenced: bool


@dataclass(slots=True)
class World:
    """What the actors share; `wins` in the order in which the ledger acknowledged them."""

    ledger: Ledger
    store: ModelStore
    store_is_down: bool = False
    wins: list[Win] = field(default_factory=list)


class Actor:
    """Does `work` on the world, one call of a port with each `step`; it ends with a `result` or an `error`."""

    def __init__(self, name: str, world: World, work: Callable[[Ledger, ModelStore], object]) -> None:
        self.name, self.done = name, False
        self.result: object = None
        self.error: AndonError | None = None
        self._killed = False
        self._defect: BaseException | None = None
        self._go, self._still = threading.Semaphore(0), threading.Semaphore(0)
        ledger = cast("Ledger", _SteppedLedger(self, world))
        store = cast("ModelStore", _SteppedStore(self, world))
        self._thread = threading.Thread(target=self._run, args=(work, ledger, store), name=name, daemon=True)
        self._thread.start()

    def step(self) -> None:
        """Make the next call, and come to a stand before the one after it (the first step makes none)."""
        self._go.release()
        self._still.acquire()
        if self._defect is not None:
            raise self._defect

    def kill(self) -> None:
        """Nothing of it happens any more."""
        self._killed = True
        if not self.done:
            self.step()
        self._thread.join()

    def stand(self) -> None:
        """Called by its own thread: wait for the next step."""
        self._still.release()
        self._go.acquire()
        if self._killed:
            raise KilledError

    def _run(self, work: Callable[[Ledger, ModelStore], object], ledger: Ledger, store: ModelStore) -> None:
        self._go.acquire()
        try:
            if not self._killed:
                self.result = work(ledger, store)
        except AndonError as error:
            self.error = error
        except KilledError:
            pass
        except BaseException as error:  # noqa: BLE001 - a defect belongs to the thread that asked for the step
            self._defect = error
        self.done = True
        self._still.release()


class _Stepped:
    """A port whose calls wait for their actor's next step."""

    def __init__(self, actor: Actor, port: object) -> None:
        self._actor, self._port = actor, port

    def __getattr__(self, name: str) -> Callable[..., Any]:
        call = getattr(self._port, name)

        def stepped(*arguments: Any, **named: Any) -> Any:
            self._actor.stand()
            self._check()
            return call(*arguments, **named)

        return stepped

    def _check(self) -> None:
        """Raises when the port does not answer."""


class _SteppedLedger(_Stepped):
    """Also keeps the book of who was crowned."""

    def __init__(self, actor: Actor, world: World) -> None:
        super().__init__(actor, world.ledger)
        self._world = world

    def crown(self, change: Change, *, expected_epoch: int, lease: Lease | None = None) -> Champion:
        self._actor.stand()
        ledger = self._world.ledger
        champion = ledger.crown(change, expected_epoch=expected_epoch, lease=lease)
        newest = {(held.holder, held.token) for held in ledger.leases(change.pipeline)}
        fenced = lease is None or (lease.holder, lease.token) in newest
        win = Win(actor=self._actor.name, champion=champion, expected_epoch=expected_epoch, fenced=fenced)
        self._world.wins.append(win)
        return champion


class _SteppedStore(_Stepped):
    """Does not answer while the store is down."""

    def __init__(self, actor: Actor, world: World) -> None:
        super().__init__(actor, world.store)
        self._world = world

    def _check(self) -> None:
        if self._world.store_is_down:
            raise ServiceDownError("the model store does not answer; start it")
