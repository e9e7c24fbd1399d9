"""Completed data, and what is known of how they were completed."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Imputation:
    """Completed data. Where an entry was observed, everything is its value and the spread is zero.

    `draws`, `std`, `low` and `high` are of one sample: completions from p(x_missing | x_observed). `mean` estimates the
    mean of the same law without drawing x: it is the mean of E[x | z], over many more z than there are draws where the
    method has them. So it is not the mean of the draws, but differs from that by chance alone, by about
    std / sqrt(draws); where a law is skew or has few values, it can lie outside of the interval.

    Nothing is rounded or clipped to what the training data held: draws and means are the model's.

    Args:
        mean: E[x | observed], estimated by the mean of E[x | z] over the draws of z ("chain", "metropolis"), by its
            weighted mean over all proposals ("resample", "importance"), or over the second half of every chain ("hmc").
        std: standard deviation over the draws; zero of a single one.
        low: lower end of the 90 % interval.
        high: its upper end; low and high are order statistics of the draws, so that 19 exact draws cover 90 % (fewer
            draws give all they can, from the smallest to the largest).
        draws: (draws, examples, ...), each one a whole completion.
        observed: which entries were given.
        method: that was used.
        accepted: share of proposals accepted ("metropolis", "hmc"), or effective share of them ("resample",
            "importance"); else None.
        empty: examples with no observed entry; their draws are draws from the model's prior.
        warnings: sentences about what cannot be trusted.
        row_accepted: `accepted` of each example.
        entry_nats: where the truth was given, for each example the sum over hidden entries of log p(entry | observed),
            estimated by the log of the mean of p(entry | z) over the draws [nats].
        joint_nats: the same with all hidden entries of an example together [nats].
    """

    mean: np.ndarray
    std: np.ndarray
    low: np.ndarray
    high: np.ndarray
    draws: np.ndarray
    observed: np.ndarray
    method: str
    accepted: float | None
    empty: int
    warnings: tuple[str, ...] = ()
    row_accepted: np.ndarray | None = None
    entry_nats: np.ndarray | None = None
    joint_nats: np.ndarray | None = None
