"""One page a paper: which parts, which settings, the published numbers beside ours."""

from nelbo.papers import kingma2014, mnih2014, mnih2016
from nelbo.papers.bibliography import BIBLIOGRAPHY
from nelbo.papers.page import PROVENANCE, Claim, Figure, Page, Part, Plan, Published, Trial

PAPERS: dict[str, Page] = {page.key: page for page in (kingma2014.PAGE, mnih2014.PAGE, mnih2016.PAGE)}

__all__ = [
    "BIBLIOGRAPHY",
    "PAPERS",
    "PROVENANCE",
    "Claim",
    "Figure",
    "Page",
    "Part",
    "Plan",
    "Published",
    "Trial",
]
