"""Orders of examples by name, made from JSON-able options: what the command line and run records call them."""

from collections.abc import Callable, Mapping
from typing import Any

from nelbo.core import InputError, Option, added, checked_arguments, choice, defaults, joined, options_of
from nelbo.data import Split
from nelbo.training.order import OrderMaker, Replacement, Reshuffled

# from the training rows and options, by keyword, to an order
NamedOrder = Callable[..., OrderMaker]


def reshuffled(rows: Split) -> OrderMaker:
    """Endless passes, each in a new random order.

    Args:
        rows: the training data.
    """
    del rows
    return Reshuffled


def replacement(rows: Split) -> OrderMaker:
    """Independent uniform draws with replacement.

    Args:
        rows: the training data.
    """
    del rows
    return Replacement


ORDERS: dict[str, NamedOrder] = {"reshuffled": reshuffled, "replacement": replacement}


def orders() -> Mapping[str, NamedOrder]:
    """Nelbo's own orders and those that were added, see `nelbo.core.Registry`."""
    return joined("orders", ORDERS, added().orders)


def order_options(name: str) -> tuple[Option, ...]:
    """The options of an order.

    Raises:
        InputError: there is no such order.
    """
    return options_of(orders()[choice("order of examples", name, orders())])


def checked_ordering(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The options of an order with the defaults filled in.

    Raises:
        InputError: an unknown option or a value of another type.
    """
    make = orders()[choice("order of examples", name, orders())]
    if given and not options_of(make):
        option = next(iter(given))
        able = [f"{other} batches" for other in orders() if option in defaults(orders()[other])]
        raise InputError(f"{option} is an option of {' and '.join(able) or 'no batches'}, and these are {name}: leave "
                         "it out, or choose others with batches.")  # fmt: skip
    checked_arguments(f"option of {name} batches", make, given, hidden=("rows",))
    return defaults(make) | dict(given)


def order_named(name: str, rows: Split, options: Mapping[str, Any]) -> OrderMaker:
    """An order by name.

    Args:
        name: see `orders`.
        rows: the training data.
        options: of the order.

    Raises:
        InputError: see `checked_ordering`; options or data that make no sense.
    """
    whole = checked_ordering(name, options)
    return orders()[name](rows, **whole)
