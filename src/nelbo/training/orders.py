"""Orders of examples by name, made from JSON-able options: what the command line and run records call them."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

from jaxtyping import Array, Key

from nelbo.core import InputError, Option, added, checked_arguments, choice, defaults, joined, options_of
from nelbo.data import Split
from nelbo.training.dpp import Dpp, Kernel, Risk
from nelbo.training.features import classes_of, features_name, features_of
from nelbo.training.order import Order, OrderMaker, Replacement, Reshuffled
from nelbo.training.poisson_disk import PoissonDisk, Variant, mingling

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


def dpp(
    rows: Split,
    *,
    kernel: Kernel = "rbf",
    bandwidth: float | int = 1.0,
    random_features: int | None = None,
    features: str = "inputs",
    label_share: float | int = 0.0,
    risk: Risk = "unbiased",
) -> OrderMaker:
    """Batches of diverse examples, drawn from a k-determinantal point process.

    Args:
        rows: the training data.
        kernel: similarity of two examples: "rbf", "linear", or "cosine".
        bandwidth: of the kernel rbf, in units of the root mean squared distance of two examples.
        random_features: number of random features, an even one, by which the kernel rbf is approximated if there are
            many examples.
        features: what examples are compared by: "inputs", "standardized" (each entry divided by its standard
            deviation), or a .npy file with a row for each training example.
        label_share: weight of the labels in the features, from 0 (ignored) to 1 (nothing else counts).
        risk: "unbiased" divides by the probability of each example, so that the expected batch mean is the mean over
            the data; "diversified" does not, so that rare kinds of examples count more.
    """
    made = features_of(rows, features, label_share)

    def begin(key: Key[Array, ""], num_examples: int, batch_size: int, steps: int) -> Order:
        del steps
        how: dict[str, Any] = {"kernel": kernel, "bandwidth": bandwidth, "random_features": random_features}
        return Dpp(key, num_examples, batch_size, features=made, risk=risk, **how)

    return begin


def poisson_disk(
    rows: Split,
    *,
    radius: float | int | None = None,
    final_radius: float | int | None = None,
    variant: Variant = "vanilla",
    neighbours: int = 4,
    features: str = "inputs",
    label_share: float | int = 0.0,
    risk: Risk = "diversified",
    simulations: int = 10_000,
) -> OrderMaker:
    """Batches whose examples keep a distance from each other, by Poisson-disk sampling.

    Args:
        rows: the training data.
        radius: least distance, in units of the root mean squared distance of two examples; by default the largest at
            which a random packing still holds twice the batch.
        final_radius: radius at the end of the run, which is approached linearly.
        variant: "vanilla" (every example keeps its distance); or, with labels, "easy" (those do whose neighbours are of
            their class), "dense" (the same, and mingled examples are taken more often) or "anneal" (those later).
        neighbours: for variants with labels: number of nearest neighbours whose classes are compared with an example's.
        features: as for dpp.
        label_share: as for dpp.
        risk: as for dpp; for "unbiased" the probabilities are estimated.
        simulations: number of simulated batches by which the probabilities are estimated.

    Raises:
        InputError: a variant with labels of data without any, or too few examples.
    """
    if simulations < 1:
        raise InputError(f"simulations must be at least 1, got {simulations}.")
    made, degrees = features_of(rows, features, label_share), None
    if variant != "vanilla":
        classes = classes_of(rows)
        if classes is None:
            raise InputError(f"Batches of the variant {variant} go by classes, and these data have none: use vanilla.")
        if not 1 <= neighbours < len(rows):
            raise InputError(f"neighbours must be from 1 to {len(rows) - 1}, got {neighbours}.")
        degrees = mingling(made, classes, neighbours)
    how: dict[str, Any] = {"features": made, "radius": radius, "final_radius": final_radius, "variant": variant}
    return functools.partial(PoissonDisk, **how, degrees=degrees, simulations=simulations if risk == "unbiased" else 0)


ORDERS: dict[str, NamedOrder] = {
    "reshuffled": reshuffled,
    "replacement": replacement,
    "dpp": dpp,
    "poisson-disk": poisson_disk,
}


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
    whole = defaults(make) | dict(given)
    return whole | ({"features": features_name(whole["features"])} if make in (dpp, poisson_disk) else {})


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
