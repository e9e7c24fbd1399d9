"""One page a paper: which parts, which settings, the published numbers beside ours."""

from nelbo.papers import kingma2014, rezende2014
from nelbo.papers.bibliography import BIBLIOGRAPHY
from nelbo.papers.measures import measured_arrays
from nelbo.papers.page import PROVENANCE, Claim, Figure, Measure, Page, Part, Plan, Published, Trial

PAPERS: dict[str, Page] = {"kingma2014": kingma2014.PAGE, "rezende2014": rezende2014.PAGE}

__all__ = [
    "BIBLIOGRAPHY",
    "PAPERS",
    "PROVENANCE",
    "Claim",
    "Figure",
    "Measure",
    "Page",
    "Part",
    "Plan",
    "Published",
    "Trial",
    "measured_arrays",
]
